"""What the log files of a work dir say: evaluations, and which starts the run in it is of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..hooks.mentor_eval_hook import better
from .dumped import read_dumped

SCALARS = '*/vis_data/scalars.json'
TRAINING = frozenset({'loss', 'lr', 'base_lr'})  # a record with one of these is no evaluation's
CLOCKS = frozenset({'time', 'data_time', 'memory', 'step', 'epoch', 'iter'})
CONFIG = 'vis_data/config.py'  # of a start
RESUMED = re.compile(r'^resume = True$', re.MULTILINE)  # also where classes make it unreadable


def starts(folder: Path) -> list[Path]:
    """The folders of a work dir's starts that made what it holds, oldest first.

    MMEngine makes one for each start. A training that was not resumed began anew: what lies there
    from before is of another run.
    """
    found = sorted(path.parents[1] for path in folder.glob(SCALARS))
    anew = [i for i, start in enumerate(found) if _begins(start)]
    return found[anew[-1] :] if anew else found


def _begins(start: Path) -> bool:
    """Whether a start trained, and was no resume."""
    config, scalars = start / CONFIG, start / 'vis_data/scalars.json'
    if not config.is_file() or RESUMED.search(config.read_text()):
        return False
    lines = scalars.read_text(errors='replace').splitlines()
    return any(TRAINING & set(parsed(line)) for line in lines)


def from_its_start(cfg: Mapping[str, object], folder: Path) -> dict[str, object]:
    """A work dir's config with the weights that its run began with.

    Of a resumed run ``load_from`` is what it was resumed from; its first start has its own.

    Args:
        cfg: The config that was dumped.
        folder: The work dir.

    Raises:
        ValueError: Where no start says which.
    """
    if not cfg.get('resume'):
        return dict(cfg)
    first = next((start / CONFIG for start in starts(folder)), folder / CONFIG)
    if not first.is_file() or read_dumped(first).get('resume'):
        raise ValueError(
            f'{folder} was resumed, and no start in it says what weights it began with'
        )
    return {**cfg, 'resume': False, 'load_from': read_dumped(first).get('load_from')}


def best_of(records: Sequence[Mapping[str, float]], metric: str) -> Mapping[str, float]:
    """The best record by a metric: the smallest of an error (NME, EPE), else the largest."""
    best = min if better(metric) == 'smaller' else max
    return best(records, key=lambda record: record[metric])


def evaluations(folder: Path, metric: str) -> list[dict[str, float]]:
    """All records with the metric in MMEngine's scalars files, oldest first."""
    return [record for record in records(folder) if metric in record]


def evaluated(record: Mapping[str, float]) -> dict[str, float]:
    """The figures of a record that is of an evaluation; none of one that is of training."""
    if TRAINING & set(record):
        return {}
    return {
        key: float(value)
        for key, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        if key not in CLOCKS and not key.startswith('classroom')
    }


def records(folder: Path) -> list[dict[str, float]]:
    """All records of MMEngine's scalars files that are of the run in a work dir, oldest first."""
    files = [start / 'vis_data/scalars.json' for start in starts(folder)]
    return [parsed(line) for path in files for line in path.read_text().splitlines()]


def parsed(line: str) -> dict[str, Any]:
    """A line of a log; empty for one that is none, as where a run was killed while it wrote it."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def last_evaluation(folder: Path, metric: str) -> dict[str, float]:
    """The last record with the metric in MMEngine's scalars files.

    Raises:
        ValueError: Where the evaluator does not report the metric.
    """
    found = evaluations(folder, metric)
    if not found:
        told = dict.fromkeys(key for each in records(folder) for key in evaluated(each))
        raise ValueError(f'metric={metric!r} is not reported in {folder}; {names(told)}')
    return found[-1]


def last_test(folder: Path) -> dict[str, float]:
    """The figures of the newest evaluation in a work dir that was a test's, by MMEngine's own log.

    A training's log of that name has lines, a test's is one mapping.
    """
    for path in sorted(folder.glob('*/[0-9]*.json'), reverse=True):
        figures = evaluated(parsed(path.read_text()))
        if figures:
            return figures
    return {}


def names(figures: Iterable[str]) -> str:
    """Which figures there are, in words."""
    return f'there are {", ".join(key for key in figures if key != "step") or "none"}'
