"""What a benchmark file says: rows, columns, seeds, what is quoted, what was published.

It is YAML with closed keys; docs/benchmarks.md shows all of them. Instead of rows and columns it
can name a study of configs/study, whose runs are then its rows.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import yaml

from .closed import check_keys, file_name, known, of_type
from .study_file import Study, read_study

CHECKPOINTS, SPLITS, INTERVALS = ('last', 'best'), ('val', 'test'), ('t', 'bootstrap')
PARTS = ('scorer', 'knowledge_filter', 'mentoring', 'distill_loss', 'memory')
CELL = ('config', 'mentors', 'lesson', 'options', 'values')
FIRST = ('config', 'options', 'seed', 'work_dir')
PLACE = ('row', 'column', 'mentor', 'value', 'source')
COMMON = (
    *('title', 'about', 'checkpoint', 'split', 'seeds', 'interval', 'digits', 'data', 'samples'),
    *('train_first', 'published', 'keep_checkpoints', 'metric', 'reference', 'processes'),
)
OF_STUDY = (*COMMON, 'study', 'runs')
OF_TABLE = (*COMMON, 'rows', 'columns', 'options', 'lessons', 'mentors')

Options = Mapping[str, object]
Lesson = Mapping[str, Mapping[str, object]]
Taught = Union[str, Sequence[str], None]


@dataclass(frozen=True)
class Cell:
    """What a row, a column or a place in the table says of a run; the rest others say.

    Attributes:
        config: A config file; ``{name}`` stands for a value.
        mentors: Their names; in a row also ``all`` or ``first`` of the column's.
        lesson: Parts of the classroom, by setting.
        options: What is changed in the config, by dotted names.
        values: What ``{name}`` stands for.
    """

    config: str | None = None
    mentors: Taught = None
    lesson: Lesson | None = None
    options: Options = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A row or a column: its name, how it is headed, and what it says of its runs.

    Attributes:
        name: Of its folder.
        title: Its head in the table.
        cell: What it says of all its runs.
        cells: Of a row that has some columns only, what it says of each.
    """

    name: str
    title: str
    cell: Cell
    cells: Mapping[str, Cell] | None = None


@dataclass(frozen=True)
class First:
    """A run that others wait for: a mentor's, or the one whose weights a student starts from.

    Attributes:
        name: Of it as a mentor.
        config: Its config file, which is trained as it is.
        options: What is changed in it.
        seed: The run's, or None for the config's own.
        work_dir: Where it is trained, and looked for.
    """

    name: str
    config: str
    options: Options
    seed: int | None
    work_dir: str


@dataclass(frozen=True)
class Published:
    """A figure that somebody else reports, of a row and column or of a mentor."""

    row: str
    column: str
    mentor: str
    value: float
    source: str


@dataclass(frozen=True)
class Benchmark:
    """A benchmark file.

    Attributes:
        path: The file.
        title: Of the table.
        about: What a reader should know of it.
        metric: Of the evaluation.
        checkpoint: Which is quoted: the ``last``, or the ``best`` on the validation split.
        split: Whose figures these are.
        seeds: Of every cell.
        reference: The row that others are compared with.
        interval: By Student's ``t`` or by ``bootstrap``.
        digits: After the point.
        data: Files and folders that must be there, and how one gets them.
        samples: How many the splits have, where the data are not at hand.
        keep_checkpoints: Whether the cells' checkpoints stay.
        processes: How many processes, a GPU each, train a cell together.
        rows: By name.
        columns: By name.
        options: What is changed in all cells.
        mentors: Entries of mentors that are not trained here, by name.
        first: Runs that others wait for, by name.
        published: Figures of others.
        study: The stem of the study that it is made of.
    """

    path: Path
    title: str
    about: str
    metric: str
    checkpoint: str
    split: str
    seeds: tuple[int, ...]
    reference: str | None
    interval: str
    digits: int
    data: Mapping[str, str]
    samples: Mapping[str, int]
    keep_checkpoints: bool
    processes: int
    rows: Mapping[str, Line]
    columns: Mapping[str, Line]
    options: Options
    mentors: Mapping[str, Mapping[str, object]]
    first: Mapping[str, First]
    published: tuple[Published, ...]
    study: str | None = None

    @property
    def places(self) -> list[tuple[str, str]]:
        """Row and column of all cells, row by row."""
        return [
            (row.name, column)
            for row in self.rows.values()
            for column in (self.columns if row.cells is None else row.cells)
        ]


def read_benchmark(path: str | Path) -> Benchmark:
    """The benchmark in a file.

    Raises:
        ValueError: Where it says something that is not understood; the message begins with the file
            and the place in it.
        FileNotFoundError: Where there is none.
    """
    path = Path(path)
    try:
        said = yaml.load(path.read_text(), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} is not YAML: {error}') from error
    keys = OF_STUDY if isinstance(said, Mapping) and 'study' in said else OF_TABLE
    said = check_keys(str(path), said, keys)
    try:
        return _of_study(path, said) if 'study' in said else _of_table(path, said)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the safe loader's.

        Raises:
            yaml.YAMLError: Naming the key and its line.
        """
        own = [key for key, _ in node.value if key.tag != 'tag:yaml.org,2002:merge']
        names = [self.construct_object(key, deep=True) for key in own]
        for i, key in enumerate(own):
            if names.index(names[i]) < i:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f'line {line}: {names[i]!r} is there already, rename one')
        return super().construct_mapping(node, deep)


def _of_study(path: Path, said: Mapping[str, object]) -> Benchmark:
    study: Study = read_study(of_type('study', said['study'], str))
    names = _strings('runs', said.get('runs', list(study.runs)))
    rows = {
        known('runs', name, study.runs): Line(name, name, Cell(run.config, options=run.options))
        for name, run in study.runs.items()
        if name in names
    }
    for name in names:
        known('runs', name, study.runs)
    said = {'metric': study.metric, 'reference': study.reference, **said}
    columns = {'': Line('', '', Cell())}
    return _benchmark(path, said, rows, columns, study=Path(str(said['study'])).stem)


def _of_table(path: Path, said: Mapping[str, object]) -> Benchmark:
    lessons = {
        name: _lesson(f'lessons.{name}', parts)
        for name, parts in _mapping('lessons', said.get('lessons')).items()
    }
    made = {
        kind: {
            file_name(kind, name): _line(f'{kind}.{name}', str(name), line, lessons, kind)
            for name, line in _mapping(kind, said.get(kind)).items()
        }
        for kind in ('rows', 'columns')
    }
    for kind, lines in made.items():
        if not lines:
            raise ValueError(f'{kind} is missing: a benchmark has rows and columns, or a study')
    for row in made['rows'].values():
        for column in row.cells or ():
            known(f'rows.{row.name}.cells', column, made['columns'])
    return _benchmark(path, said, made['rows'], made['columns'])


def _benchmark(
    path: Path,
    said: Mapping[str, object],
    rows: Mapping[str, Line],
    columns: Mapping[str, Line],
    study: str | None = None,
) -> Benchmark:
    first = {
        file_name('train_first', name): _first(str(name), one)
        for name, one in _mapping('train_first', said.get('train_first')).items()
    }
    mentors = _mapping('mentors', said.get('mentors'))
    reference = said.get('reference')
    return Benchmark(
        path=path,
        title=of_type('title', said.get('title', path.stem), str),
        about=of_type('about', said.get('about', ''), str).strip(),
        reference=None if reference is None else known('reference', reference, rows),
        data=_data(said.get('data', [])),
        samples=_samples(said.get('samples')),
        rows=rows,
        columns=columns,
        options=_mapping('options', said.get('options')),
        mentors={name: _mapping(f'mentors.{name}', entry) for name, entry in mentors.items()},
        first=first,
        published=_published(said.get('published', []), rows, columns, first),
        study=study,
        **_figure(said),  # type: ignore[arg-type]
    )


def _data(said: object) -> dict[str, str]:
    """How one gets what must be there, by its path: a list of paths says nothing of it."""
    if isinstance(said, Mapping):
        return {str(path): of_type(f'data.{path}', how, str) for path, how in said.items()}
    return dict.fromkeys(_strings('data', said), '')


def _figure(said: Mapping[str, object]) -> dict[str, object]:
    """What a cell's figure is of, and how it is told."""
    if 'metric' not in said:
        raise ValueError('metric is missing: the name of a figure of the evaluation')
    return dict(
        metric=of_type('metric', said['metric'], str),
        checkpoint=known('checkpoint', said.get('checkpoint', 'last'), CHECKPOINTS),
        split=known('split', said.get('split', 'test'), SPLITS),
        seeds=_seeds(said.get('seeds', 1)),
        interval=known('interval', said.get('interval', 't'), INTERVALS),
        digits=_at_least(0, 'digits', said.get('digits', 4)),
        keep_checkpoints=of_type('keep_checkpoints', said.get('keep_checkpoints', False), bool),
        processes=_at_least(1, 'processes', said.get('processes', 1)),
    )


def _line(where: str, name: str, said: object, lessons: Mapping[str, Lesson], kind: str) -> Line:
    own = ('title', *CELL, 'cells') if kind == 'rows' else ('title', *CELL)
    said = check_keys(where, {} if said is None else said, own)
    inner = {key: value for key, value in said.items() if key in CELL}
    cells = None
    if 'cells' in said:
        cells = {
            str(column): _cell(f'{where}.cells.{column}', cell, lessons)
            for column, cell in _mapping(f'{where}.cells', said['cells']).items()
        }
    title = of_type(f'{where}.title', said.get('title', name), str)
    return Line(name, title, _cell(where, inner, lessons), cells)


def _cell(where: str, said: object, lessons: Mapping[str, Lesson]) -> Cell:
    said = check_keys(where, {} if said is None else said, CELL)
    mentors, lesson = said.get('mentors'), said.get('lesson')
    if isinstance(mentors, str):
        known(f'{where}.mentors', mentors, ('all', 'first'))
    elif mentors is not None:
        mentors = _strings(f'{where}.mentors', mentors)
    if isinstance(lesson, str):
        lesson = lessons[known(f'{where}.lesson', lesson, lessons)]
    elif lesson is not None:
        lesson = _lesson(f'{where}.lesson', lesson)
    return Cell(
        config=None if 'config' not in said else of_type(f'{where}.config', said['config'], str),
        mentors=mentors,
        lesson=lesson,
        options=_mapping(f'{where}.options', said.get('options')),
        values=_mapping(f'{where}.values', said.get('values')),
    )


def _lesson(where: str, said: object) -> Lesson:
    return {
        name: _mapping(f'{where}.{name}', part)
        for name, part in check_keys(where, said, PARTS).items()
    }


def _first(name: str, said: object) -> First:
    where = f'train_first.{name}'
    said = check_keys(where, said, FIRST)
    if 'config' not in said:
        raise ValueError(f'{where}.config is missing')
    config = of_type(f'{where}.config', said['config'], str)
    seed = said.get('seed')
    return First(
        name,
        config,
        _mapping(f'{where}.options', said.get('options')),
        None if seed is None else _seed(f'{where}.seed', seed),
        of_type(f'{where}.work_dir', said.get('work_dir', f'work_dirs/{Path(config).stem}'), str),
    )


def _published(
    said: object,
    rows: Mapping[str, Line],
    columns: Mapping[str, Line],
    first: Mapping[str, First],
) -> tuple[Published, ...]:
    made = []
    for i, figure in enumerate(of_type('published', said, list)):
        where = f'published[{i}]'
        figure = check_keys(where, figure, PLACE)
        row, column, mentor = (str(figure.get(key, '')) for key in ('row', 'column', 'mentor'))
        if mentor:
            known(f'{where}.mentor', mentor, first)
        else:
            known(f'{where}.row', row, rows), known(f'{where}.column', column, columns)
        value = of_type(f'{where}.value', figure.get('value'), float)
        source = of_type(f'{where}.source', figure.get('source'), str)
        made.append(Published(row, column, mentor, value, source))
    return tuple(made)


def _seeds(said: object) -> tuple[int, ...]:
    """Seeds as a list, or from 0 as many as a number says."""
    seeds = range(said) if isinstance(said, int) and not isinstance(said, bool) else said
    if not isinstance(seeds, (list, range)) or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds must be a number of at least 1 or a list of seeds; got {said!r}')
    return tuple(_seed('seeds', seed) for seed in seeds)


def _seed(where: str, said: object) -> int:
    seed = _at_least(0, where, said)
    if seed >= 2**32:
        raise ValueError(f'{where}={seed} must be less than 2 ** 32')
    return seed


def _at_least(least: int, where: str, said: object) -> int:
    number = of_type(where, said, int)
    if number < least:
        raise ValueError(f'{where}={number} must be at least {least}')
    return number


def _samples(said: object) -> Mapping[str, int]:
    given = check_keys('samples', {} if said is None else said, ('train', 'evaluation'))
    return {key: of_type(f'samples.{key}', value, int) for key, value in given.items()}


def _mapping(where: str, said: object) -> dict[str, object]:
    return dict(of_type(where, {} if said is None else said, dict))


def _strings(where: str, said: object) -> list[str]:
    return [of_type(f'{where}[{i}]', one, str) for i, one in enumerate(of_type(where, said, list))]


def filled(value: object, values: Mapping[str, object], where: str) -> object:
    """A setting with its ``{name}`` exchanged for values, inside lists and mappings as well.

    Raises:
        ValueError: For a name that has no value.
    """
    if isinstance(value, Mapping):
        return {key: filled(each, values, where) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(each, values, where) for each in value]
    if not isinstance(value, str):
        return value
    names = re.findall(r'\{(\w+)\}', value)
    for name in names:
        known(f'{where}: {value!r}', name, values)
    return re.sub(r'\{(\w+)\}', lambda found: str(values[found[1]]), value)
