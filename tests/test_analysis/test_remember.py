"""python -m classroomkd_mm remember, on the embedded data."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from classroomkd_mm.__main__ import COMMANDS, main
from classroomkd_mm.analysis.fidelity import Fidelity, add_batch
from classroomkd_mm.analysis.remember import batches, parse_args
from classroomkd_mm.analysis.remember import remembering as opened
from classroomkd_mm.functional import kl_distill
from classroomkd_mm.mentors.memory import Codec, Records, plan, size
from classroomkd_mm.structures import Answer

NAMES = ('large', 'medium', 'small')
COUNT = 24 * 2  # samples and views


@pytest.fixture
def config(remembering, tmp_path):
    remembering.dump(str(tmp_path / 'classroom.py'))
    return str(tmp_path / 'classroom.py')


def remember(config, *flags, status=0):
    assert main(['remember', config, '--workers', '0', '--device', 'cpu', *flags]) == status


def there(tmp_path):
    return {name: sum(records(tmp_path, name).there(range(COUNT))) for name in NAMES}


def records(tmp_path, name, keep=128):
    shapes, folder = ((17, 32, 24),), tmp_path / 'memory' / name
    return Records(folder / 'answers.bin', Codec(shapes, keep).nbytes)


def test_filled_ahead_a_run_builds_no_mentor(config, remembering, train, tmp_path, capsys):
    remember(config, '--views', '0:1')
    assert there(tmp_path) == dict.fromkeys(NAMES, 24)
    remember(config)
    out, err = capsys.readouterr()
    assert '72 of 144 answers are there (3 mentors, 24 samples, 2 views)' in out
    assert 'keypoints within 0.05 px' in out and 'asking' in err and '24/24' in err
    assert there(tmp_path) == dict.fromkeys(NAMES, COUNT)
    runner = train(remembering)
    assert not any(mentor.built for mentor in runner.model.mentors)
    (log,) = Path(remembering.work_dir).glob('*/*.log')
    assert (
        'memory: 144 of 144 answers are there (3 mentors, 24 samples, 2 views); all of them take '
        '1.27 MB. This run shows mentors at most 0 pictures, without memory 144 (2 epochs)'
    ) in log.read_text()


def test_shares_make_the_whole(config, tmp_path, monkeypatch):
    remember(config, '--part', '0/3')
    assert set(there(tmp_path).values()) == {16}
    for part in ('1/3', '2/3'):
        remember(config, '--part', part)
    assert set(there(tmp_path).values()) == {COUNT}


def test_two_processes_of_torchrun_fill_one_memory(config, tmp_path):
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2',
        '-m', 'classroomkd_mm', 'remember', config, '--workers', '0', '--batch-size', '4',
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(there(tmp_path).values()) == {COUNT}


def test_processes_of_torchrun_take_a_gpu_each(monkeypatch):
    for gpus, rank, device in ((0, '1', 'cpu'), (2, '1', 'cuda:1'), (2, '3', 'cuda:1')):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda gpus=gpus: gpus > 0)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda gpus=gpus: gpus)
        monkeypatch.setenv('LOCAL_RANK', rank)
        assert parse_args(['config']).device == device


def test_interrupted_it_goes_on(config, tmp_path, monkeypatch):
    written = []
    write = Records.write

    def interrupted(self, number, record):
        if len(written) == 50:
            raise KeyboardInterrupt
        written.append(number)
        write(self, number, record)

    monkeypatch.setattr(Records, 'write', interrupted)
    remember(config, '--batch-size', '8', status=130)
    monkeypatch.undo()
    before = there(tmp_path)
    assert 0 < sum(before.values()) < 3 * COUNT
    remember(config, '--batch-size', '8')
    assert set(there(tmp_path).values()) == {COUNT}


def test_a_check_asks_again_and_shows_a_wrong_answer(config, tmp_path, capsys):
    whole = ['--cfg-options', 'model.memory.keep=1000']  # a random network's maps have no peaks
    remember(config, *whole)
    capsys.readouterr()
    remember(config, '--check', '1', *whole)
    right = capsys.readouterr().out
    assert '48 of 48 answers are asked for again' in right
    large = records(tmp_path, 'large', 1000)
    for number in range(COUNT):
        large.write(number, large.read((number + 5) % COUNT))
    remember(config, '--check', '1', *whole)
    wrong = capsys.readouterr().out
    rows = [
        {line.split()[0]: line for line in out.splitlines() if line.startswith(NAMES)}
        for out in (right, wrong)
    ]
    assert rows[0]['medium'] == rows[1]['medium'] and rows[0]['large'] != rows[1]['large']
    near = [float(row['large'].split()[1].rstrip('%')) for row in rows]
    assert near[0] > 99 > 50 > near[1]


@pytest.mark.parametrize('flags', [['--info'], ['--prune'], ['--check', '0.5']])
def test_who_only_looks_makes_no_memory(config, tmp_path, capsys, flags):
    remember(config, *flags, status=1)
    assert 'is not there: nothing has been remembered' in capsys.readouterr().err
    assert not (tmp_path / 'memory').exists()
    (tmp_path / 'memory').mkdir()
    remember(config, *flags, status=int('--check' in flags))
    out, err = capsys.readouterr()
    assert '0%' in out or 'nothing to remove' in out or 'there is no answer yet' in err
    assert not any((tmp_path / 'memory').iterdir())


def test_a_misspelt_option_is_refused(config, capsys):
    remember(config, '--cfg-options', 'modle.memory.dir=x', status=1)
    assert "--cfg-options: 'modle.memory.dir': there is no 'modle'" in capsys.readouterr().err


def test_info_and_prune(config, tmp_path, capsys):
    remember(config)
    other = tmp_path / 'memory' / 'gone'
    other.mkdir()
    (other / 'facts.json').write_text('{}')
    (tmp_path / 'memory' / 'mine').mkdir()  # no memory: not to be touched
    records(tmp_path, 'large').write(COUNT + 3, bytes(records(tmp_path, 'large').nbytes))
    capsys.readouterr()
    remember(config, '--info')
    head, *rows = capsys.readouterr().out.splitlines()[-4:]
    assert head.split() == [
        'mentor',
        'bytes',
        'an',
        'answer',
        'on',
        'disk',
        'view',
        '0',
        'view',
        '1',
    ]
    assert [row.split()[0] for row in rows] == list(NAMES)
    assert all(row.split()[-2:] == ['100%', '100%'] for row in rows)
    remember(config, '--prune')
    out = capsys.readouterr().out
    assert "removed mentor 'gone'" in out and "removed mentor 'large': " in out
    assert not other.exists() and (tmp_path / 'memory' / 'mine').is_dir()
    assert set(there(tmp_path).values()) == {COUNT}
    remember(config, '--prune')
    assert 'nothing to remove' in capsys.readouterr().out


def test_other_keeps_are_compared_and_nothing_is_kept(config, tmp_path, capsys):
    remember(config, '--keeps', '16', '400')
    rows = [line for line in capsys.readouterr().out.splitlines() if ', keep=' in line]
    assert len(rows) == 6
    loss = {row.split()[1]: float(row.split()[-2].rstrip('%')) for row in rows[:2]}
    assert loss['keep=400'] < 0.5 < loss['keep=16']
    assert not (tmp_path / 'memory').exists()


def test_a_full_disk_is_told(config, monkeypatch, capfd):
    def full(self, number, record):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Records, 'write', full)
    assert main(['remember', config, '--workers', '0']) == 1
    assert 'error: the memory takes no more answers of large' in capfd.readouterr().err


@pytest.mark.parametrize(
    'flags, words',
    [
        (['--views', '1:3'], r'--views 1:3: FixedViews has 2'),
        (['--check', '0.5'], 'is not there: nothing has been remembered in /'),
        (['--cfg-options', 'model.memory=None'], 'the config.s model has no memory'),
    ],
)
def test_what_cannot_be_done_is_told(config, flags, words, capsys):
    if '--check' in flags:
        flags = [*flags, '--views', '1:2']
    assert main(['remember', config, '--workers', '0', *flags]) == 1
    assert re.search(f'^error: .*{words}', capsys.readouterr().err, re.M)


@pytest.mark.parametrize('flags', [['--views', '2:1'], ['--part', '3/3'], ['--check', '0']])
def test_arguments_are_checked(config, flags):
    with pytest.raises(SystemExit):
        parse_args([config, *flags])


def test_the_error_of_the_loss_is_the_plain_loops(config):
    args = parse_args([config, '--workers', '0', '--batch-size', '4'])
    model, fixed = opened(Config.fromfile(config), 'cpu')
    (data,) = batches(model, fixed, [0, 5, 30, 47], args)
    live = model.mentors[0].live(data['inputs'])
    codec = Codec(((17, 32, 24),), 32)
    kept = Answer(codec.decode(codec.encode(live.parts)), live.finite)
    found = Fidelity(codec.nbytes)
    add_batch(found, model, 0, data, (live, kept))
    bridge = model.members[0][1]
    with torch.no_grad():
        student = model.task.read(model.task.forward(model, data['inputs'])[1]).parts[0]
    student.requires_grad_()
    losses, gradients = [], []
    for answer in (live, kept):
        loss = 0
        for i in range(4):
            for k in range(17):
                z, m = student[i : i + 1, k : k + 1], bridge.read(answer).parts[0]
                one = torch.ones(1, 1, 1)
                loss = loss + kl_distill(z, [m[i : i + 1, k : k + 1]], one, one)
        loss = loss / (4 * 17) * model.distill_loss.loss_weight
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, student)[0])
    assert found.losses.tolist() == pytest.approx(losses, rel=1e-4)
    gap = (gradients[1] - gradients[0]).square().sum() / gradients[0].square().sum()
    assert found.squares[1] / found.squares[0] == pytest.approx(gap.item(), rel=1e-3)


def test_a_plan_reckons(remembering, train):
    model = train(remembering).model
    planned = plan(model.memories, 24, 2, 30)
    assert (planned.total, planned.live, planned.there, planned.asked) == (144, 2160, 144, 0)
    assert planned.nbytes == 48 * 3 * (Codec(((17, 32, 24),), 128).nbytes + 4)
    fresh = copy.copy(planned)
    object.__setattr__(fresh, 'there', 0)
    object.__setattr__(fresh, 'epochs', 1)
    assert (fresh.live, fresh.asked) == (72, 72)
    assert [size(n) for n in (12, 1500, 198_234_567, 4e10, 2e13)] == [
        '12 B', '1.5 kB', '198 MB', '40 GB', '20 TB',
    ]  # fmt: skip


def test_the_command_line_tells_its_commands(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f'  {name}' in out for name in COMMANDS) and 'python -m classroomkd_mm' in out
    assert main(['forget']) == 2
    assert "unknown command 'forget'" in capsys.readouterr().err
