"""Data workers obey the run that started them, and nobody else."""

import os
import random
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import DefaultSampler
from mmengine.dataset.utils import worker_init_fn
from mmengine.runner import Runner
from mmpose.registry import TRANSFORMS
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, get_worker_info

from classroomkd_mm.hooks.stop_hook import train as train_to_the_end
from classroomkd_mm.runs.workers import reseed_workers, spare_workers


class Who:
    """Samples that say which process made them, and what its initialisation has set."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor([os.getpid(), int(os.environ.get('BEGUN', 0))])


def begin(worker):
    os.environ['BEGUN'] = str(worker + 5)


@pytest.mark.parametrize('how', ['fork', 'forkserver'])
@pytest.mark.parametrize('sent', [signal.SIGTERM, signal.SIGINT])
def test_a_strangers_signal_is_passed_over_and_the_runs_own_is_not(how, sent):
    loader = DataLoader(Who(), 2, num_workers=1, worker_init_fn=begin, multiprocessing_context=how)
    spare_workers(loader, (signal.SIGTERM, signal.SIGINT))
    batches = iter(loader)
    pid, begun = next(batches)[0].tolist()
    assert begun == 5  # the loader's own initialisation was not lost
    subprocess.run([sys.executable, '-c', f'import os; os.kill({pid}, {int(sent)})'], check=True)
    assert [each[0, 0].item() for each in batches] == [pid] * 3
    left = iter(loader)
    next(left)
    (worker,) = left._workers
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


class Draws(Who):
    """Samples of what their worker draws."""

    def __getitem__(self, index):
        return torch.tensor([random.random(), np.random.rand(), torch.rand(()).item()])


def passes(loader, count):
    """What each pass over a loader draws, as rows, the sampler told as MMEngine does."""
    found = []
    for epoch in range(count):
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        found.append(torch.cat(list(loader)))
    return found


def loader_of(draws, sampler, **settings):
    init = partial(worker_init_fn, num_workers=2, rank=0, seed=7)
    return DataLoader(draws, 2, sampler=sampler, num_workers=2, worker_init_fn=init, **settings)


@pytest.mark.parametrize('how', ['fork', 'forkserver'])
def test_workers_that_start_anew_draw_anew_and_the_first_pass_is_mmengines(how):
    loaders = [
        loader_of(Draws(), DefaultSampler(Draws(), seed=0), multiprocessing_context=how)
        for _ in range(3)
    ]
    for loader in loaders[1:]:
        reseed_workers(loader)
        reseed_workers(loader)  # tools/train.py and ClassroomHook may both ask
        spare_workers(loader, (signal.SIGTERM,))
    stock, ours, again = (passes(loader, 3) for loader in loaders)
    assert stock[0].equal(stock[1])  # what this is about
    assert stock[0].equal(ours[0])
    rows = torch.cat(ours)
    assert len(rows.unique(dim=0)) == len(rows) == 24  # no sample, worker or pass repeats another's
    assert all(a.equal(b) for a, b in zip(ours, again))


def test_a_batch_sampler_knows_the_pass_by_its_own_sampler():
    batches = BatchSampler(DefaultSampler(Draws(), seed=0), 2, drop_last=False)
    loader = DataLoader(Draws(), batch_sampler=batches, num_workers=1, worker_init_fn=begin)
    reseed_workers(loader)
    assert loader.worker_init_fn.args == (begin, batches.sampler)


def test_a_sampler_that_knows_no_pass_leaves_workers_as_they_are():
    loader = loader_of(Draws(), SequentialSampler(Draws()))
    init = loader.worker_init_fn
    reseed_workers(loader)
    assert loader.worker_init_fn is init


@TRANSFORMS.register_module()
class TellsDraws(BaseTransform):
    """Appends what a worker draws to a file."""

    def __init__(self, file):
        self.file = file

    def transform(self, results):
        if get_worker_info():  # the hook looks at the data first, by itself
            with open(self.file, 'a') as file:
                file.write(f'{np.random.rand()}\n')
        return results


@pytest.mark.parametrize('name, by_train', [('alone', True), ('classroom', False)])
def test_a_runs_epochs_draw_their_own_and_a_resumed_ones_are_the_same(
    demo_config, tmp_path, name, by_train
):
    """A student alone by tools/train.py's way, and a classroom by MMEngine's own runner."""

    def drawn(epochs, resume=False):
        cfg = demo_config(name)
        file = tmp_path / f'{epochs}_{resume}.txt'
        cfg.train_dataloader.update(num_workers=1)
        pipeline = cfg.train_dataloader.dataset.pipeline
        pipeline.insert(len(pipeline) - 1, dict(type='TellsDraws', file=str(file)))
        cfg.update(work_dir=str(tmp_path / 'run'), resume=resume)
        cfg.experiment_name = cfg.visualizer.name = file.stem + name
        cfg.train_cfg.update(max_epochs=epochs, val_interval=9)
        runner = Runner.from_cfg(cfg)
        train_to_the_end(runner) if by_train else runner.train()
        return file.read_text().split()

    first = drawn(1)
    second = drawn(2, resume=True)
    whole = drawn(2)
    assert len(set(whole)) == len(whole) == 2 * len(first) > 0
    assert whole == first + second
