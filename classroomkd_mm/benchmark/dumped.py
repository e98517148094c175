"""Configs as MMEngine dumps them, read without running them, and what of them makes a figure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..datasets.fixed_views import VIEW_SAMPLERS
from ..runs.student_config import PACKAGE

Plain = Mapping[str, object]
# What may differ between machines, without another figure.
ELSEWHERE = {
    *('work_dir', 'launcher', 'resume', 'visualizer', 'vis_backends', 'log_level'),
    *('log_processor', 'env_cfg', 'default_hooks', 'custom_imports', 'experiment_name', 'folder'),
    *('num_workers', 'persistent_workers', 'pin_memory', 'auto_scale_lr', 'prefetch_factor'),
    *('dist_params', 'local_rank', 'dir'),
}
# Of these a folder's name counts as well: each seed of a mentor has an epoch_12.pth.
WEIGHTS = ('.pth', '.pt', '.ckpt', '.safetensors')
# What a run with FixedViews has taken in the place of its config's sampler.
STOCK = {f'{PACKAGE}.{view.__name__}': stock.__name__ for stock, view in VIEW_SAMPLERS.items()}
USED = (
    *('model', 'data_preprocessor', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    *('param_scheduler', 'custom_hooks', 'randomness', 'load_from'),
)


def read_dumped(path: Path) -> dict[str, object]:
    """The settings in a dumped config: literals and ``dict(...)`` alone.

    Raises:
        ValueError: Where there is anything else; it could be run, but not be trusted.
    """
    return parse_dumped(path.read_text(), str(path))


def parse_dumped(text: str, name: str) -> dict[str, object]:
    """As :func:`read_dumped`, of a text.

    Args:
        text: The config.
        name: Of its file, for messages.

    Raises:
        ValueError: Where it holds more than settings, or is not Python.
    """
    try:
        found = {}
        for node in ast.parse(text).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise ValueError(f'line {node.lineno} is not a setting')
            found[node.targets[0].id] = _literal(node.value)
        return found
    except (SyntaxError, ValueError) as error:
        raise ValueError(f'{name} is not a dumped config: {error}') from error


def _literal(node: ast.expr) -> object:
    """The value of a literal, in which ``dict(a=1)`` counts as one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        # MMEngine writes keys that are no names as dict({'a.b': 1}), or behind `**`.
        unnamed = [*node.args, *(each.value for each in node.keywords if each.arg is None)]
        if all(isinstance(each, ast.Dict) for each in unnamed):
            named = {each.arg: _literal(each.value) for each in node.keywords if each.arg}
            for each in unnamed:
                named.update(_literal(each))  # type: ignore[call-overload]
            return named
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_literal(k): _literal(v) for k, v in zip(node.keys, node.values) if k}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(each) for each in node.elts]
    return ast.literal_eval(node)


def normal(value: object) -> object:
    """A setting with tuples as lists and numbers compared by value, as in a dumped config."""
    if isinstance(value, Mapping):
        return {key: normal(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [normal(each) for each in value]
    return value


def without(value: object, names: frozenset[str] | set[str]) -> object:
    """A setting without these keys, at any depth."""
    if isinstance(value, Mapping):
        return {key: without(each, names) for key, each in value.items() if key not in names}
    if isinstance(value, list):
        return [without(each, names) for each in value]
    return value


def figures_of(cfg: Plain, split: str = '') -> dict[str, object]:
    """What of a config makes its figure: model, data, schedule, seed, not where anything lies.

    A path is its file's name, that of weights its folder's too; ClassroomHook, which reports, is
    left out.

    Args:
        cfg: The whole config.
        split: With ``val`` or ``test`` the evaluation is part of it.
    """
    used = {key: cfg[key] for key in USED if cfg.get(key)}
    loop = dict(used.get('train_cfg') or {})  # type: ignore[call-overload]
    used['train_cfg'] = {key: loop[key] for key in ('max_epochs', 'max_iters') if key in loop}
    used['custom_hooks'] = [
        hook
        for hook in used.get('custom_hooks') or []  # type: ignore[attr-defined]
        if not str(hook.get('type', '')).endswith('ClassroomHook')
    ]
    if split:
        loader = cfg.get(f'{split}_dataloader') or {}
        used['evaluation'] = [loader.get('dataset'), cfg.get(f'{split}_evaluator')]  # type: ignore
    return dict(_elsewhere(normal(used)))  # type: ignore[call-overload]


def _elsewhere(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _elsewhere(each) for k, each in value.items() if k not in ELSEWHERE}
    if isinstance(value, list):
        return [_elsewhere(each) for each in value]
    if isinstance(value, str) and '/' in value and '::' not in value:
        return '/'.join(Path(value).parts[-2 if value.endswith(WEIGHTS) else -1 :])
    return STOCK.get(value, value) if isinstance(value, str) else value


def differences(ours: object, theirs: object, at: str = '') -> Iterator[str]:
    """Where two settings differ, by dotted names, with both values."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*ours, *theirs)):
            if key not in theirs or key not in ours:
                has = ours if key in ours else theirs
                who = 'only here' if key in ours else 'only there'
                yield f'{at}{key}={_short(has[key])} {who}'
            else:
                yield from differences(ours[key], theirs[key], f'{at}{key}.')
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (one, other) in enumerate(zip(ours, theirs)):
            yield from differences(one, other, f'{at}{i}.')
    elif ours != theirs:
        yield f'{at[:-1]} is {_short(theirs)} there, {_short(ours)} here'


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f'{text[:77]}...'
