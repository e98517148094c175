"""Augmentation that depends on the sample and its view alone, and the samplers that draw views."""

from __future__ import annotations

import copy
import itertools
import operator
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Optional, Protocol

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.structures import BaseDataElement
from torch.utils.data import Sampler, get_worker_info

from ..kinds import Closed, check_kinds
from ..registry import DATA_SAMPLERS, DATASETS

# What is the wrapper's own; every other attribute is the data set's.
OWN = frozenset({'dataset', 'views', 'seed', 'recipe', 'exchanged'})
KINDS: dict[str, object] = dict(views=Optional[int], seed=int)
VIEW = 'fixed_view'  # of a sample's metainfo: its index, i + len * v
_NUMBER: ContextVar[int | None] = ContextVar('number', default=None)
# Where data sets of data sets, pipelines and transforms keep their parts.
PARTS = ('dataset', 'datasets', 'pipeline', 'pipelines', 'transforms', 'pre_transform', 'aug')


class MapStyle(Protocol):
    """What is asked of a data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> object: ...


class Reseedable(Protocol):
    """What has a generator of its own, as Albumentations' transforms do since version 1.4."""

    def set_random_seed(self, seed: int) -> None:
        """Start it anew."""


@DATASETS.register_module()
class FixedViews(Closed):
    """A data set of which each sample has ``views`` augmented versions, always the same ones.

    Index ``i + len * v`` is sample i in its v-th view: the numbers that its pipeline draws
    (from ``random``, NumPy and torch, and from generators of Albumentations' own) are seeded by
    (seed, i, v) alone. So they depend on no worker's state, order or process; a killed run
    resumes to the same bits, and two methods see the same crops. Which view is drawn in which
    epoch is the sampler's to say: :class:`ViewSampler` or :class:`InfiniteViewSampler`, which
    ClassroomHook puts in place of MMEngine's. A stock sampler alone draws only view 0.

    Anything else is the data set's own, to read and to set.

    Args:
        dataset: A map-style data set or its config; any wrapper belongs inside. Samples as
            MMEngine's pipelines pack them get their index as ``fixed_view`` of their metainfo.
        views: How many views a sample has; None for one of its own in each epoch.
        seed: Of the views. Two runs that differ in it see other crops.

    Raises:
        ValueError: For a number of views that is not positive, or a negative seed.

    Example::

        train_dataloader = dict(dataset=dict(
            type='classroomkd_mm.FixedViews', views=8, dataset=dict(type='CocoDataset', ...)))
    """

    dataset: MapStyle
    views: int | None
    seed: int
    recipe: Mapping[str, Any] | None
    exchanged: bool  # whether its pipeline is no longer that which it was built with

    def __init__(
        self, dataset: Mapping[str, Any] | MapStyle, views: int | None = None, seed: int = 0
    ) -> None:
        check_kinds(dict(views=views, seed=seed), KINDS, 'FixedViews: ')
        if views is not None and views < 1:
            raise ValueError(
                f'FixedViews: views is {views!r}; give how many views each sample has, '
                'or None for a new one in each epoch'
            )
        if seed < 0:
            raise ValueError(f'FixedViews: seed is {seed}; it must not be negative')
        built = MMENGINE_DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
        self.dataset = built
        self.recipe = copy.deepcopy(dataset) if isinstance(dataset, Mapping) else None
        self.views = views
        self.seed = seed
        self.exchanged = False

    def __len__(self) -> int:
        """How many samples there are, whatever the number of their views."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> object:
        """Sample ``index % len`` in view ``index // len``.

        Raises:
            IndexError: For a view that there is not.
        """
        sample, view = self.place(index)
        number = None if self.exchanged else sample + len(self) * view
        with self._drawn(sample, view), _told(number):
            drawn = self.dataset[sample]
        said = drawn.get('data_samples') if isinstance(drawn, Mapping) else None
        if isinstance(said, BaseDataElement) and number is not None:
            said.set_metainfo({VIEW: number})
        return drawn

    def __iter__(self) -> Iterator[object]:
        # Python's own way, index by index to the first IndexError, does not end with views=None.
        return (self[i] for i in range(len(self)))

    def place(self, index: int) -> tuple[int, int]:
        """Which sample and which of its views an index means.

        Raises:
            IndexError: For a view that there is not.
        """
        size = len(self)
        index = operator.index(index)
        view, sample = divmod(index + size if -size <= index < 0 else index, size)
        if view < 0 or (self.views is not None and view >= self.views):
            raise IndexError(f'index {index} of {size} samples in {self.views} views each')
        return sample, view

    def get_data_info(self, index: int) -> object:
        """The sample's annotations; of MMPose's CombinedDataset they are drawn, too."""
        sample, view = self.place(index)
        with self._drawn(sample, view):
            return self.dataset.get_data_info(sample)  # type: ignore[attr-defined]

    def get_cat_ids(self, index: int) -> list[int]:
        """The sample's classes."""
        return self.dataset.get_cat_ids(self.place(index)[0])  # type: ignore[attr-defined]

    def views_in(self, run_seed: int, epoch: int) -> np.ndarray:
        """Which view each sample is seen in, in an epoch: ``(len,)``.

        In ``views`` epochs from a multiple of ``views`` on, each sample is seen in each view once,
        from one drawn by lot on.
        """
        if self.views is None:
            return np.full(len(self), epoch)
        lot = np.random.default_rng([run_seed, epoch // self.views])
        return (lot.integers(self.views, size=len(self)) + epoch) % self.views

    @contextmanager
    def _drawn(self, sample: int, view: int) -> Iterator[None]:
        """Random numbers of (seed, sample, view); the process's own are as they were afterwards.

        Without workers a student's dropout would repeat otherwise. A worker's own are of no use:
        what a collate function draws from them could not be resumed.
        """
        kept: AbstractContextManager[None] = (
            nullcontext() if get_worker_info() else own_random_numbers()
        )
        with kept:
            self._seed(np.random.SeedSequence([self.seed, sample, view]).generate_state(4))
            yield

    def _seed(self, words: np.ndarray) -> None:
        python, numpy, pytorch, own = words.tolist()
        random.seed(python)
        np.random.seed(numpy)
        # Not torch.manual_seed: where CUDA sleeps, each call of it is kept for when it wakes up.
        torch.default_generator.manual_seed(pytorch)
        if 'albumentations' in sys.modules:
            for part in _reseedable(self.dataset):
                part.set_random_seed(own)

    def __getattr__(self, name: str) -> object:
        # A copy that is being made has no data set yet. __getitems__ would go past the views.
        if name in OWN or name.startswith('__'):
            raise AttributeError(f'{type(self).__name__} has no {name}')
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: object) -> None:
        # Hooks that exchange a data set's pipeline mean the one that is used.
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self.dataset, name, value)
            # The number of a view would then stand for two pictures.
            self.exchanged = self.exchanged or name == 'pipeline'


@contextmanager
def _told(number: int | None) -> Iterator[None]:
    """Let a pipeline know which view it prepares."""
    before = _NUMBER.set(number)
    try:
        yield
    finally:
        _NUMBER.reset(before)


def drawn_number() -> int | None:
    """Which view of which sample is being prepared, ``i + len * v``; None outside FixedViews."""
    return _NUMBER.get()


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Leave the process's generators as they are."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _reseedable(part: object) -> Iterator[Reseedable]:
    """What has a generator of its own in a data set, a pipeline or a transform."""
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _reseedable(each)
    elif hasattr(part, 'set_random_seed'):
        yield part
    elif hasattr(part, '__dict__'):
        for name in PARTS:
            yield from _reseedable(vars(part).get(name))


def view_numbers(data_samples: Sequence[object]) -> list[int | None]:
    """Which view of which sample each is, ``i + len * v``; None where its data set does not say."""
    return [getattr(sample, VIEW, None) for sample in data_samples]


def find_fixed_views(dataset: object) -> FixedViews | None:
    """The data set itself if it is :class:`FixedViews`, or what ``num_batch_per_epoch`` cut."""
    inner = getattr(dataset, '_dataset', None)  # MMEngine's _SlicedDataset
    return next((each for each in (dataset, inner) if isinstance(each, FixedViews)), None)


def _required(dataset: object) -> FixedViews:
    fixed = find_fixed_views(dataset)
    if fixed is None:
        raise TypeError(
            f'a sampler of views is for the data set FixedViews, not for {type(dataset).__name__}'
        )
    return fixed


@DATA_SAMPLERS.register_module()
class ViewSampler(DefaultSampler):
    """MMEngine's DefaultSampler, its order and all, over the views of :class:`FixedViews`.

    An epoch draws each sample once, in the view that :meth:`FixedViews.views_in` says.

    Args:
        dataset: :class:`FixedViews`.
        shuffle: Whether the order is drawn anew in each epoch.
        seed: The run's.
        round_up: Whether all ranks get equally many samples.

    Raises:
        TypeError: For any other data set.
    """

    draws_views = True

    def __init__(
        self,
        dataset: FixedViews,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        _required(dataset)
        super().__init__(dataset, shuffle=shuffle, seed=seed, round_up=round_up)

    def __iter__(self) -> Iterator[int]:
        """Indices of samples in the epoch's views."""
        fixed = _required(self.dataset)
        return _in_views(super().__iter__(), fixed.views_in(self.seed, self.epoch))


@DATA_SAMPLERS.register_module()
class InfiniteViewSampler(InfiniteSampler):
    """MMEngine's InfiniteSampler, its order and all, over the views of :class:`FixedViews`.

    For training by iterations; each pass over the data counts as an epoch.

    Args:
        dataset: :class:`FixedViews`.
        shuffle: Whether the order is drawn anew in each pass.
        seed: The run's.

    Raises:
        TypeError: For any other data set.
    """

    draws_views = True

    def __init__(self, dataset: FixedViews, shuffle: bool = True, seed: int | None = None) -> None:
        _required(dataset)
        super().__init__(dataset, shuffle=shuffle, seed=seed)

    def _infinite_indices(self) -> Iterator[int]:
        fixed, order = _required(self.dataset), super()._infinite_indices()
        for epoch in itertools.count():
            one_pass = itertools.islice(order, self.size)
            yield from _in_views(one_pass, fixed.views_in(self.seed, epoch))


def _in_views(order: Iterator[int], views: np.ndarray) -> Iterator[int]:
    """Indices of samples, each in its view."""
    size = len(views)
    return (i % size + size * int(views[i % size]) for i in order)


# The stock samplers, and what draws views in their order.
VIEW_SAMPLERS: Mapping[type[Sampler], type[ViewSampler | InfiniteViewSampler]] = {
    DefaultSampler: ViewSampler,
    InfiniteSampler: InfiniteViewSampler,
}
