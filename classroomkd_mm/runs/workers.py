"""Data workers that outlive a signal to all processes of a run, and do not repeat themselves."""

import os
import random
import signal
import threading
from collections.abc import Sequence
from functools import partial
from multiprocessing import parent_process
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch.utils.data import DataLoader

from .views import sampler_of

Init = Optional[Callable[[int], object]]


def spare_workers(loader: DataLoader[object], signals: Sequence[signal.Signals]) -> None:
    """Let the workers that a loader will start obey these signals from their run alone.

    A terminal's Ctrl-C, SLURM and process managers tell all processes. A worker that ends by that
    takes the run with it, before it could write a checkpoint. Where the system does not say who has
    sent a signal (it does on Linux), workers are left as they are.
    """
    if hasattr(signal, 'sigwaitinfo'):
        loader.worker_init_fn = partial(_spare, loader.worker_init_fn, tuple(signals))


def reseed_workers(loader: DataLoader[object]) -> None:
    """Let workers that start anew with each pass over the data draw numbers of the pass's own.

    MMEngine seeds them by the run's seed and their place, so that they would draw the same
    augmentations in each pass, and those of a resumed run the first pass's. That one stays
    MMEngine's. A sampler says which pass it is.
    """
    init, sampler = loader.worker_init_fn, sampler_of(loader)
    if hasattr(sampler, 'epoch') and getattr(init, 'func', None) is not _reseed:
        loader.worker_init_fn = partial(_reseed, init, sampler)


def _reseed(init: Init, sampler: Any, worker: int) -> None:
    if init is not None:
        init(worker)
    if sampler.epoch:
        words = np.random.SeedSequence([torch.initial_seed(), sampler.epoch]).generate_state(1)
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(int(words[0]))


def _spare(init: Init, signals: Sequence[signal.Signals], worker: int) -> None:
    if init is not None:
        init(worker)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=_wait, args=(signals,), daemon=True).start()


def _wait(signals: Sequence[signal.Signals]) -> None:
    run = parent_process()  # not os.getppid(): that may be a server which forks the workers
    assert run is not None  # a worker was started by somebody
    while signal.sigwaitinfo(signals).si_pid != run.pid:
        pass
    os._exit(0)  # as torch's own handler of SIGTERM does
