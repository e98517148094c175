"""A run's whole config: its file, who teaches, what is changed, when and on what it evaluates."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config

from ..hooks.mentor_eval_hook import better
from ..runs import is_classroom, with_mentor_folder
from ..runs.options import check_option
from ..shipped import config_file
from .dumped import normal, parse_dumped, read_dumped, without
from .study_file import Run

DISTILLER = 'classroomkd_mm.ClassroomDistiller'
STOPPING = ('EarlyStoppingHook', 'ReduceOnPlateau')
FOLDER = frozenset({'folder'})  # of mentors' files: with_mentor_folder sets it by what is there


def load(path: str) -> Config:
    """The config in a file, each time a copy; the file is read once."""
    path = config_file(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'config {path!r} is not there')
    return copy.deepcopy(_load(path, os.stat(path).st_mtime_ns, os.getcwd()))


@lru_cache(maxsize=256)
def _load(path: str, changed: int, folder: str) -> Config:
    try:
        return Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'config {path!r} is not Python: {error}') from error


def changed_config(run: Run, seed: int | None = None) -> Config:
    """A run's config, taught by its mentors and changed by its options, of a seed if there is one.

    Raises:
        FileNotFoundError: Where there is no such file.
        ValueError: Where a lesson is for a config without mentors, or an option is the seed.
    """
    cfg = with_mentor_folder(load(run.config))
    if run.mentors and not is_classroom(cfg.model):
        student = cfg.model
        cfg.pop('model')
        mentors = [dict(mentor) for mentor in run.mentors]
        cfg.model = dict(type=DISTILLER, student=student, mentors=mentors)
    elif run.mentors:
        cfg.model.mentors = [dict(mentor) for mentor in run.mentors]
    if run.lesson and not is_classroom(cfg.model):
        raise ValueError(f'{run.config}: a lesson without mentors; set mentors')
    for part, settings in run.lesson.items():
        cfg.model[part] = copy.deepcopy(dict(settings))
    seeds = {} if seed is None else {'randomness.seed': seed}
    given: Any = run.options.get('randomness') or {}
    if seeds and ('randomness.seed' in run.options or 'seed' in given):
        raise ValueError('options: randomness: a run has the seed of its table: seeds, or --seeds')
    whole = cfg.to_dict() if run.options else {}
    for name in run.options:
        check_option(str(name), whole, run.config)
    # A copy: merging takes `_delete_` out of the options, which the next seed needs as well.
    cfg.merge_from_dict({**copy.deepcopy(dict(run.options)), **seeds})
    return cfg


def run_config(run: Run, seed: int, split: str) -> Config:
    """The run's whole config; it evaluates once, at the end, on the split that is asked for.

    Raises:
        ValueError: Where the run does not train by epochs.
    """
    cfg = changed_config(run, seed)
    cfg.train_cfg.val_interval = max_epochs(cfg, run)
    if split == 'test':
        cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    return cfg


def best_config(run: Run, seed: int, metric: str) -> Config:
    """The run's whole config; it keeps the checkpoint that is best on the validation split.

    Raises:
        ValueError: Where the run does not train by epochs.
    """
    cfg = changed_config(run, seed)
    max_epochs(cfg, run)
    hook = cfg.setdefault('default_hooks', {}).setdefault('checkpoint', {})
    hook.setdefault('type', 'CheckpointHook')
    hook.update(save_best=metric, rule='less' if better(metric) == 'smaller' else 'greater')
    return cfg


def max_epochs(cfg: Config, run: Run) -> int:
    """How many epochs a config trains.

    Raises:
        ValueError: Where it does not train by epochs.
    """
    if 'max_epochs' not in cfg.train_cfg:
        raise ValueError(f'{run.config}: train_cfg has no max_epochs; a study trains by epochs')
    return int(cfg.train_cfg.max_epochs)


def strings(value: object) -> Iterator[str]:
    """All texts in a setting."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def moved(value: Any, where: Mapping[str, str]) -> Any:
    """A setting with paths exchanged for others."""
    if isinstance(value, Mapping):
        return {key: moved(each, where) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(each, where) for each in value)
    return where.get(value, value) if isinstance(value, str) else value


def is_written(cfg: Config, path: Path) -> bool:
    """Whether a file holds this config; where mentors' files are looked for does not count."""
    try:
        there = read_dumped(path)
    except ValueError:  # classes and functions in it are compared as text
        return path.read_text() == cfg.pretty_text
    return without(normal(cfg.to_dict()), FOLDER) == without(there, FOLDER)


def as_text(cfg: Config) -> str:
    """A config as a file holds it: plain settings, or as MMEngine dumps it where there are others.

    MMEngine's own layout takes seconds for a large one, and swallows what interrupts it.
    """
    settings = cfg.to_dict()
    text = plain_text(settings)
    try:
        same = parse_dumped(text, '') == normal(settings)
    except ValueError:  # classes, functions
        same = False
    return text if same else str(cfg.pretty_text)


def plain_text(settings: Mapping[str, object]) -> str:
    """Plain settings as a config file."""
    lines = [f'{key} = {pformat(each, width=100)}' for key, each in settings.items()]
    return '\n'.join(lines) + '\n'


def same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two data loaders read the same samples."""
    keys = ('type', 'data_root', 'ann_file', 'data_prefix', 'split', 'indices')
    first, second = one.get('dataset') or {}, other.get('dataset') or {}
    return all(normal(first.get(key)) == normal(second.get(key)) for key in keys)


def choices(cfg: Mapping[str, Any], split: str, checkpoint: str, mentors: bool = True) -> list[str]:
    """What in a run was chosen by looking at the split that its figure is of, in words.

    Args:
        cfg: Its whole config.
        split: Of the figure.
        checkpoint: Which is quoted.
        mentors: Whether ``best_*.pth`` of a mentor counts, which where nothing but test data are
            validated on was chosen on them. Not of a config of :func:`run_config`, which says so
            of any.
    """
    val, test = cfg.get('val_dataloader') or {}, cfg.get('test_dataloader') or {}
    if split != 'test' or not same_data(val, test):
        return []
    loop = cfg.get('train_cfg') or {}
    once = int(loop.get('val_interval', 1)) >= int(loop.get('max_epochs', 0))
    found = ['its best epoch is chosen on the test split'] if checkpoint == 'best' else []
    parts = [*(cfg.get('custom_hooks') or []), *_listed(cfg.get('param_scheduler'))]
    kinds = [str(part.get('type', '')) for part in parts]
    if not once:
        found += [f'{kind} decides by the test split' for kind in kinds if _decides(kind)]
    weights = dict(model=cfg.get('model'), load_from=cfg.get('load_from')) if mentors else {}
    return found + [
        f'{path} was chosen on the test split'
        for path in strings(weights)
        if Path(path).name.startswith('best_') and path.endswith('.pth')
    ]


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [value] if isinstance(value, Mapping) else list(value or [])


def _decides(kind: str) -> bool:
    return any(name in kind for name in STOPPING)
