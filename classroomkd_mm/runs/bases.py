"""Hooks that a classroom's config lost by a list of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size

from ..registry import HOOKS
from .student_config import _class_of, is_classroom


def dropped_hooks(cfg: Config) -> list[str]:
    """Types of hooks that a classroom's bases list in ``custom_hooks`` and the config has no more.

    A list replaces its base's. What counts is what the bases of the classroom's own files have,
    down to the stock recipe: what that left out of *its* bases is not lost here. Derived classes
    stand in for theirs, and a process alone has no ranks whose buffers ``SyncBuffersHook`` would
    average; a memory refuses ``PipelineSwitchHook``, which is not missed beside one. Both styles of
    configs are read again, from the file that the config names; without one (a config made in
    Python, or written out whole) there is nothing to find.

    Args:
        cfg: The final config.
    """
    path = cfg.filename
    if not path or not Path(path).is_file() or not is_classroom(cfg.get('model') or {}):
        return []
    kept = {name for hook in cfg.get('custom_hooks') or [] for name in _names(hook)}
    kept |= {'SyncBuffersHook'} if get_world_size() == 1 else set()
    kept |= {'PipelineSwitchHook'} if cfg.model.get('memory') else set()
    listed = dict.fromkeys(_name(hook) for hook in _hooks_of_bases(path))
    return [name for name in listed if name not in kept]


def _hooks_of_bases(path: str) -> Iterator[Mapping[str, Any]]:
    for base in _bases(path):
        cfg = Config.fromfile(base, import_custom_modules=False)
        yield from cfg.get('custom_hooks') or []
        if is_classroom(cfg.get('model') or {}):
            yield from _hooks_of_bases(base)


def _bases(path: str) -> list[str]:
    """The files that a config inherits from."""
    if not Config._is_lazy_import(path):
        return [Config._get_cfg_path(base, path)[0] for base in Config._get_base_files(path)]
    nodes = ast.parse(Path(path).read_text(encoding='utf-8')).body
    inside = (each for node in nodes if isinstance(node, ast.With) for each in node.body)
    return [str(_module_file(each, path)) for each in inside if isinstance(each, ast.ImportFrom)]


def _module_file(node: ast.ImportFrom, path: str) -> Path:
    """The file of a ``from ... import`` within ``with read_base()``."""
    parts = (node.module or '').split('.')
    if node.level:
        folder = Path(path).resolve().parents[node.level - 1]
    else:
        spec = find_spec(parts.pop(0))
        folder = Path(spec.origin if spec and spec.origin else '').parent
    return folder.joinpath(*parts).with_suffix('.py')


def _name(hook: Mapping[str, Any]) -> str:
    kind = _class_of(hook, HOOKS)
    return kind.__name__ if kind else str(hook.get('type')).split('.')[-1]


def _names(hook: Mapping[str, Any] | object) -> Iterable[str]:
    """The names that a hook answers to: its class's and those that it derives from."""
    kind = _class_of(hook, HOOKS) if isinstance(hook, Mapping) else type(hook)
    inherited = [each.__name__ for each in getattr(kind, '__mro__', ())]
    return [*inherited, _name(hook)] if isinstance(hook, Mapping) else inherited
