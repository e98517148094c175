"""Settings that are changed by their dotted names, misspelt ones refused."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import FlexibleRunner, Runner

# What a runner takes of a whole config, and what else is read of it by tools and by MMEngine.
RUNNER = frozenset(
    {
        *inspect.signature(Runner).parameters,
        *inspect.signature(FlexibleRunner).parameters,
        *('compile', 'find_unused_parameters', 'custom_imports', 'runner_type', 'cudnn_benchmark'),
    }
)
MISSPELT, NEAR = 0.85, 0.75  # how alike names are of which one is taken for, or may be, the other


def merge_options(cfg: Config, options: Mapping[str, Any] | None, flag: str, where: str) -> None:
    """Change settings of a config, which is changed in place.

    Args:
        cfg: The config.
        options: What is changed, by dotted names.
        flag: What they are called in errors.
        where: Names the config in errors.

    Raises:
        ValueError: For a misspelt name, see :func:`check_option`.
    """
    whole = cfg.to_dict() if options else {}
    for name in options or ():
        check_option(str(name), whole, where, flag)
    cfg.merge_from_dict(dict(options or {}))


def check_option(name: str, cfg: Mapping[str, Any], where: str, flag: str = 'options') -> None:
    """Refuse a dotted name that is a misspelt one: merging would add it, and change nothing.

    A setting may be new, but not nearly called as one that is there, nor be of the whole config and
    unknown to MMEngine's runner.

    Raises:
        ValueError: Naming the nearest.
    """
    parent: Any = cfg
    for i, key in enumerate(name.split('.')):
        if isinstance(parent, (list, tuple)) and key.isdigit() and int(key) < len(parent):
            parent = parent[int(key)]
            continue
        if not isinstance(parent, Mapping):
            return
        if key not in parent:
            known = [*parent, *(RUNNER if i == 0 else ())]
            near = difflib.get_close_matches(key, known, n=1, cutoff=MISSPELT if i else NEAR)
            if key in known or (i > 0 and not near):
                return
            hint = f'did you mean {near[0]!r}?' if near else f'{where} has no such setting'
            raise ValueError(f'{flag}: {name!r}: there is no {key!r}, {hint}')
        parent = parent[key]
