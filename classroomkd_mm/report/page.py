"""The page: one file that needs no other, made of data that the browser draws."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

from ..version import __version__
from .classroom import Asked
from .curves import Group, Plain, lesson_curves, metric_curves
from .figures import COLOURS
from .gallery import as_data
from .logs import Points, WorkDir
from .standing import answer, percent, standings

LIBRARIES = ('jinja2', 'plotly')
HERE = Path(__file__).parent
FIRST = ('coco/AP', 'PCK', 'PCKh', 'accuracy/top1', 'AUC', 'NME')  # metrics, the most telling first
WAITS = 0.2  # a share of a step from which on waiting for data is worth a word


@dataclass(frozen=True)
class Told:
    """A group, and what was asked of its classroom.

    Attributes:
        group: It.
        asked: None where nothing was.
    """

    group: Group
    asked: Asked | None = None


def data_of(
    told: Sequence[Told], left_out: Sequence[str], metric: str | None, right: float
) -> Plain:
    """All that a page shows.

    Args:
        told: The groups, the one that the page is about first.
        left_out: What the page lacks, and why, a sentence each.
        metric: Which is drawn first; the most telling if None.
        right: From which score on a pose counts as right.

    Raises:
        ValueError: For a metric that no run reports.
    """
    groups = [each.group for each in told]
    metrics, first = reported(groups), chosen_metric(groups, metric)
    made = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC')
    return dict(
        version=__version__,
        made=made,
        groups=[_group(each, ends(groups, first)) for each in told],
        metrics=metrics,
        metric=first,
        left_out=list(left_out),
        right=right,
        colours=COLOURS,
    )


def reported(groups: Sequence[Group]) -> list[str]:
    """The metrics of all groups, those of the first one first."""
    return list(dict.fromkeys(name for group in groups for name in metric_curves(group)))


def chosen_metric(groups: Sequence[Group], metric: str | None = None) -> str | None:
    """Which metric is drawn first; None where no run was evaluated.

    Raises:
        ValueError: For one that no run reports.
    """
    metrics = reported(groups)
    if metric is not None and metric not in metrics:
        raise ValueError(f'--metric {metric}: the runs report {", ".join(metrics) or "none"}')
    own = reported(groups[:1]) or metrics
    telling = [name for key in FIRST for name in own if name == key or name.endswith('/' + key)]
    return metric or next(iter((*telling, *own)), None)


def ends(groups: Sequence[Group], metric: str | None) -> str:
    """Where each group's student ends, in a sentence; empty where none was evaluated."""
    found = []
    for group in groups:
        curves = [points for run in group.runs if (points := _points(run, metric))]
        end = max((max(points) for points in curves), default=0)
        last = [points[end] for points in curves if end in points]
        behind = f' ({len(last)} of {len(curves)} runs have got so far)'
        if last:
            found.append(f'{group.name} {mean(last):.4g}' + behind * (len(last) < len(curves)))
    return f'{metric} of the students at the end: {", ".join(found)}.' if found else ''


def _points(run: WorkDir, metric: str | None) -> Points:
    return run.evaluations.get(metric or '', {})


def _group(told: Told, students: str) -> Plain:
    group, asked = told.group, told.asked
    found: Plain = dict(
        name=group.name,
        taught=group.taught,
        what='keypoints' if group.by_keypoint else 'samples',
        mentors=list(group.mentors),
        runs=[dict(path=str(run.path), seed=run.seed) for run in group.runs],
        metrics=metric_curves(group),
        steps=[asdict(run.steps) for run in group.runs if run.steps],
    )
    if not group.taught:
        return found
    standing = standings(group, asked.looked if asked else None, asked.cost if asked else None)
    rows = [
        dict(asdict(each), alone_share=each.alone_share, verdict=each.verdict) for each in standing
    ]
    found.update(lessons=lesson_curves(group), standings=rows, answer=answer(standing))
    found.update(remarks=[*filter(None, [students]), *remarks(told)])
    if asked is not None:
        cost = dict(asdict(asked.cost), rest=asked.cost.rest, shares=asked.cost.shares)
        looked = as_data(asked.looked, asked.metainfo)
        found.update(looked=dict(looked, source=str(asked.checkpoint)), cost=cost)
    return found


def remarks(told: Told) -> list[str]:
    """What else the first screen says of a group, a sentence each."""
    found = []
    lines = [run.lessons[-1] for run in told.group.runs if run.lessons]
    blanks = sum(line.get('unlabelled', 0) for line in lines)
    if blanks:
        found.append(f'{blanks} samples of the last epoch had no label.')
    muted = {
        name
        for run in told.group.runs
        for line in run.lessons
        for name, row in line['mentors'].items()
        if row.get('muted_batches')
    }
    if muted:
        found.append(f'Not finite in some batches, and muted there: {", ".join(sorted(muted))}.')
    waits = [run.steps.waiting for run in told.group.runs if run.steps]
    if waits and max(waits) > WAITS:
        found.append(
            f'A step waited for data for {percent(max(waits))} of its time: more '
            'train_dataloader.num_workers would save more than any mentor does.'
        )
    return found


def as_json(data: Mapping[str, object]) -> str:
    r"""Data for a script element: nothing in it can end the element, or begin another.

    >>> print(as_json({'name': '</script>'}))
    {"name":"\u003c/script\u003e"}
    """
    text = json.dumps(data, separators=(',', ':'), allow_nan=False)
    for each in '<>&\u2028\u2029':
        text = text.replace(each, f'\\u{ord(each):04x}')
    return text


def missing_libraries() -> list[str]:
    """What a page is made with, and is not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]


def check_libraries() -> None:
    """Refuse to begin without what a page is made with.

    Raises:
        ImportError: Naming what is missing, and how it is installed.
    """
    missing = missing_libraries()
    if missing:
        names = ' '.join(missing)
        raise ImportError(f'report needs {" and ".join(missing)}: pip install {names}')


def page(data: Mapping[str, object], title: str) -> str:
    """The page, as the text of an HTML file.

    Args:
        data: Of :func:`data_of`.
        title: Its heading.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template('page.html.j2').render(
        title=title,
        data=data,
        json=as_json(data),
        style=(HERE / 'page.css').read_text(),
        script=(HERE / 'page.js').read_text(),
        plotly=get_plotlyjs(),
    )
