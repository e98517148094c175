"""Write the CIFAR-100 configs: plain files, each of which can be read alone.

configs/cls/cifar100/plain_NETWORK.py        every network by itself: mentors and students alone
configs/cls/cifar100/classroom_S_T.py        the literature's pairs: student S, teacher T, 5 peers
OUT/EXPERIMENT.py (with --official OUT)      the authors' experiments, from official.csv
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from classroomkd_mm.backbones import NETWORKS, cifar_classifier

FOLDER = Path('configs/cls/cifar100')
# student, teacher, peers; the peers are the ones that the authors give students of that kind.
SMALL = ('resnet8', 'resnet14', 'resnet20')
PAIRS = (
    ('resnet20', 'resnet56', ('resnet8', 'resnet14', 'ShuffleV2', 'MobileNetV2', 'ShuffleV1')),
    ('resnet32', 'resnet110', ('resnet8', 'resnet14', 'ShuffleV2', 'MobileNetV2', 'ShuffleV1')),
    ('resnet8x4', 'resnet32x4', ('resnet20', 'MobileNetV2', 'ShuffleV2', 'resnet56', 'vgg13')),
    ('wrn_16_2', 'wrn_40_2', ('resnet20', 'MobileNetV2', 'ShuffleV2', 'resnet56', 'vgg13')),
    ('wrn_40_1', 'wrn_40_2', (*SMALL, 'MobileNetV2', 'ShuffleV2')),
    ('vgg8', 'vgg13', ('resnet20', 'MobileNetV2', 'ShuffleV2', 'resnet56', 'resnet110')),
    ('MobileNetV2', 'ResNet50', (*SMALL, 'ShuffleV1', 'ShuffleV2')),
    ('ShuffleV1', 'resnet32x4', (*SMALL, 'MobileNetV2', 'ShuffleV2')),
    ('ShuffleV2', 'resnet32x4', (*SMALL, 'MobileNetV2', 'ShuffleV1')),
    ('ShuffleV1', 'wrn_40_2', ('resnet20', 'MobileNetV2', 'ShuffleV2', 'resnet56', 'vgg13')),
    ('MobileNetV2', 'vgg13', (*SMALL, 'ShuffleV1', 'ShuffleV2')),
)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example:\n  python tools/make_cifar100_configs.py --official work_dirs/official',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('--official', metavar='OUT', help="also write the authors' experiments")
    parser.add_argument(
        '--kd',
        choices=['last', 'all'],
        default='last',
        help="who teaches in their experiments kdtX: the last teacher alone, as in the authors'\n"
        'code (default), or all mentors, with equal weight; peers without a teacher all teach',
    )
    return parser.parse_args(argv)


def plain(name: str) -> str:
    """The config file of a network by itself."""
    model = cifar_classifier(name)
    parts = ''.join(f'    {part}={_call(model[part])},\n' for part in ('backbone', 'neck', 'head'))
    return (
        "_base_ = ['../../_base_/cifar100.py']\n"
        f"model = dict(\n    type='ImageClassifier',\n{parts})\n"
    )


def _call(value: Any) -> str:
    """A config value as one writes it: dict(...) without MMPretrain's own scope."""
    if isinstance(value, dict):
        return f'dict({", ".join(f"{key}={_call(item)}" for key, item in value.items())})'
    return repr(value.removeprefix('mmpretrain.') if isinstance(value, str) else value)


def classroom(
    student: str, mentors: Sequence[str], base: str, settings: dict[str, dict[str, Any]]
) -> str:
    """The config file of a student with its mentors, each a plain_NETWORK of 240 epochs.

    Mentors of one architecture are NETWORK-1, -2, ..., each trained in a work dir of that name.
    """
    names = [
        f'{name}-{mentors[:i].count(name) + 1}' if mentors.count(name) > 1 else name
        for i, name in enumerate(mentors)
    ]
    network = 'name' if names == list(mentors) else 'name.split("-")[0]'
    parts = ',\n'.join(f'    {key}={_call(value)}' for key, value in settings.items())
    return (
        f"_base_ = ['{base}/plain_{student}.py']\n"
        "custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]\n"
        "model = dict(\n    _delete_=True,\n    type='classroomkd_mm.ClassroomDistiller',\n"
        '    student=_base_.model,\n'
        '    mentors=[\n'
        f"        dict(name=name, config=f'{FOLDER}/plain_{{{network}}}.py',\n"
        "             checkpoint=f'work_dirs/plain_{name}/epoch_240.pth')\n"
        f'        for name in {tuple(names)!r}\n'
        f'    ],\n{parts})\n'
    )


def official_mentors(row: dict[str, str], kd: str = 'last') -> list[str]:
    """Who teaches in one of the authors' experiments.

    ``kdtX`` is for their code without switches, which distils from the last teacher alone; beside
    the switches for a whole classroom it stops with an error. Where the experiment has no teacher,
    all its peers teach here.

    Args:
        row: The experiment.
        kd: ``all`` takes all mentors in the experiments ``kdtX`` as well.
    """
    teachers, peers = row['teachers'].split(), row['peers'].split()
    if kd == 'last' and row['kd'].startswith('kdt') and teachers:
        return teachers[-1:]
    return [*teachers, *peers]


def official(row: dict[str, str], base: str, kd: str = 'last') -> str:
    """One of the authors' experiments, with the switches of their code (docs/differences.md)."""
    mentors = official_mentors(row, kd)
    kind, _, number = row['kd'].rpartition('t')
    if not mentors or row['kd'] == 'none':
        text = f"_base_ = ['{base}/plain_{row['student']}.py']\n"
    else:
        text = classroom(row['student'], mentors, base, _official_parts(kind, number, mentors))
    for key, value, usual in (
        ('epochs', 'train_cfg = dict(max_epochs={})', '240'),
        ('batch_size', 'train_dataloader = dict(batch_size={})', '64'),
    ):
        if row[key] != usual:
            text += value.format(row[key]) + '\n'
    return text


def _official_parts(kind: str, number: str, mentors: list[str]) -> dict[str, dict[str, Any]]:
    if kind == 'ask_':
        alike = len(mentors) > 1 and len(set(mentors)) == 1
        return dict(
            knowledge_filter=dict(
                type='KnowledgeFilter', granularity='batch', decimals=2, task_bias=float(alike)
            ),
            mentoring=dict(type='AdaptiveMentoring', alpha=float(number)),
            distill_loss=dict(type='KLDistillLoss', anchor=float(alike)),
        )
    return dict(
        knowledge_filter=dict(type='UniformFilter'),
        mentoring=dict(type='FixedMentoring', tau=float(number)),
        distill_loss=dict(type='DISTDistillLoss' if kind == 'dist_' else 'KLDistillLoss'),
    )


def files(folder: Path) -> dict[Path, str]:
    """The plain and classroom configs, by path."""
    settings = dict(
        knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
        mentoring=dict(type='AdaptiveMentoring', alpha=12.0),
        distill_loss=dict(type='KLDistillLoss'),
    )
    made = {folder / f'plain_{name}.py': plain(name) for name in NETWORKS}
    for student, teacher, peers in PAIRS:
        made[folder / f'classroom_{student}_{teacher}.py'] = classroom(
            student, [teacher, *peers], '.', settings
        )
    return made


def official_files(out: Path, kd: str = 'last') -> dict[Path, str]:
    """The authors' experiments, by path; ``kd`` as in :func:`official_mentors`."""
    base = str(FOLDER.resolve())
    with (FOLDER / 'official.csv').open() as file:
        rows = list(csv.DictReader(file))
    return {
        out / f'{row["experiment"].replace("/", "__")}.py': official(row, base, kd) for row in rows
    }


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write."""
    args = parse_args(argv)
    made = files(FOLDER)
    if args.official:
        made.update(official_files(Path(args.official), args.kd))
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f'{len(made)} configs written')


if __name__ == '__main__':
    main()
