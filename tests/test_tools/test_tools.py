"""The command-line tools as a user types them."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_amp_without_a_gpu_says_so():
    result = call('train', TOOLS.parent / 'configs/demo/alone.py', '--amp')
    assert result.returncode != 0 and '--amp needs a GPU' in result.stderr


def test_metrics_of_each_class_are_written(tmp_path):
    sys.path.insert(0, str(TOOLS))
    import test as tool

    metrics = dict(top1=np.float32(0.5), each=torch.tensor([[1, 2]]), some=[0.25])
    assert json.loads(json.dumps(metrics, default=tool.as_plain)) == dict(
        top1=0.5, each=[[1, 2]], some=[0.25]
    )


def merged(monkeypatch, cfg, *flags):
    sys.path.insert(0, str(TOOLS))
    import train

    monkeypatch.setattr(sys, 'argv', ['train.py', 'c.py', *flags])
    return train.merge_args(cfg, train.parse_args())


def test_before_the_first_checkpoint_resume_keeps_load_from(demo_config, monkeypatch, tmp_path):
    cfg = demo_config('alone')
    cfg.load_from = 'zoo.pth'
    first = merged(monkeypatch, copy.deepcopy(cfg), '--resume')
    assert first.load_from == 'zoo.pth' and not first.resume
    Path(cfg.work_dir).mkdir()
    Path(cfg.work_dir, 'last_checkpoint').write_text('epoch_1.pth')
    second = merged(monkeypatch, copy.deepcopy(cfg), '--resume')
    assert second.load_from is None and second.resume
    third = merged(monkeypatch, copy.deepcopy(cfg), '--resume', 'epoch_3.pth')
    assert third.load_from == 'epoch_3.pth' and third.resume


def test_scaling_the_learning_rate_needs_to_know_for_which_batch_it_is(demo_config, monkeypatch):
    cfg = demo_config('alone')
    with pytest.raises(SystemExit, match='auto_scale_lr=dict.base_batch_size=...'):
        merged(monkeypatch, cfg, '--auto-scale-lr')
    cfg.auto_scale_lr = dict(base_batch_size=64)
    assert merged(monkeypatch, cfg, '--auto-scale-lr').auto_scale_lr.enable


def test_a_classroom_without_its_hook_is_warned_of(demo_config, recwarn):
    sys.path.insert(0, str(TOOLS))
    import train

    cfg = demo_config('classroom')
    train.warn_without_hook(cfg)
    train.warn_without_hook(demo_config('alone'))
    assert not recwarn
    cfg.custom_hooks = []
    with pytest.warns(UserWarning, match='custom_hooks has no .*ClassroomHook.*no student.py'):
        train.warn_without_hook(cfg)
