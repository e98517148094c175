"""Write the CIFAR-100 benchmarks: the literature's pairs, and the authors' experiments by table.

configs/benchmark/cifar100_same.yml, cifar100_cross.yml   published.csv has the figures
configs/benchmark/official_*.yml                          the experiments of official.csv
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import yaml
from make_cifar100_configs import FOLDER, PAIRS, official_mentors

OUT = Path('configs/benchmark')
PLAIN = f'{FOLDER}/plain_{{student}}.py'
SAME = ('resnet20', 'resnet32', 'resnet8x4', 'wrn_16_2', 'wrn_40_1', 'vgg8')
SOURCES = dict(
    teacher_alone="RepDistiller's README (CRD, arXiv 1910.10699)",
    alone="RepDistiller's README (CRD, arXiv 1910.10699)",
    kd="RepDistiller's README (CRD, arXiv 1910.10699)",
    dkd="mdistiller's README (DKD, arXiv 2203.08679)",
    dist="DIST_KD's README (arXiv 2205.10536)",
)
COMMON = dict(
    metric='accuracy/top1',
    checkpoint='last',
    split='test',
    digits=2,
    data={'data/cifar100': 'unpack https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz there'},
    samples=dict(train=50000, evaluation=10000),
)
EVERYBODY, FIXED, KL = (
    dict(type=name) for name in ('UniformFilter', 'FixedMentoring', 'KLDistillLoss')
)
# row: title, who of the column's mentors teaches, filter, mentoring, loss
METHODS: dict[str, tuple[Any, ...]] = dict(
    kd=('KD', 'first', EVERYBODY, {**FIXED, 'tau': 4.0}, KL),
    aver=('AVER', 'all', EVERYBODY, {**FIXED, 'tau': 4.0}, KL),
    camkd=('CA-MKD (logits)', 'all', dict(type='ConfidenceFilter'), {**FIXED, 'tau': 4.0}, KL),
    ebkd=('EBKD', 'all', dict(type='EntropyFilter'), {**FIXED, 'tau': 4.0}, KL),
    dkd=('DKD', 'first', EVERYBODY, {**FIXED, 'tau': 4.0}, dict(type='DKDDistillLoss')),
    dist=('DIST', 'first', EVERYBODY, {**FIXED, 'tau': 4.0}, dict(type='DISTDistillLoss')),
    dtkd=('DTKD', 'first', EVERYBODY, dict(type='DTKDMentoring', tau=4.0), KL),
    classroom=(
        *('ClassroomKD', 'all', dict(type='KnowledgeFilter', granularity='sample')),
        *(dict(type='AdaptiveMentoring', alpha=12.0), KL),
    ),
)
TABLES = dict(
    mentors='The number of mentors: 0T0P to 3T5P',
    peers="Who the mentors are: peers' and teachers' strength",
    temperature='The temperature: alpha of the mentoring module',
    students='Students and teachers',
    modules='Modules on and off, ranking',
)
NUMBERED = ('mobv2_student', 'trained_peers/mobv2', 'shufflev1_student', 'efficientnet_ablation')
PEERS = ('ca-mkd', 'mobv2_ablation', 'efficientnet_ablation', 'wrn162_student', 'wrn401_student')
# Experiments outside those folders that say who teaches, too.
ALSO_PEERS = (
    *('mobv2_student/1t0p_vgg', 'mobv2_student/1t5p_vgg', 'mobv2_student/peer_cifar'),
    *('shufflev1_student/1t5p_wrn402', 'shufflev1_student/1t5p_wrn402_betterpeers'),
    *('shufflev1_student/1t5p_wrn402_new', 'res20_student/1t5p_r56_all_same'),
    *('vgg8_student/1t5p_vgg', 'vgg8_student/1t5p_vgg_new', 'vgg8_student/3t3p_vgg'),
)
ABLATED = ('res20_student/1t5p_r56', 'mobv2_student/1t5p', 'shufflev1_student/1t5p_wrn402',
           'vgg8_student/1t5p_vgg')  # fmt: skip
Row = dict[str, str]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    return parser.parse_args(argv)


def table_of(row: Row) -> str:
    """The table that an experiment belongs to."""
    folder, _, name = row['experiment'].rpartition('/')
    if folder == 'dtkd':
        return 'temperature'
    counted = folder in NUMBERED and name.removesuffix('_dist')[0::2][:2].isdigit()
    if counted and len(name.removesuffix('_dist')) == 4:
        return 'mentors'
    if row['experiment'] in ALSO_PEERS or folder.startswith(PEERS):
        return 'peers'
    return 'students'


def pairs(title: str, chosen: Sequence[tuple[str, str, Sequence[str]]]) -> dict[str, Any]:
    """The benchmark of some of the literature's pairs."""
    names = dict.fromkeys(name for _, teacher, peers in chosen for name in (teacher, *peers))
    return dict(
        title=title,
        about=(
            "Published figures are of the literature's usual schedule (step decay); these runs "
            "have the authors' of ClassroomKD. CA-MKD is its weights without its feature loss. "
            'DKD has its defaults, not a beta for each pair.'
        ),
        **COMMON,
        seeds=3,
        reference='aver',
        train_first=_first(names),
        lessons={row: _lesson(*parts) for row, (_, _, *parts) in METHODS.items()},
        columns={f'{teacher}-{student}': _pair(student, teacher, peers)
                 for student, teacher, peers in chosen},
        rows=dict(
            alone=dict(title='student alone', config=PLAIN),
            **{row: dict(title=title, config=PLAIN, mentors=who, lesson=row)
               for row, (title, who, *_) in METHODS.items()},
        ),
        published=_published(chosen),
    )  # fmt: skip


def _pair(student: str, teacher: str, peers: Sequence[str]) -> dict[str, Any]:
    return dict(values=dict(student=student), mentors=[teacher, *peers])


def _first(names: Sequence[str]) -> dict[str, Any]:
    """The mentors' own runs; those of one architecture, NETWORK-1, -2, ..., differ by seed."""
    made = {}
    for name in names:
        network, _, number = name.partition('-')
        made[name] = dict(config=f'{FOLDER}/plain_{network}.py', seed=int(number or 0))
        if number:
            made[name]['work_dir'] = f'work_dirs/plain_{name}'
    return made


def _lesson(knowledge_filter: Any, mentoring: Any, distill_loss: Any) -> dict[str, Any]:
    return dict(knowledge_filter=knowledge_filter, mentoring=mentoring, distill_loss=distill_loss)


def _published(chosen: Sequence[tuple[str, str, Sequence[str]]]) -> list[dict[str, Any]]:
    with (FOLDER / 'published.csv').open() as file:
        facts = {(row['student'], row['teacher']): row for row in csv.DictReader(file)}
    made, teachers = [], set()
    for student, teacher, _ in chosen:
        row = facts[student, teacher]
        if teacher not in teachers:
            value = float(row['teacher_alone'])
            made.append(dict(mentor=teacher, value=value, source=SOURCES['teacher_alone']))
        teachers.add(teacher)
        for method in ('alone', 'kd', 'dkd', 'dist'):
            if row[method]:
                place = dict(row=method, column=f'{teacher}-{student}')
                made.append({**place, 'value': float(row[method]), 'source': SOURCES[method]})
    return made


def names_of(mentors: Sequence[str]) -> list[str]:
    """The mentors' names: those of one architecture are numbered, as their configs' are."""
    return [
        f'{name}-{mentors[:i].count(name) + 1}' if mentors.count(name) > 1 else name
        for i, name in enumerate(mentors)
    ]


def lesson_of(row: Row, mentors: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Name and parts of the lesson of one of the authors' experiments."""
    kind, _, number = row['kd'].rpartition('t')
    if kind != 'ask_':
        loss = dict(type='DISTDistillLoss' if kind == 'dist_' else 'KLDistillLoss')
        return row['kd'], _lesson(EVERYBODY, {**FIXED, 'tau': float(number)}, loss)
    alike = len(mentors) > 1 and len(set(mentors)) == 1
    batch = dict(type='KnowledgeFilter', granularity='batch', decimals=2, task_bias=float(alike))
    loss = dict(type='KLDistillLoss', anchor=float(alike))
    alpha = dict(type='AdaptiveMentoring', alpha=float(number))
    return f'{row["kd"]}{"_alike" * alike}', _lesson(batch, alpha, loss)


def cell_of(row: Row, lessons: dict[str, Any], first: dict[str, None]) -> dict[str, Any]:
    """The cell of one of the authors' experiments; its lesson and mentors are noted."""
    mentors = official_mentors(row)
    cell: dict[str, Any] = dict(values=dict(student=row['student']))
    if mentors and row['kd'] != 'none':
        name, parts = lesson_of(row, mentors)
        lessons[name] = parts
        cell.update(mentors=names_of(mentors), lesson=name)
        first.update(dict.fromkeys(names_of(mentors)))
    changed = {}
    if row['epochs'] != '240':
        changed['train_cfg.max_epochs'] = int(row['epochs'])
    if row['batch_size'] != '64':
        changed['train_dataloader.batch_size'] = int(row['batch_size'])
    return {**cell, 'options': changed} if changed else cell


def place_of(row: Row, table: str) -> tuple[str, str]:
    """Row and column of an experiment in its table."""
    folder, _, name = row['experiment'].rpartition('/')
    if table == 'mentors':
        name, dist = name.removesuffix('_dist').upper(), name.endswith('_dist')
        folder += '_dist' if dist else ''
    if table == 'temperature':
        folder, _, name = name.rpartition('_')
        name = f'alpha_{name}'
    return name, folder.replace('/', '__')


def official(table: str, experiments: Sequence[Row]) -> dict[str, Any]:
    """The benchmark of the authors' experiments of one table."""
    lessons: dict[str, Any] = {}
    first: dict[str, None] = {}
    rows: dict[str, Any] = {}
    for row in experiments:
        name, column = place_of(row, table)
        line = rows.setdefault(name, dict(config=PLAIN, cells={}))
        line['cells'][column] = cell_of(row, lessons, first)
    columns = dict.fromkeys(column for line in rows.values() for column in line['cells'])
    order = sorted(rows) if table in ('mentors', 'temperature') else list(rows)
    return _official(table, first, lessons, columns, {name: rows[name] for name in order})


def modules(experiments: Sequence[Row]) -> dict[str, Any]:
    """The benchmark of the two modules, each on and off, and of the ordinal ranking."""
    batch = dict(type='KnowledgeFilter', granularity='batch', decimals=2)
    ordinal = dict(type='KnowledgeFilter', granularity='batch', ranking='ordinal', strict=True)
    off, hot, no_filter = (
        {**FIXED, 'tau': 1.0},
        dict(type='AdaptiveMentoring', alpha=12.0),
        {
            **EVERYBODY,
            'weight': 1.0,
        },
    )
    lessons = dict(
        neither=_lesson(no_filter, off, KL),
        filter=_lesson(batch, off, KL),
        mentoring=_lesson(no_filter, hot, KL),
        both=_lesson(batch, hot, KL),
        ordinal=_lesson(ordinal, hot, KL),
    )
    chosen = [row for row in experiments if row['experiment'] in ABLATED]
    columns = {
        row['experiment'].replace('/', '__'): dict(
            values=dict(student=row['student']), mentors=official_mentors(row)
        )
        for row in chosen
    }
    first = dict.fromkeys(name for row in chosen for name in official_mentors(row))
    rows = {name: dict(config=PLAIN, mentors='all', lesson=name) for name in lessons}
    made = _official('modules', first, lessons, columns, rows)
    return {**made, 'reference': 'both'}


def _official(
    table: str, first: dict[str, None], lessons: Any, columns: Any, rows: Any
) -> dict[str, Any]:
    return dict(
        title=f"ClassroomKD, the authors' experiments. {TABLES[table]}",
        about=(
            "From the authors' list of experiments (official.csv), with the switches of their code "
            '(docs/differences.md). Their figures per experiment are not in the list. Experiments '
            "of the list that differ in the mentors' weights alone are one run here."
        ),
        **COMMON,
        seeds=1,
        train_first=_first(list(first)),
        lessons=lessons,
        columns=columns,
        rows=rows,
    )


def files() -> dict[Path, str]:
    """All benchmarks, by path."""
    with (FOLDER / 'official.csv').open() as file:
        experiments = list(csv.DictReader(file))
    same, cross = ([p for p in PAIRS if (p[0] in SAME) == is_same] for is_same in (True, False))
    made = dict(
        cifar100_same=pairs('CIFAR-100, student and teacher of one kind', same),
        cifar100_cross=pairs('CIFAR-100, student and teacher of different kinds', cross),
        official_modules=modules(experiments),
    )
    for table in TABLES:
        chosen = [row for row in experiments if table_of(row) == table]
        if chosen:
            made[f'official_{table}'] = official(table, chosen)
    return {OUT / f'{name}.yml': text(benchmark) for name, benchmark in made.items()}


def text(benchmark: dict[str, Any]) -> str:
    """A benchmark as YAML, on as few lines as can be read."""
    _Plain.add_representer(dict, _mapping)
    head = '# Written by tools/make_cifar100_benchmarks.py\n'
    return head + yaml.dump(
        benchmark, Dumper=_Plain, sort_keys=False, default_flow_style=None, width=110
    )


class _Plain(yaml.SafeDumper):
    """Without references: each lesson is written out."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _mapping(dumper: _Plain, data: dict[str, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping('tag:yaml.org,2002:map', data.items())


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write."""
    parse_args(argv)
    OUT.mkdir(parents=True, exist_ok=True)
    made = files()
    for path, content in made.items():
        path.write_text(content)
    print(f'{len(made)} benchmarks written')


if __name__ == '__main__':
    main()
