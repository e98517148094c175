"""The sampler that a data set of fixed views needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Sampler

from ..datasets import FixedViews
from ..datasets.fixed_views import VIEW_SAMPLERS, find_fixed_views
from ..registry import DATA_SAMPLERS, DATASETS
from .student_config import PACKAGE, _class_of

PICTURES = frozenset({'train_pipeline', 'batch_augments'})  # what a recipe may change of them


def with_view_sampler(cfg: Config) -> Config:
    """The config with a sampler that draws views, where its data are FixedViews and it has a stock.

    ClassroomHook does the same to a loader that is built already; a run of a student alone has
    no such hook. With ``views=1`` the stock sampler stays.
    """
    loader = cfg.get('train_dataloader') or {}
    dataset, sampler = loader.get('dataset'), loader.get('sampler')
    if isinstance(dataset, Mapping) and isinstance(sampler, Mapping):
        fixed = _class_of(dataset, DATASETS)
        drawn = VIEW_SAMPLERS.get(_class_of(sampler, DATA_SAMPLERS) or Sampler)
        if fixed and issubclass(fixed, FixedViews) and drawn and dataset.get('views') != 1:
            cfg.train_dataloader.sampler.type = f'{PACKAGE}.{drawn.__name__}'
    return cfg


def refuse_other_recipes(hooks: Iterable[object]) -> None:
    """Refuse, for a memory, hooks that show other pictures from some epoch on.

    Raises:
        ValueError: Naming the hook.
    """
    for hook in hooks:
        recipes = getattr(hook, 'schedule', None)  # MMPretrain's SwitchRecipeHook
        recipes = recipes.values() if isinstance(recipes, Mapping) else ()
        if hasattr(hook, 'switch_pipeline') or any(PICTURES & set(each) for each in recipes):
            raise ValueError(
                f'memory: custom_hooks has {type(hook).__name__}, after which the same views show '
                'other pictures than those that mentors have answered: take it out, or memory'
            )


def take_views(runner: Runner) -> FixedViews | None:
    """Make the run's sampler draw views, where its data are FixedViews.

    The sampler's class is changed in place: the loader, its batch sampler and MMEngine's loops and
    hooks hold it already, and torch forbids to exchange a loader's.

    Returns:
        The data set, if it is FixedViews.

    Raises:
        ValueError: For a sampler that would draw one view alone, or FixedViews inside a wrapper.
    """
    loader = runner.train_dataloader
    fixed = find_fixed_views(loader.dataset)
    if fixed is None:
        _refuse_inside(loader.dataset)
        return None
    sampler = sampler_of(loader)
    if fixed.views != 1 and not getattr(sampler, 'draws_views', False):
        kind = VIEW_SAMPLERS.get(type(sampler))
        if kind is None:
            raise ValueError(
                f"train_dataloader's sampler is {type(sampler).__name__}, which would draw only "
                f'the first view of FixedViews(views={fixed.views}): use '
                f"{' or '.join(k.__name__ for k in VIEW_SAMPLERS)}, 'classroomkd_mm.ViewSampler', "
                'or one that yields i + len * v and has draws_views = True'
            )
        sampler.__class__ = kind
        start_anew(runner)
    return fixed


def sampler_of(loader: DataLoader) -> Sampler:
    """The one that says which samples are drawn."""
    inner = getattr(loader.batch_sampler, 'sampler', None)
    return cast(Sampler, loader.sampler if inner is None else inner)


def reseed_sampler(runner: Runner, seed: int | None) -> None:
    """Give the sampler the seed of the run that is resumed.

    Without a seed in the config MMEngine draws one, also for a resumed run's sampler, and finds
    the checkpoint's when that is built.
    """
    sampler = sampler_of(runner.train_dataloader)
    if seed is not None and getattr(sampler, 'seed', seed) != seed:
        sampler.seed = seed  # type: ignore[attr-defined]
        _order_anew(sampler)
        start_anew(runner)


def start_anew(runner: Runner) -> None:
    """Forget what the loop has drawn ahead: upstream's MMEngine does when it is built."""
    ahead = getattr(runner.train_loop, 'dataloader_iterator', None)
    if ahead is not None and ahead._iterator is not None:
        ahead._iterator = None  # it closes the order that it has drawn from
        _order_anew(sampler_of(runner.train_dataloader))
        ahead._iterator = iter(runner.train_dataloader)


def _order_anew(sampler: Sampler) -> None:
    if hasattr(sampler, '_indices_of_rank'):
        sampler.indices = sampler._indices_of_rank()  # type: ignore[attr-defined]


def _refuse_inside(dataset: object) -> None:
    """Refuse FixedViews where no sampler knows of it.

    Raises:
        ValueError: Naming the wrapper.
    """
    inner = [getattr(dataset, 'dataset', None), *(getattr(dataset, 'datasets', None) or ())]
    for each in inner:
        if isinstance(each, FixedViews) and each.views != 1:
            raise ValueError(
                f'FixedViews is inside a {type(dataset).__name__}, whose sampler knows of no '
                'views: let it wrap the whole data set'
            )
        if each is not None:
            _refuse_inside(each)
