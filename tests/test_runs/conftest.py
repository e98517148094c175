"""Fixtures of tests that start and end runs."""

import pytest
from processes import CLEAN, run_and_tell, run_tool


@pytest.fixture
def start():
    """``start(*argv)``: a process that runs tools/train.py; ``told=(iteration, signal)``."""
    started = []

    def run(*argv, told=()):
        argv = tuple(map(str, argv))
        process = CLEAN.Process(target=run_and_tell if told else run_tool, args=(*told, *argv))
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()


@pytest.fixture
def fixed_config(demo_config):
    """The demo's classroom on fixed views, with two workers that live on, and an EMA."""
    cfg = demo_config('classroom')
    loader = cfg.train_dataloader
    loader.update(num_workers=2, persistent_workers=True)
    loader.dataset = dict(type='classroomkd_mm.FixedViews', views=3, dataset=loader.dataset)
    cfg.custom_hooks += [dict(type='EMAHook', momentum=0.1)]
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    # Three batches an epoch, an update every two: gradients wait at the end of every other epoch.
    cfg.optim_wrapper.accumulative_counts = 2
    cfg.train_cfg.update(max_epochs=5, val_interval=5)
    return cfg
