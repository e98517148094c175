"""What a config says of its classroom, and the config of the student alone."""

import copy
import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any, Optional

from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner

from ..datasets import FixedViews
from ..datasets.fixed_views import VIEW_SAMPLERS
from ..distiller import ClassroomDistiller
from ..parts.label_loss import HEATMAP_MSE, LabelKLLoss
from ..registry import DATA_SAMPLERS, DATASETS, HOOKS, MODELS

STUDENT_FILE = 'student.py'
PACKAGE = 'classroomkd_mm'


def is_classroom(model: Mapping[str, Any]) -> bool:
    """Whether a model's config is of :class:`ClassroomDistiller` or of a class derived from it."""
    kind = _class_of(model, MODELS)
    return kind is not None and issubclass(kind, ClassroomDistiller)


def with_classroom_hook(cfg: Config) -> Config:
    """The config with ClassroomHook, if it is a classroom's and has none; its hooks stay."""
    hooks = cfg.get('custom_hooks') or []
    kinds = [_class_of(hook, HOOKS) for hook in hooks if isinstance(hook, Mapping)]
    present = any(c.__name__ == 'ClassroomHook' for kind in kinds if kind for c in kind.__mro__)
    if is_classroom(cfg.model) and not present:
        cfg.custom_hooks = [*hooks, dict(type=f'{PACKAGE}.ClassroomHook')]
    return cfg


def student_config(cfg: Config) -> Config:
    """A run's config with the student in place of the classroom, without the classroom's hooks.

    Any checkpoint of the run fits it, and it needs this package only where it uses one of its
    networks or data sets; FixedViews give way to the data set that they wrap. It has no file name
    and no work dir, lest it write over the classroom's.
    """
    plain = copy.deepcopy(cfg)
    _put_data_in_place_of_views(plain.get('train_dataloader') or {})
    if is_classroom(plain.model):
        classroom = plain.model
        plain.model = classroom.student
        if classroom.get('data_preprocessor') is not None:
            plain.model.setdefault('data_preprocessor', classroom.data_preprocessor)
    _put_stock_losses(plain.model)
    hooks = [hook for hook in plain.get('custom_hooks') or [] if not _is_ours(hook)]
    plain.update(custom_hooks=hooks, load_from=None, resume=False)
    plain.pop('work_dir', None)
    # What a config only defines to make its classroom of; the runner reads the rest by these names.
    read = signature(Runner).parameters
    for key in [key for key in plain if key not in read and _needs_package(plain[key])]:
        plain.pop(key)
    plain.custom_imports = _imports(plain)
    return Config(plain.to_dict())


def _put_data_in_place_of_views(loader: dict[str, Any]) -> None:
    dataset, sampler = loader.get('dataset') or {}, loader.get('sampler') or {}
    if issubclass(_class_of(dataset, DATASETS) or object, FixedViews):
        loader['dataset'] = dataset['dataset']
        stock = {drawn: each.__name__ for each, drawn in VIEW_SAMPLERS.items()}
        drawn = _class_of(sampler, DATA_SAMPLERS)
        if drawn in stock:
            sampler['type'] = stock[drawn]


def _put_stock_losses(value: Any) -> None:
    """Put each head's own loss in LabelKLLoss's place."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, each in items:
        kind = each.get('type') if isinstance(each, Mapping) else None
        if getattr(kind, '__name__', str(kind)).split('.')[-1] == LabelKLLoss.__name__:
            value[key] = each.get('task', HEATMAP_MSE)
        elif isinstance(each, (Mapping, list)):
            _put_stock_losses(each)


def _imports(cfg: Config) -> Optional[dict[str, Any]]:
    """The config's imports, without this package's and its rules' where nothing of them is left."""
    custom = cfg.pop('custom_imports', None) or {}
    named = custom.get('imports') or []
    named = [named] if isinstance(named, str) else named
    if not _needs_package(cfg.to_dict()):
        left = _types(cfg.to_dict())
        named = [name for name in named if name.split('.')[0] != PACKAGE]
        named = [name for name in named if not _holds_rules_alone(name, left)]
    return {**custom, 'imports': list(named)} if named else None


def _holds_rules_alone(name: str, left: set[str]) -> bool:
    """Whether a module makes use of this package, and nothing in a config is of its classes.

    A package's are those of its modules as well.
    """
    found = vars(sys.modules[name]).values() if name in sys.modules else ()
    classes = [each for each in found if isinstance(each, type)]
    uses = any(c.__module__.split('.')[0] == PACKAGE for each in classes for c in each.__mro__)
    root = name.split('.')[0]
    return uses and not left & {c.__name__ for c in classes if c.__module__.split('.')[0] == root}


def _types(value: object) -> set[str]:
    """The names of all types in a config, without their scopes."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        kind = value.get('type')
        found |= {getattr(kind, '__name__', str(kind)).split('.')[-1]} if kind else set()
        value = list(value.values())
    for each in value if isinstance(value, (list, tuple)) else ():
        found |= _types(each)
    return found


def _needs_package(value: object) -> bool:
    if isinstance(value, Mapping):
        kind = value.get('type')
        module = kind if isinstance(kind, str) else getattr(kind, '__module__', '')
        ours = module.split('.')[0] == PACKAGE or value.get('_scope_') == PACKAGE
        return ours or any(_needs_package(each) for each in value.values())
    return isinstance(value, (list, tuple)) and any(_needs_package(each) for each in value)


def _is_ours(hook: object) -> bool:
    """Whether a hook is this package's, or derived from one: of no use to a student alone."""
    kind = _class_of(hook, HOOKS) if isinstance(hook, Mapping) else type(hook)
    return any(c.__module__.split('.')[0] == PACKAGE for c in getattr(kind, '__mro__', ()))


def _class_of(cfg: Mapping[str, Any], registry: Registry) -> Optional[type]:
    """The class that a ``dict(type=...)`` names or holds; None where it is not known here."""
    kind = cfg.get('type')
    if isinstance(kind, str):
        kind = registry.get(kind)
    return kind if isinstance(kind, type) else None
