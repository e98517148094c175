"""A student's entry in OpenMMLab's model index: a metafile, and the index that names it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..benchmark.scalars import evaluated, records
from .facts import dataset_of
from .source import Source

COLLECTION = dict(
    Name='ClassroomKD',
    Paper=dict(
        Title='Classroom-Inspired Multi-Mentor Distillation with Adaptive Learning Strategies',
        URL='https://arxiv.org/abs/2409.20237',
    ),
)
# Data sets as the index calls them; others by their type.
DATA = dict(
    Coco='COCO', CocoWholeBody='COCO-WholeBody', Mpii='MPII', ImageNet='ImageNet-1k',
    CIFAR10='CIFAR-10', CIFAR100='CIFAR-100',
)  # fmt: skip
TASKS = dict(mmpose='Body 2D Keypoint', mmpretrain='Image Classification')


def metafile(source: Source, name: str, parameters: int, files: Mapping[str, str]) -> str:
    """The metafile as YAML.

    Args:
        source: The student.
        name: Its name in the index.
        parameters: How many it has.
        files: Its ``Config`` and ``Weights``, as paths beside the index.
    """
    cfg = source.cfg
    backbone = (cfg.model.get('backbone') or {}).get('type')
    kind = str(dataset_of(cfg).get('type', 'unknown')).removesuffix('Dataset')
    data = DATA.get(kind, kind)
    result = dict(Task=TASKS.get(cfg.get('default_scope', 'mmpose')), Dataset=data)
    metrics = metrics_at(source.folder, source.step)
    entry: dict[str, Any] = {
        'Name': name,
        'In Collection': COLLECTION['Name'],
        'Metadata': {
            'Training Data': data,
            'Architecture': [str(backbone)],
            'Parameters': parameters,
            'Mentors': [str(each.get('name')) for each in source.mentors],
        },
        **files,
    }
    if metrics:  # of weights that nobody evaluated, nothing is known
        entry['Results'] = [dict(result, Metrics=metrics)]
    return yaml.safe_dump(dict(Collections=[COLLECTION], Models=[entry]), sort_keys=False)


def index(metafile_: str) -> str:
    """The model index as YAML.

    Args:
        metafile_: The metafile's path.
    """
    return yaml.safe_dump(dict(Import=[metafile_]), sort_keys=False)


def metrics_at(folder: Path, step: int | None) -> dict[str, float]:
    """The metrics of a run's evaluation at a step, without their prefixes; none where it had none.

    Args:
        folder: The work dir.
        step: The epoch or iteration; None for one that is not known.
    """
    there = records(folder) if step is not None else []
    found = [evaluated(record) for record in there if record.get('step') == step]
    last = next((figures for figures in reversed(found) if figures), {})
    # COCO's figures are -1 where there is nobody of that size.
    return {key.split('/')[-1]: value for key, value in last.items() if value >= 0}
