"""Killed anywhere and resumed, a run ends with the same bits: SIGKILL of real processes."""

import copy
import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from processes import content, differing, kill_after, lines

from classroomkd_mm.backbones import cifar_classifier

# CLASSROOMKD_KILLS=20 in a nightly run; each round kills three times.
ROUNDS = -(-int(os.environ.get('CLASSROOMKD_KILLS', 3)) // 3)


def by_epochs(cfg):
    """5 epochs of 3 iterations; after the odd ones gradients wait."""
    return 'epoch_{}.pth', 5, (1, 3)


def by_iterations(cfg):
    """15 iterations, a summary after each 5 of them."""
    cfg.train_cfg = dict(by_epoch=False, max_iters=15, val_interval=5)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=1)
    cfg.log_processor = dict(type='LogProcessor', by_epoch=False)
    for scheduler in cfg.param_scheduler:
        scheduler.update(by_epoch=False)
    return 'iter_{}.pth', 15, range(1, 12)


@pytest.mark.parametrize('again', range(ROUNDS))
@pytest.mark.parametrize('kind, kills', [(by_epochs, 1), (by_iterations, 2)])
def test_killed_at_random_moments(fixed_config, start, tmp_path, kind, kills, again):
    name, count, after = kind(fixed_config)
    fixed_config.dump(tmp_path / 'run.py')
    moments = sorted(random.SystemRandom().sample(after, kills))
    waits = [random.SystemRandom().uniform(0, 0.1) for _ in moments]
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    argv = (tmp_path / 'run.py', '--no-validate', '--work-dir')
    start(*argv, whole).join(100)
    for moment, wait in zip(moments, waits):
        process = start(*argv, cut, '--resume')
        assert kill_after(process, cut / name.format(moment), wait)
    start(*argv, cut, '--resume').join(100)
    last = name.format(count)
    told = f'killed {waits} s after {moments}'
    assert not differing(content(whole / last), content(cut / last)), told
    assert lines(whole) == lines(cut), told
    assert len(list(cut.glob('2*'))) == kills + 1  # a folder of logs for each start


class Stop(Hook):
    """Ends a run before an iteration, as a kill would."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


def stopped(cfg, iteration):
    cfg = copy.deepcopy(cfg)
    cfg.experiment_name = cfg.visualizer.name = f'stopped_{iteration}_{random.random()}'
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Stop(iteration))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    return torch.load(f'{cfg.work_dir}/iter_{iteration}.pth', weights_only=False)


@pytest.fixture
def mixed(tmp_path):
    """MMPretrain by iterations: a cycle of 3 batches, Mixup and CutMix, no seed."""
    for i in range(12):
        path = tmp_path / 'pictures' / 'ab'[i % 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8))
    student = cifar_classifier('resnet8', num_classes=2)
    augments = [dict(type='Mixup', alpha=0.5), dict(type='CutMix', alpha=0.5)]
    pixels = dict(type='ClsDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3, num_classes=2)
    mentor = dict(model=dict(student, data_preprocessor=pixels))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        weights = MODELS.build(student).state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'mentor.pth')
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomCrop', crop_size=28),
        dict(type='PackInputs'),
    ]
    pictures = dict(type='CustomDataset', data_root=str(tmp_path / 'pictures'), pipeline=steps)
    return Config(
        dict(
            default_scope='mmpretrain',
            work_dir=str(tmp_path / 'mixed'),
            model=dict(
                type='classroomkd_mm.ClassroomDistiller',
                student=dict(student, train_cfg=dict(augments=augments)),
                mentors=[dict(name='m', config=mentor, checkpoint=str(tmp_path / 'mentor.pth'))],
                data_preprocessor=pixels,
            ),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(type='InfiniteSampler', shuffle=True),
                dataset=dict(type='classroomkd_mm.FixedViews', views=None, dataset=pictures),
            ),
            train_cfg=dict(by_epoch=False, max_iters=6, val_interval=4),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=2
            ),
            param_scheduler=[dict(type='CosineAnnealingLR', T_max=6, by_epoch=False)],
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3)),
            log_processor=dict(by_epoch=False),
            custom_hooks=[dict(type='classroomkd_mm.ClassroomHook')],
            visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        )
    )


def test_batch_augmentation_and_a_seed_that_nobody_gave(mixed, train):
    cut = stopped(mixed, 3)
    kept = cut['classroom']
    assert set(kept) == {'setup', 'gradients', 'total', 'sampler_seed'}
    assert set(kept['gradients']) <= set(cut['state_dict'])
    work_dir = Path(mixed.work_dir)
    train(mixed, resume=True)
    resumed, told = content(work_dir / 'iter_6.pth', also=()), lines(work_dir)
    kept = torch.load(work_dir / 'iter_6.pth', weights_only=False)['classroom']
    assert 'gradients' not in kept
    mixed.update(work_dir=f'{work_dir}_whole', randomness=dict(seed=cut['meta']['seed']))
    train(mixed)
    assert not differing(content(f'{mixed.work_dir}/iter_6.pth', also=()), resumed)
    assert lines(Path(mixed.work_dir)) == told and [line['iter'] for line in told] == [4, 6]


def test_a_checkpoint_with_gradients_is_the_stock_students(mixed):
    from mmpretrain import get_model

    stopped(mixed, 3)
    plain = Config.fromfile(f'{mixed.work_dir}/student.py')
    assert plain.train_dataloader.sampler.type == 'InfiniteSampler'
    assert 'classroomkd_mm' not in str(plain.train_dataloader)  # the stock library knows it
    weights = torch.load(f'{mixed.work_dir}/iter_3.pth', weights_only=False)['state_dict']
    stock = get_model(plain, pretrained=f'{mixed.work_dir}/iter_3.pth')
    assert not differing(dict(stock.state_dict()), dict(weights))
