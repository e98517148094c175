"""What a benchmark's runs gave, read from their work dirs and reckoned anew from their logs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .configs import choices, is_written, same_data
from .dumped import differences, figures_of, read_dumped
from .jobs import BROKEN, DONE, Job
from .record import FAILED, METRICS, RUN, changed_weights, read
from .scalars import best_of, evaluations, last_test
from .spec import Benchmark

NO_COMMIT = 'no known commit'


@dataclass(frozen=True)
class Figure:
    """A run's figure, and where it is from.

    Attributes:
        value: Of the metric.
        seed: The run's.
        config: Its whole config's file.
        log: Its log.
        commits: That it ran with.
        seconds: That it took, None where that is not known.
        elsewhere: The work dir that it was gathered from; empty for one of this benchmark's runs.
    """

    value: float
    seed: int
    config: Path
    log: Path
    commits: tuple[str, ...] = ()
    seconds: float | None = None
    elsewhere: str = ''


Place = tuple[str, str]


@dataclass(frozen=True)
class Results:
    """All that a table is made of.

    Attributes:
        figures: By row and column, and seed.
        missing: Why a run has none, by its name.
        mentors: Figures of those that have been trained first, None where their logs have none, and
            the split that each is of: their own evaluation's, which need not be the table's.
        rehearsal: Whether these are figures of stand-in data.
    """

    figures: Mapping[Place, Mapping[int, Figure]]
    missing: Mapping[str, str]
    mentors: Mapping[str, tuple[float | None, str]]
    rehearsal: bool = False

    def values(self, row: str, column: str) -> dict[int, float]:
        """A cell's figures by seed."""
        return {seed: figure.value for seed, figure in self.figures.get((row, column), {}).items()}

    def commits(self) -> Counter[str]:
        """How many runs each commit made."""
        return Counter(
            commit
            for cell in self.figures.values()
            for figure in cell.values()
            for commit in figure.commits or (NO_COMMIT,)
        )


def gather(bench: Benchmark, jobs: Mapping[str, Job]) -> Results:
    """What is there of a benchmark.

    Args:
        bench: It.
        jobs: All its runs.
    """
    figures: dict[Place, dict[int, Figure]] = {}
    missing: dict[str, str] = {}
    mentors: dict[str, tuple[float | None, str]] = {}
    for name, job in jobs.items():
        if job.makes:
            if job.state() == DONE:
                told = _last_figure(job), _evaluated_on(job, bench.split)
                mentors[name.removeprefix('mentor ')] = told
            continue
        why = missing_because(job)
        if why:
            missing[name] = why
        else:
            figures.setdefault((job.row, job.column), {})[job.seed or 0] = _figure(job)
    rehearsal = any(job.stand_in is not None for job in jobs.values())
    return Results(figures, missing, mentors, rehearsal)


def _last_figure(job: Job) -> float | None:
    """Of the checkpoint that others wait for."""
    found = evaluations(job.folder, job.metric)
    at_the_end = found and found[-1].get('step') == job.last_epoch
    return found[-1][job.metric] if at_the_end else None


def _evaluated_on(job: Job, split: str) -> str:
    """The split of a mentor's own evaluation: its validation split, which can be the test split."""
    cfg = job.config()
    same = same_data(cfg.get('val_dataloader') or {}, cfg.get('test_dataloader') or {})
    return split if same else 'val'


def _figure(job: Job) -> Figure:
    said = read(job.folder / RUN)
    seconds = said.get('seconds')
    return Figure(
        value=float(json.loads((job.folder / METRICS).read_text())[job.metric]),
        seed=job.seed or 0,
        config=job.folder.with_name(f'{job.folder.name}.py'),
        log=job.folder / 'train.log',
        commits=tuple(said.get('commits') or ()),  # type: ignore[arg-type]
        seconds=None if seconds is None else float(str(seconds)),
        elsewhere=str(said.get('from', '')),
    )


def missing_because(job: Job) -> str:
    """Why a run has no figure for the table; empty where it has one."""
    state = job.state()
    if state == BROKEN:
        return f'failed: {read(job.folder / FAILED).get("error")}'
    if state != DONE:
        return {'to do': 'not run', 'begun': 'begun, not ended'}[state]
    return other_settings(job) or _chosen(job) or _unreadable(job)


def _unreadable(job: Job) -> str:
    path = job.folder / METRICS
    try:
        told = json.loads(path.read_text())[job.metric]
    except (ValueError, KeyError, TypeError) as error:
        return f'{path} is damaged ({type(error).__name__}: {error}): remove it'
    number = isinstance(told, (int, float)) and not isinstance(told, bool)
    return '' if number else f'{path} is damaged ({job.metric} is {told!r}): remove it'


def other_settings(job: Job) -> str:
    """How a work dir's run differs from the benchmark's, in words; empty where it does not."""
    config = job.folder.with_name(f'{job.folder.name}.py')
    if not config.is_file():
        return f'{job.folder} has no config beside it'
    try:
        said = read(job.folder / RUN)
    except ValueError as error:
        return str(error)
    if 'from' in said:
        ours = figures_of(job.config(), job.split)
        found = list(differences(ours, figures_of(read_dumped(config), _split(job))))
        return f'another config: {found[0]}' if found else ''
    if not is_written(job.config(), config):
        return f'{job.folder} holds a run of other settings'
    return changed_weights(job.folder)


def _split(job: Job) -> str:
    """The split that a gathered run's own config evaluates with."""
    return 'test' if job.quoted == 'best, test' else 'val'


def _chosen(job: Job) -> str:
    """What the run chose by the split that its figure is of."""
    if 'from' in read(job.folder / RUN):
        cfg = read_dumped(job.folder.with_name(f'{job.folder.name}.py'))
        return '; '.join(choices(cfg, job.split, job.checkpoint))
    return '; '.join(choices(job.config(), job.split, job.checkpoint, mentors=False))


def reckoned(job: Job) -> float | None:
    """A run's figure anew from its own logs; None where they do not have it."""
    if job.quoted == 'best, test':
        return last_test(job.folder).get(job.metric)
    found = evaluations(job.folder, job.metric)
    if not found:
        return None
    quoted = best_of(found, job.metric) if job.checkpoint == 'best' else found[-1]
    return quoted[job.metric]


def untrue(jobs: Mapping[str, Job]) -> list[str]:
    """Figures that their runs' logs do not bear out, a sentence each."""
    found = []
    for name, job in jobs.items():
        if job.makes or missing_because(job):
            continue
        kept, anew = _figure(job).value, reckoned(job)
        if anew is None:
            found.append(f'{name}: {kept} has no log in {job.folder}')
        elif not math.isclose(kept, anew, rel_tol=1e-9, abs_tol=1e-12):
            found.append(f'{name}: {METRICS} says {kept}, the log {anew}')
    return found
