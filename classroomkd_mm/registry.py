"""Child registries of MMEngine's, scope ``classroomkd_mm``."""

import difflib
from typing import Any

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='classroomkd_mm', locations=['classroomkd_mm']
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='classroomkd_mm', locations=['classroomkd_mm.hooks']
)


def build_part(cfg: dict[str, Any], setting: str) -> Any:
    """Build a part of the distiller (scorer, filter, mentoring, loss) without a scope prefix.

    A run's ``default_scope`` is its student's library, which does not know these classes.

    Raises:
        TypeError: Where the setting is no ``dict(type=...)``.
        KeyError: Where its type is not registered.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise TypeError(f'{setting}={cfg!r} must be a dict(type=...)')
    name = cfg['type']
    if isinstance(name, str) and MODELS.get(name) is None:
        near = difflib.get_close_matches(name, MODELS.module_dict, n=2)
        hint = f'did you mean {" or ".join(near)}?' if near else 'is its module in custom_imports?'
        raise KeyError(f'{setting}: type={name!r} is not registered; {hint}')
    return MODELS.build({'_scope_': 'classroomkd_mm', **cfg})
