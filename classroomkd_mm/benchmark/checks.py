"""What stands in the way of a benchmark's runs, found before the first of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..kinds import check_settings
from ..registry import MODELS
from ..runs import is_classroom
from ..shipped import shipped
from .dumped import differences, figures_of, read_dumped
from .jobs import DONE, Job
from .spec import PARTS, Benchmark

FREE = ('randomness', 'evaluation')


def unready(bench: Benchmark, jobs: Mapping[str, Job]) -> list[str]:
    """What must be there and is not, a sentence each."""
    if any(job.stand_in for job in jobs.values()):
        return []
    return [
        f'missing: {path} ({bench.path} needs it){how and ": " + how}'
        for path, how in bench.data.items()
        if not Path(path).exists()
    ]


def faults(bench: Benchmark, jobs: Mapping[str, Job]) -> list[str]:
    """Why runs cannot be run, a sentence each: configs, mentors, parts, checkpoints.

    Whether an evaluation reports the metric only the first of the runs tells.
    """
    made = {path for job in jobs.values() for path in job.checkpoints.values()}
    found: dict[str, None] = {}
    asked: set[str] = set()
    for name, job in reversed(list(jobs.items())):  # those that others wait for come last
        try:
            cfg = job.config()
        except (ValueError, KeyError, OSError, TypeError) as error:
            found[f'{name}: {error}'] = None
            continue
        asked.update(str(each.get('checkpoint')) for each in cfg.model.get('mentors') or ())
        lost = _of_epochs(job, cfg, asked)
        for fault in (*_of_model(cfg, made, bench.data), *_of_first(job), *lost):
            found[f'{job.row or name}{job.column and ", " + job.column}: {fault}'] = None
    return list(reversed(found))


def _of_model(cfg: Config, made: set[str], data: Collection[str]) -> Iterator[str]:
    if not is_classroom(cfg.model):
        return
    for mentor in cfg.model.get('mentors') or ():
        yield from _of_mentor(mentor, made, data)
    for part in PARTS:
        said = dict(cfg.model.get(part) or {})
        kind = said.pop('type', None)
        if kind is None:
            continue
        found = MODELS.get(str(kind))
        if found is None:
            yield f'{part}: type={kind!r} is not registered'
            continue
        try:
            check_settings(found, said, part)
        except (TypeError, ValueError) as error:
            yield str(error)


def _of_mentor(mentor: Mapping[str, Any], made: set[str], data: Collection[str]) -> Iterator[str]:
    """A mentor's config and weights that are nowhere, and that no run of the benchmark makes."""
    for key in ('config', 'checkpoint'):
        path = mentor.get(key)
        if path is None or '://' in str(path) or '::' in str(path) or str(path) in made:
            continue
        needed = any(str(path).startswith(each) for each in data)  # told of by unready
        if not needed and not Path(shipped(str(path))).is_file():
            yield f'mentor {mentor.get("name")}: {key} {path} is not there, and no run makes it'


def _of_epochs(job: Job, cfg: Config, asked: set[str]) -> Iterator[str]:
    """Checkpoints before the last that others ask for, and its own config does not keep."""
    said = cfg.get('default_hooks', {}).get('checkpoint', {})
    interval, keep = said.get('interval', 1), said.get('max_keep_ckpts', -1)
    names = list(job.checkpoints)
    saved = names[interval - 1 :: interval]
    kept = {*(saved[-keep:] if keep > 0 else saved), *names[-1:]}
    for name in names if job.stand_in is None else ():
        if name in asked and name not in kept:
            yield (
                f'{name} is asked for, and {job.run.config} does not keep it: set '
                'default_hooks.checkpoint.max_keep_ckpts=-1'
            )


def _of_first(job: Job) -> Iterator[str]:
    """Weights that are there already, but were trained with another config."""
    if not job.makes or job.state() != DONE or job.stand_in:
        return
    for path in job.folder.glob(f'{Path(job.run.config).stem}.py'):
        ours, theirs = (
            {key: value for key, value in figures_of(cfg).items() if key not in FREE}
            for cfg in (job.config().to_dict(), read_dumped(path))
        )
        for said in list(differences(ours, theirs))[:1]:
            yield f'{job.weights} was trained with another config: {said}'
