"""Mentors' own crops in a run: of validation data, of later pipelines, of loaders that run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.dataset import Compose
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..datasets import cut_own_crops
from ..distiller import ClassroomDistiller
from .views import start_anew


@contextmanager
def cutting_own_crops(model: ClassroomDistiller, loader: DataLoader) -> Iterator[None]:
    """Let a loader's data cut the crops of mentors with ``own_resolution`` for a while.

    Raises:
        ValueError: See :meth:`ClassroomDistiller.cut_own_crops`.
    """
    if not model.has_own_crops:
        yield
        return
    model.cut_own_crops(loader.dataset, remembered=False)
    _end_workers(loader)
    try:
        yield
    finally:
        cut_own_crops(loader.dataset, ())
        _end_workers(loader)


def cut_later_crops(runner: Runner, model: ClassroomDistiller) -> None:
    """Have the crops also in what the run has begun to load, and in what hooks exchange it for.

    That is the ``switch_pipeline`` of a PipelineSwitchHook. Nothing where no mentor has
    ``own_resolution``.

    Raises:
        ValueError: See :meth:`ClassroomDistiller.cut_own_crops`.
    """
    if not model.has_own_crops:
        return
    for hook in runner.hooks:
        if hasattr(hook, 'switch_pipeline'):
            later = Compose(hook.switch_pipeline)
            model.cut_own_crops(later)
            hook.switch_pipeline = later.transforms  # MMEngine's Compose takes what is built, too
    _end_workers(runner.train_dataloader)
    start_anew(runner)


def _end_workers(loader: DataLoader) -> None:
    """Forget workers that live on: they have a copy of the data set as it was."""
    # HACK: PyTorch has no other way to end them; without an iterator it makes a new one.
    loader._iterator = None
