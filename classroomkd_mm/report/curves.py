"""Runs of one method put together: curves over training, with a band where there are seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import mean, stdev

from .logs import Line, Points, WorkDir

# What a line of classroom.jsonl says of a mentor.
OF_MENTORS = ('active', 'score', 'rank', 'weight', 'temperature', 'muted_batches')
DIGITS = 5  # significant ones on the page

Plain = dict[str, object]


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes:
        name: What the page calls them.
        runs: At least one.
    """

    name: str
    runs: tuple[WorkDir, ...]

    @property
    def taught(self) -> bool:
        """Whether they had mentors."""
        return bool(self.mentors)

    @property
    def mentors(self) -> tuple[str, ...]:
        """All that taught in any of the runs."""
        return tuple(dict.fromkeys(name for run in self.runs for name in run.mentors))

    @property
    def by_keypoint(self) -> bool:
        """Whether each keypoint was filtered by itself, as far as the config says."""
        model = (self.runs[0].cfg or {}).get('model') or {}
        return (model.get('knowledge_filter') or {}).get('granularity') == 'keypoint'

    @property
    def by_epoch(self) -> bool:
        """Whether each epoch has one line, so that epochs are what is counted."""
        return all(
            len({line['epoch'] for line in run.lessons}) == len(run.lessons) for run in self.runs
        )


def grouped(runs: Sequence[WorkDir]) -> list[Group]:
    """Runs of one recipe and different seeds together, in the order in which they were named."""
    kinds: list[list[WorkDir]] = []
    for run in runs:
        same = (them for them in kinds if them[0].recipe == run.recipe)
        others = next((them for them in same if run.seed not in [each.seed for each in them]), None)
        if others is None:
            kinds.append([run])
        else:
            others.append(run)
    names = _names([_path(them) for them in kinds])
    return [Group(name, tuple(them)) for name, them in zip(names, kinds)]


def _path(runs: Sequence[WorkDir]) -> Path:
    path = runs[0].path.resolve()
    return path.parent if path.name.startswith('seed') else path


def _names(paths: Sequence[Path]) -> list[str]:
    """Folders' names, with those of their parents where that tells them apart."""
    names = [path.name for path in paths]
    for depth in range(2, max((len(path.parts) for path in paths), default=1)):
        if len(set(names)) == len(names):
            break
        names = ['/'.join(path.parts[-depth:]) for path in paths]
    return [name if names.count(name) == 1 else f'{name} ({i})' for i, name in enumerate(names, 1)]


def rounded(value: float | None) -> float | None:
    """A number as the page gets it; what is not finite is None, which JSON has a word for."""
    return float(f'{value:.{DIGITS}g}') if value is not None and isfinite(value) else None


def banded(curves: Iterable[Points]) -> Plain:
    """Mean of several curves at each step, and one standard deviation around it.

    >>> banded([{1: 1.0}, {1: 3.0, 2: 5.0}])['mean']
    [2.0, 5.0]
    """
    known = [{x: y for x, y in curve.items() if isfinite(y)} for curve in curves]
    steps = sorted({step for curve in known for step in curve})
    at = [[curve[step] for curve in known if step in curve] for step in steps]
    means = [mean(values) for values in at]
    found: Plain = dict(x=steps, mean=[rounded(value) for value in means])
    if any(len(values) > 1 for values in at):
        spread = [stdev(values) if len(values) > 1 else 0.0 for values in at]
        found.update(low=[rounded(m - s) for m, s in zip(means, spread)])
        found.update(high=[rounded(m + s) for m, s in zip(means, spread)])
    return found


def lesson_curves(group: Group) -> Plain:
    """All that classroom.jsonl says, over epochs (iterations where training counts these)."""
    step = 'epoch' if group.by_epoch else 'iter'

    def over(value: Callable[[Line], float | None]) -> Plain:
        return banded(
            {line[step]: found for line in run.lessons if (found := value(line)) is not None}
            for run in group.runs
        )

    def of(name: str, key: str) -> Plain:
        return over(lambda line: (line['mentors'].get(name) or {}).get(key))

    shared = ('student_score', 'task_weight', 'lesson_to_task', 'against')
    whole: Plain = {key: over(lambda line, key=key: line.get(key)) for key in shared}  # type: ignore
    mentors = {name: {key: of(name, key) for key in OF_MENTORS} for name in group.mentors}
    return dict(whole, step=step, mentors=mentors)


def metric_curves(group: Group) -> dict[str, Plain]:
    """The student's evaluations by metric."""
    names = dict.fromkeys(name for run in group.runs for name in run.evaluations)
    return {name: banded(run.evaluations.get(name, {}) for run in group.runs) for name in names}


def last_share(group: Group, mentor: str) -> float | None:
    """Which share of the last epoch's samples a mentor taught, the mean of seeds that got there."""
    ends = [_at(run) for run in group.runs if run.lessons]
    runs = [run for run in group.runs if run.lessons and _at(run) == max(ends)]
    return _share(runs, mentor, lambda values: values[-1])


def _at(run: WorkDir) -> tuple[float, float]:
    return run.lessons[-1]['epoch'], run.lessons[-1]['iter']


def mean_share(group: Group, mentor: str) -> float | None:
    """Which share of all epochs' samples it taught."""
    return _share(group.runs, mentor, mean)


def _share(
    runs: Iterable[WorkDir], mentor: str, pick: Callable[[Sequence[float]], float]
) -> float | None:
    found = []
    for run in runs:
        rows: list[Mapping[str, float]] = [line['mentors'].get(mentor, {}) for line in run.lessons]
        values = [row['active'] for row in rows if 'active' in row]
        found += [pick(values)] if values else []
    return mean(found) if found else None
