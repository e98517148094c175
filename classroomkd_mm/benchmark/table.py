"""The table of a benchmark: Markdown, CSV and LaTeX, with what is missing said to be missing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from ..analysis.tables import Rows, markdown
from .results import NO_COMMIT, Figure, Results
from .spec import Benchmark, Published
from .statistics import gaps, holm, interval, p_value

NONE = '-'
MISSING = 'missing'
FIELDS = (
    *('row', 'column', 'metric', 'split', 'checkpoint', 'seeds', 'mean', 'sd'),
    *('reference', 'difference', 'low', 'high', 'bootstrap_low', 'bootstrap_high'),
    *('p', 'p_holm', 'published', 'reproduced_minus_published', 'source', 'configs', 'logs'),
    'commits',
)


@dataclass(frozen=True)
class Entry:
    """A cell of the table, reckoned.

    Attributes:
        row: Its row's name.
        column: Its column's.
        figures: By seed; empty where it is missing.
        gaps: To the reference, of the seeds that both have.
        p: Of a paired t-test of them, None where there are less than two.
        corrected: That, corrected by Holm's method for all of the table.
        published: What others report.
    """

    row: str
    column: str
    figures: Mapping[int, Figure]
    gaps: Sequence[float]
    p: float | None
    corrected: float | None
    published: Published | None

    @property
    def values(self) -> list[float]:
        """Its figures, seed by seed."""
        return [self.figures[seed].value for seed in sorted(self.figures)]


def entries(bench: Benchmark, results: Results) -> list[Entry]:
    """All cells, reckoned."""
    found = {
        (row, column): gaps(results.values(row, column), results.values(bench.reference, column))
        for row, column in bench.places
        if bench.reference is not None and row != bench.reference
    }
    tested = {place: p_value(each) for place, each in found.items() if len(each) > 1}
    corrected = holm(tested)
    published = {(one.row, one.column): one for one in bench.published if not one.mentor}
    return [
        Entry(
            *place,
            results.figures.get(place, {}),
            found.get(place, ()),
            tested.get(place),
            corrected.get(place),
            published.get(place),
        )
        for place in bench.places
    ]


def brief(bench: Benchmark, made: Sequence[Entry], precise: int | None = None) -> Rows:
    """Rows of mean, standard deviation and paired difference, as tools/study.py prints them."""
    digits = bench.digits if precise is None else precise
    head = ['seeds', 'mean', 'sd', f'difference to {bench.reference}', '95 % interval']
    return [_names(bench, 'run', 'column') + head] + [
        _labels(bench, entry) + _numbers(bench, entry, digits) for entry in made
    ]


def _names(bench: Benchmark, row: str, column: str) -> list[str]:
    return [row] if list(bench.columns) == [''] else [row, column]


def _labels(bench: Benchmark, entry: Entry) -> list[str]:
    row, column = bench.rows[entry.row].title, bench.columns[entry.column].title
    return _names(bench, row, column)


def _numbers(bench: Benchmark, entry: Entry, digits: int) -> list[str]:
    """Seeds, mean, deviation, difference and its interval."""
    values = entry.values
    if not values:
        return ['0', MISSING, *[NONE] * 3]
    sd = f'{stdev(values):.{digits}f}' if len(values) > 1 else NONE
    count = str(len(values))
    if len(values) < len(bench.seeds):
        count += f' of {len(bench.seeds)}'
    return [
        count,
        f'{mean(values):.{digits}f}',
        sd,
        *difference(entry.gaps, bench.interval, digits),
    ]


def difference(found: Sequence[float], kind: str, digits: int) -> list[str]:
    """A paired difference and its interval, as text."""
    if not found:
        return [NONE, NONE]
    told = f'{mean(found):+.{digits}f}'
    if len(found) < 2:
        return [told, NONE]
    low, high = interval(found, kind)
    return [told, f'[{low:+.{digits}f}, {high:+.{digits}f}]']


def full(bench: Benchmark, made: Sequence[Entry], beside: Path) -> Rows:
    """As :func:`brief`, with corrected p values, published figures and links to all runs.

    Args:
        bench: The benchmark.
        made: Its cells.
        beside: The folder that links start at.
    """
    short = brief(bench, made)
    named = ['published', 'reproduced - published'] if bench.published else []
    rows = [[*short[0], 'p (Holm)', *named, 'runs']]
    for said, entry in zip(short[1:], made):
        p = NONE if entry.corrected is None else f'{entry.corrected:.3g}'
        published = _beside(entry, bench.digits) if bench.published else []
        rows.append([*said, p, *published, _links(entry, beside)])
    return rows


def _beside(entry: Entry, digits: int) -> list[str]:
    """The published figure, and how far ours is from it."""
    if entry.published is None:
        return [NONE, NONE]
    value = entry.published.value
    told = f'{mean(entry.values) - value:+.{digits}f}' if entry.values else NONE
    return [f'{value:g}', told]


def _links(entry: Entry, beside: Path) -> str:
    """Each run's seed, config and log."""
    links = []
    for seed, figure in sorted(entry.figures.items()):
        config, log = (os.path.relpath(path, beside) for path in (figure.config, figure.log))
        links.append(f'seed {seed}: [config]({config}) [log]({log})')
    return ', '.join(links) or NONE


def matrix(bench: Benchmark, made: Sequence[Entry]) -> Rows:
    """Rows by columns: mean and deviation, a published figure in brackets."""
    by_place = {(entry.row, entry.column): entry for entry in made}
    rows = [['', *(column.title for column in bench.columns.values())]]
    for row in bench.rows.values():
        cells = [by_place.get((row.name, column)) for column in bench.columns]
        rows.append([row.title, *(_cell(entry, bench.digits) for entry in cells)])
    return rows


def _cell(entry: Entry | None, digits: int) -> str:
    if entry is None:
        return ''
    values = entry.values
    told = f'{mean(values):.{digits}f}' if values else MISSING
    told += f' ± {stdev(values):.{digits}f}' if len(values) > 1 else ''
    return told + (f' ({entry.published.value:g})' if entry.published else '')


def notes(bench: Benchmark, results: Results) -> list[str]:
    """What a reader must know of the table's figures, a sentence each."""
    told = [f'{bench.metric}, {bench.split} split, {bench.checkpoint} checkpoint.']
    if results.rehearsal:
        told.insert(0, 'A rehearsal on stand-in data: the figures say nothing.')
    commits = results.commits()
    if len(commits) > 1:
        each = ', '.join(f'{short(commit)}: {count}' for commit, count in commits.most_common())
        told.append(f'**Runs of {len(commits)} commits** ({each}).')
    elif commits:
        told.append(f'All runs of {short(next(iter(commits)))}.')
    gathered = sum(bool(f.elsewhere) for cell in results.figures.values() for f in cell.values())
    told += [f'{gathered} runs were gathered from elsewhere.'] if gathered else []
    if results.missing:
        told.append(f'{len(results.missing)} runs are missing.')
    return told + _sources(bench)


def short(commit: str) -> str:
    """A commit's first letters, and whether files differed from it.

    >>> short('0123456789abcdef+')
    'commit 012345678+'
    """
    if commit == NO_COMMIT:
        return commit
    return 'commit ' + commit[:9] + ('+' if commit.endswith('+') else '')


def _sources(bench: Benchmark) -> list[str]:
    sources = dict.fromkeys(one.source for one in bench.published)
    return [f'Published: {"; ".join(sources)}.'] if sources else []


def document(bench: Benchmark, results: Results, beside: Path) -> str:
    """The whole table as Markdown."""
    made = entries(bench, results)
    parts = [f'# {bench.title}', bench.about, ' '.join(notes(bench, results))]
    if len(bench.columns) > 1:
        told = 'Mean ± standard deviation over seeds; in brackets: published.'
        parts += [told, markdown(matrix(bench, made), numeric=True)]
    parts.append(markdown(full(bench, made, beside), numeric=True))
    if bench.first:
        parts += ['Trained first:', markdown(mentors(bench, results), numeric=True)]
    if results.missing:
        parts.append('\n'.join(f'- {name}: {why}' for name, why in results.missing.items()))
    return '\n\n'.join(part for part in parts if part) + '\n'


def mentors(bench: Benchmark, results: Results) -> Rows:
    """Rows of those that were trained first, their last evaluation beside what was published."""
    rows = [['run', bench.metric, 'split', 'published', 'reproduced - published']]
    published = {one.mentor: one.value for one in bench.published if one.mentor}
    for name in bench.first:
        ours, split = results.mentors.get(name, (None, NONE))
        theirs = published.get(name)
        told = MISSING if ours is None else f'{ours:.{bench.digits}f}'
        if ours is None and name in results.mentors:
            told = f'trained, its log has no {bench.metric}'
        comparable = ours is not None and theirs is not None and split == bench.split
        gap = f'{ours - theirs:+.{bench.digits}f}' if comparable else NONE  # type: ignore[operator]
        rows.append([name, told, split, NONE if theirs is None else f'{theirs:g}', gap])
    return rows


def as_csv(bench: Benchmark, results: Results, beside: Path) -> str:
    """All cells as CSV, in full precision."""
    file = io.StringIO()
    writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
    writer.writeheader()
    for entry in entries(bench, results):
        writer.writerow(_fields(bench, entry, beside))
    return file.getvalue()


def _fields(bench: Benchmark, entry: Entry, beside: Path) -> dict[str, object]:
    seeds, values, found = sorted(entry.figures), entry.values, entry.gaps
    figures = [entry.figures[seed] for seed in seeds]
    made: dict[str, object] = dict(
        row=entry.row,
        column=entry.column,
        metric=bench.metric,
        split=bench.split,
        checkpoint=bench.checkpoint,
        seeds=' '.join(map(str, seeds)),
        mean=mean(values) if values else MISSING,
        sd=stdev(values) if len(values) > 1 else '',
        reference=bench.reference,
        difference=mean(found) if found else '',
        p='' if entry.p is None else entry.p,
        p_holm='' if entry.corrected is None else entry.corrected,
        configs=' '.join(os.path.relpath(figure.config, beside) for figure in figures),
        logs=' '.join(os.path.relpath(figure.log, beside) for figure in figures),
        commits=' '.join(dict.fromkeys(one for figure in figures for one in figure.commits)),
    )
    if len(found) > 1:
        made['low'], made['high'] = interval(found)
        made['bootstrap_low'], made['bootstrap_high'] = interval(found, 'bootstrap')
    if entry.published:
        made.update(published=entry.published.value, source=entry.published.source)
        made['reproduced_minus_published'] = mean(values) - entry.published.value if values else ''
    return made


def as_latex(bench: Benchmark, results: Results, beside: Path) -> str:
    """The table as LaTeX (booktabs), with each cell's runs as comments."""
    made = entries(bench, results)
    one = list(bench.columns) == ['']
    rows = brief(bench, made) if one else matrix(bench, made)
    lines = [f'% {note}' for note in notes(bench, results)]
    for entry in made:
        lines.append(f'% {entry.row}, {entry.column}: {_links(entry, beside)}')
    lines.append(f'\\begin{{tabular}}{{l{"r" * (len(rows[0]) - 1)}}}\n\\toprule')
    for i, row in enumerate(rows):
        lines.append(' & '.join(map(_latex, row)) + r' \\' + ('\n\\midrule' if i == 0 else ''))
    return '\n'.join([*lines, '\\bottomrule\n\\end{tabular}\n'])


def _latex(text: str) -> str:
    """A cell's text with LaTeX's own characters escaped."""
    for character in '&%_#':
        text = text.replace(character, f'\\{character}')
    return text.replace('±', r'$\pm$')


def written_into(text: str, name: str, rows: Rows) -> str:
    """A document with the table between its marks exchanged.

    Args:
        text: The document.
        name: Of the benchmark: the table stands between ``<!-- benchmark NAME -->`` and ``<!-- end
            benchmark -->``.
        rows: The table.

    Raises:
        ValueError: Where the marks are not there.
    """
    begin, end = f'<!-- benchmark {name} -->', '<!-- end benchmark -->'
    head, mark, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not mark or not closed:
        raise ValueError(f'the document has no {begin} ... {end}')
    return f'{head}{begin}\n{markdown(rows, numeric=True)}\n{end}{tail}'
