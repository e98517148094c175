"""Random numbers that neither a resume nor a look at the data changes."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import torch
from mmengine.runner import IterBasedTrainLoop, Runner, set_random_seed


@contextmanager
def same_random_state() -> Iterator[None]:
    """Training is bit-identical with and without what is looked at before it."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):  # of all devices, it would wake them all up
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def random_state() -> dict[str, Any]:
    """The process's random numbers, as a checkpoint may keep them."""
    numpy: tuple[Any, ...] = np.random.get_state()  # type: ignore[assignment]
    numpy = tuple(each.tolist() if isinstance(each, np.ndarray) else each for each in numpy)
    state = dict(python=random.getstate(), numpy=numpy)
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return dict(state, torch=torch.get_rng_state(), devices=devices)


def put_random_state(state: Mapping[str, Any]) -> None:
    """Go on with them."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    torch.set_rng_state(state['torch'].cpu())
    if state['devices'] and torch.cuda.device_count() == len(state['devices']):
        torch.cuda.set_rng_state_all([each.cpu() for each in state['devices']])


def interval_of(runner: Runner) -> Optional[int]:
    """Iterations between reports where a run trains by iterations, None where by epochs."""
    loop = runner.train_loop
    return loop.val_interval if isinstance(loop, IterBasedTrainLoop) else None


def seed_epoch(runner: Runner) -> None:
    """Give an epoch random numbers of its own.

    MMEngine saves no random state: without this a resumed run would draw other augmentations and
    dropout than one that was not interrupted.
    """
    per_rank = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)
    start = runner.epoch if interval_of(runner) is None else runner.iter
    set_random_seed(runner.seed + start, diff_rank_seed=per_rank)


def seed_iteration(runner: Runner) -> None:
    """Give an iteration random numbers of its own: dropout, Mixup and CutMix.

    With :class:`FixedViews` all else of a run is a function of sample and epoch; so a run that was
    resumed in the middle, by iterations or with workers that live on (making them draws a number),
    goes on to the same bits. Ranks differ where MMEngine's ``diff_rank_seed`` says so: the
    run's seed differs then.
    """
    words = np.random.SeedSequence([runner.seed, runner.iter]).generate_state(1)
    set_random_seed(int(words[0]))
