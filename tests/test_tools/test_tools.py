"""The command-line tools as a user types them."""

import copy
import json
import os
import re
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from classroomkd_mm.analysis import beta, compare, cost
from classroomkd_mm.commands import test as test_command
from classroomkd_mm.commands import train as train_command
from classroomkd_mm.commands.errors import IN_WORDS

TOOLS = Path(__file__).parents[2] / 'tools'


def call(tool, *args):
    return subprocess.run(
        [sys.executable, str(TOOLS / f'{tool}.py'), *map(str, args)], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    'tool, flags',
    [
        (
            'train',
            [
                '--work-dir',
                '--resume',
                '--amp',
                '--no-validate',
                '--auto-scale-lr',
                '--cfg-options',
                '--launcher',
                '--show-dir',
            ],
        ),
        ('test', ['--work-dir', '--out', '--dump', '--cfg-options', '--launcher', '--show-dir']),
    ],
)
def test_help_teaches(tool, flags):
    text = call(tool, '--help').stdout
    assert all(flag in text for flag in flags) and 'example' in text


@pytest.mark.parametrize(
    'script, flags',
    [
        ('mentors', ['Find mentors', 'search', 'info', 'check', 'download', 'examples:']),
        ('compare_mentors', [compare.__doc__.strip(), '--people', 'example:']),
        ('measure_step', [cost.__doc__.strip(), '--batch-size', '--rounds', 'examples:']),
        ('study_beta', [beta.__doc__.strip(), '--student', '--mentor', '--batches']),
    ],
)
def test_a_thin_script_is_its_library(script, flags, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [f'{script}.py', '--help'])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOLS / f'{script}.py'), run_name='__main__')
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and all(flag in shown for flag in flags)


def test_train_then_test_without_the_mentors(demo_config, tmp_path):
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    cfg.dump(str(tmp_path / 'run.py'))
    trained = call('train', tmp_path / 'run.py', '--work-dir', tmp_path / 'w', '--no-validate')
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert 'Lessons taught: large' in trained.stdout + trained.stderr
    for mentor in cfg.model.mentors:
        mentor.update(config='/nowhere.py', checkpoint='/nowhere.pth')
    cfg.dump(str(tmp_path / 'run.py'))
    trained_with = (tmp_path / 'w/run.py').read_text()
    assert 'ClassroomDistiller' in trained_with
    tested = call(
        'test',
        tmp_path / 'run.py',
        tmp_path / 'w/epoch_1.pth',
        '--work-dir',
        tmp_path / 'w',
        '--out',
        tmp_path / 'new/m.json',
        '--show-dir',
        tmp_path / 'pictures',
    )
    assert tested.returncode == 0, tested.stderr[-2000:]
    assert 0 <= json.loads((tmp_path / 'new/m.json').read_text())['coco/AP'] <= 1
    # Written over with the student's, it would go on without the mentors.
    assert (tmp_path / 'w/run.py').read_text() == trained_with
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 8


def test_metrics_of_each_class_are_written():
    metrics = dict(top1=np.float32(0.5), each=torch.tensor([[1, 2]]), some=[0.25])
    assert json.loads(json.dumps(metrics, default=test_command.as_plain)) == dict(
        top1=0.5, each=[[1, 2]], some=[0.25]
    )


@pytest.fixture
def merged():
    """``merged(cfg, *flags)``: a config with tools/train.py's flags."""
    train = train_command
    return lambda cfg, *flags: train.merge_args(cfg, train.parse_args(['c.py', *flags]))


def test_before_the_first_checkpoint_resume_keeps_load_from(demo_config, merged):
    cfg = demo_config('alone')
    cfg.load_from = 'zoo.pth'
    first = merged(copy.deepcopy(cfg), '--resume')
    assert first.load_from == 'zoo.pth' and not first.resume
    Path(cfg.work_dir).mkdir()
    Path(cfg.work_dir, 'last_checkpoint').write_text('epoch_1.pth')
    second = merged(copy.deepcopy(cfg), '--resume')
    assert second.load_from is None and second.resume
    third = merged(copy.deepcopy(cfg), '--resume', 'epoch_3.pth')
    assert third.load_from == 'epoch_3.pth' and third.resume


def test_a_work_dir_that_was_moved_or_copied_goes_on_from_its_own(demo_config, merged, tmp_path):
    cfg = demo_config('alone')
    folder, old = Path(cfg.work_dir), tmp_path / 'old/epoch_1.pth'
    folder.mkdir()
    (folder / 'epoch_1.pth').touch()
    (folder / 'last_checkpoint').write_text(str(old))
    own = str(folder / 'epoch_1.pth')
    assert merged(copy.deepcopy(cfg), '--resume').load_from == own  # moved
    old.parent.mkdir()
    old.touch()
    assert merged(copy.deepcopy(cfg), '--resume').load_from == own  # copied
    (folder / 'last_checkpoint').write_text(own)
    assert merged(copy.deepcopy(cfg), '--resume').load_from is None
    (folder / 'last_checkpoint').write_text(str(tmp_path / 'old/epoch_9.pth'))
    assert merged(copy.deepcopy(cfg), '--resume').load_from is None  # MMEngine says what is missing


@pytest.mark.parametrize('flag', ['--resume', 'load_from', 'checkpoint'])
def test_a_checkpoint_that_is_not_there_is_told_before_anything_is_built(
    demo_config, tmp_path, monkeypatch, flag
):
    monkeypatch.setattr('mmengine.runner.Runner.from_cfg', lambda cfg: pytest.fail('it is built'))
    demo_config('alone').dump(str(tmp_path / 'run.py'))
    (tmp_path / 'w').mkdir()
    (tmp_path / 'w/last_checkpoint').write_text('w/epoch_2.pth')

    def run(path):
        given = {
            '--resume': ['--resume', path],
            'load_from': ['--cfg-options', f'load_from={path}'],
        }
        command = train_command if flag in given else test_command
        argv = [str(tmp_path / 'run.py'), *given.get(flag, [path]), '--work-dir', f'{tmp_path}/new']
        command.main(argv)

    with pytest.raises(
        FileNotFoundError, match=f"^{flag} 'nope.pth' does not exist in {Path.cwd()}"
    ):
        run('nope.pth')
    words = (
        f"^{flag} '{tmp_path}/w' is a work dir, not a checkpoint: .*--work-dir {tmp_path}/w --resu"
    )
    with pytest.raises(ValueError, match=f'{words}.*; w/epoch_2.pth is its last one'):
        run(f'{tmp_path}/w')
    assert not (tmp_path / 'new').exists()
    (tmp_path / 'w.pth').touch()
    for fine in (f'{tmp_path}/w.pth', 'https://host.example/w.pth', 'torchvision://resnet18'):
        with pytest.raises(pytest.fail.Exception, match='it is built'):
            run(fine)


def test_scaling_the_learning_rate_needs_to_know_for_which_batch_it_is(demo_config, merged):
    cfg = demo_config('alone')
    with pytest.raises(IN_WORDS, match='auto_scale_lr=dict.base_batch_size=...'):
        merged(cfg, '--auto-scale-lr')
    cfg.auto_scale_lr = dict(base_batch_size=64)
    assert merged(cfg, '--auto-scale-lr').auto_scale_lr.enable


@pytest.mark.parametrize(
    'name, told',
    [
        ('modle.mentoring.alpha', "there is no 'modle', did you mean 'model'?"),
        ('trian_cfg.max_epochs', "there is no 'trian_cfg', did you mean 'train_cfg'?"),
        ('optim_wrapper.optimiser.lr', "there is no 'optimiser', did you mean 'optimizer'?"),
        ('anything', "there is no 'anything', c.py has no such setting"),
    ],
)
def test_a_misspelt_option_is_refused_that_would_change_nothing(demo_config, merged, name, told):
    with pytest.raises(ValueError, match=re.escape(f'--cfg-options: {name!r}: {told}')):
        merged(demo_config('classroom'), '--cfg-options', f'{name}=9')
    with pytest.raises(ValueError, match=re.escape(told)):
        args = test_command.parse_args(['c.py', 'x.pth', '--cfg-options', f'{name}=9'])
        test_command.merge_args(demo_config('classroom'), args)


def test_what_a_config_may_have_can_be_new(demo_config, merged):
    flags = ['model.mentors.0.fuse=True', 'env_cfg.mp_cfg.new=1', 'runner_type=X', 'load_from=a']
    cfg = merged(demo_config('classroom'), '--cfg-options', *flags)
    assert cfg.model.mentors[0].fuse and cfg.load_from == 'a' and cfg.runner_type == 'X'


def hooks(cfg):
    return [hook['type'] for hook in cfg.get('custom_hooks') or []]


def test_a_classroom_gets_its_hook_once_and_keeps_the_others(demo_config, merged):
    cfg = demo_config('classroom')
    both = ['SyncBuffersHook', 'classroomkd_mm.ClassroomHook']
    assert hooks(merged(copy.deepcopy(cfg))) == both
    cfg.custom_hooks = [dict(type='EMAHook')]
    assert hooks(merged(cfg)) == ['EMAHook', 'classroomkd_mm.ClassroomHook']
    assert hooks(merged(demo_config('alone'))) == ['SyncBuffersHook']


def test_a_classroom_whose_config_forgets_the_hook_reports_as_well(demo_config, tmp_path):
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    cfg.custom_hooks = [dict(type='EMAHook')]
    cfg.dump(str(tmp_path / 'run.py'))
    trained = call('train', tmp_path / 'run.py', '--work-dir', tmp_path / 'w', '--no-validate')
    assert trained.returncode == 0, trained.stderr[-2000:]
    (line,) = (tmp_path / 'w/classroom.jsonl').read_text().splitlines()
    assert set(json.loads(line)['mentors']) == {'large', 'medium', 'small'}
    assert Config.fromfile(tmp_path / 'w/student.py').model.type == 'TopdownPoseEstimator'
    assert 'ema_state_dict' in torch.load(tmp_path / 'w/epoch_1.pth', weights_only=False)


def start_rank(rank, port, folder, *args):
    addresses = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES='')
    ranks = dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    return subprocess.Popen(
        [sys.executable, TOOLS / 'test.py', *map(str, args)],
        env={**os.environ, **addresses, **ranks},
        cwd=folder,  # MMEngine leaves a folder where ranks gather their results
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_of_two_ranks_one_writes(demo_config, tmp_path):
    """Each is told another file, so that it shows who writes."""
    cfg = demo_config('alone')
    cfg.dump(str(tmp_path / 'run.py'))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), tmp_path / 'student.pth')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    files = [[tmp_path / f'{rank}/{name}' for name in ('m.json', 'p.pkl')] for rank in (0, 1)]
    common = ['run.py', 'student.pth', '--launcher', 'pytorch', '--work-dir', 'w']
    ranks = [
        start_rank(rank, port, tmp_path, *common, '--out', out, '--dump', dump)
        for rank, (out, dump) in enumerate(files)
    ]
    for process in ranks:
        told, _ = process.communicate(timeout=200)
        assert process.returncode == 0, told[-2000:]
    assert 0 <= json.loads(files[0][0].read_text())['coco/AP'] <= 1
    assert files[0][1].stat().st_size > 0 and not (tmp_path / '1').exists()
