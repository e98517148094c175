"""Every code block and command of the documents is run, or says why it is not."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from classroomkd_mm.__main__ import main
from classroomkd_mm.analysis import cost

sys.path.insert(0, str(Path(__file__).parent))  # beside this file, which is in no package

import blocks  # noqa: E402

PYTHON, BASH = blocks.blocks('python'), blocks.blocks('bash')
QUICK = ('mentors search', 'mentors info', 'mentors check first.py', '--help', 'doctor')


@pytest.fixture
def place(tmp_path, people, monkeypatch):
    """A folder that looks like the repository's root after a first run, with the drawn people."""
    for name in ('configs', 'tools', 'tests', 'docs'):
        (tmp_path / name).symlink_to(blocks.ROOT / name)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/synthetic_people').symlink_to(people)
    run = tmp_path / 'work_dirs/NAME'
    run.mkdir(parents=True)
    cfg = Config.fromfile(blocks.ROOT / 'configs/demo/alone.py')
    cfg.dump(run / 'student.py')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), run / 'epoch_210.pth')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('block', PYTHON, ids=blocks.named)
def test_a_python_block_runs(block, place):
    page, _, text = block
    blocks.run_python(page, text, place)


@pytest.mark.parametrize('block', BASH, ids=blocks.named)
def test_a_shell_block_names_commands_and_files_that_there_are(block):
    found = blocks.commands(block[0], block[2])
    assert found
    for words in found:
        blocks.check_command(words)


def test_quick_commands_run_as_they_are_written(place, capsys):
    first = next(text for page, _, text in PYTHON if page.name == 'start.md')
    (place / 'first.py').write_text(first)
    written = [words for page, _, text in BASH for words in blocks.commands(page, text)]
    lines = [blocks.shlex.join(words) for words in written]
    lines = [line.replace('tools/mentors.py', '-m classroomkd_mm mentors') for line in lines]
    prefix = 'python -m classroomkd_mm '
    quick = [line[len(prefix) :] for line in dict.fromkeys(lines) if line.startswith(prefix)]
    quick = [line for line in quick if any(each in line for each in QUICK)]
    assert len(quick) >= 4 and any('doctor' in line for line in quick)
    for line in quick:
        assert main(blocks.shlex.split(line)) == 0, line
        assert capsys.readouterr().out, line


def test_cost_as_planning_shows_it(demo_config, tmp_path, capsys):
    cfg = demo_config('classroom')
    cfg.dump(tmp_path / 'classroom.py')
    assert cost.main([str(tmp_path / 'classroom.py'), '--rounds', '1', '--json']) == 0
    last = capsys.readouterr().out.splitlines()[-1]  # MMEngine logs there, too
    assert json.loads(last)['seconds']


def test_what_is_not_run_says_why():
    marked, unknown = [], []
    for page in blocks.PAGES:
        text = page.read_text()
        for fence in blocks.FENCE.finditer(text):
            reason = blocks.NOT_RUN.search(text[: fence.start()])
            if reason:
                marked.append(f'{page.name}: {reason[1]}')
            elif fence[1] not in ('python', 'bash'):
                unknown.append(f'{page.name}: {fence[1] or "no language"}')
    print(f'{len(marked)} of {len(PYTHON) + len(BASH) + len(marked)} blocks are not run', marked)
    assert not unknown
    assert len(marked) <= 3 and all(len(reason) > 15 for reason in marked)
