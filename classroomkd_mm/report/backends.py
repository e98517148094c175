"""The page's figures for MMEngine's visualisation backends: TensorBoard, Weights & Biases, others.

What a run logs itself (``classroom_epoch/*``) is there already; what was asked of its classroom
afterwards is added here, under ``classroom_report/``.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.registry import VISBACKENDS
from mmengine.visualization import Visualizer

from .classroom import Asked
from .curves import Group
from .figures import figures
from .findings import taught_by_keypoint
from .gallery import skeleton
from .standing import standings

SCOPE = 'classroom_report'
FOLDER = 'report'  # in the work dir, where a viewer of the run finds it
# Packages of MMEngine's backends, which they import with the first figure.
NEEDS = dict(
    TensorboardVisBackend='tensorboard', WandbVisBackend='wandb', MLflowVisBackend='mlflow',
    ClearMLVisBackend='clearml', NeptuneVisBackend='neptune', DVCLiveVisBackend='dvclive',
    AimVisBackend='aim',
)  # fmt: skip
SHORT = dict(tensorboard='TensorboardVisBackend', wandb='WandbVisBackend')


def backend_config(name: str, cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    """A backend's config: the run's own where it has one of this type.

    Args:
        name: ``tensorboard``, ``wandb``, or the name of a class that MMEngine knows.
        cfg: The run's config.

    Raises:
        ValueError: For an unknown name; for a backend whose package is missing.
    """
    kind = SHORT.get(name, name)
    if VISBACKENDS.get(kind) is None:
        known = ', '.join(sorted({*SHORT, *VISBACKENDS.module_dict} - {'LocalVisBackend'}))
        raise ValueError(f'--to {name}: there is no such backend; choose from {known}')
    needs = NEEDS.get(kind, 'mmengine')
    if needs not in sys.modules and find_spec(needs) is None:
        raise ValueError(f'--to {name} needs {needs}, which is not installed: pip install {needs}')
    own = ((cfg or {}).get('visualizer') or {}).get('vis_backends') or []
    same = [each for each in own if str(each.get('type', '')).split('.')[-1] == kind]
    return {**copy.deepcopy(dict(same[0]) if same else {}), 'type': kind}


def hand_over(group: Group, asked: Asked | None, names: Sequence[str]) -> Path:
    """Give a group's figures to backends; the folder of those that write files.

    Args:
        group: Its first run's work dir and settings are used.
        asked: What was asked of its classroom; None if nothing.
        names: Of backends, see :func:`backend_config`.
    """
    run = group.runs[0]
    folder = run.path / FOLDER
    backends = [backend_config(name, run.cfg) for name in names]
    visualizer = Visualizer(f'report of {run.path}', vis_backends=backends, save_dir=str(folder))
    step = int(run.lessons[-1]['epoch' if group.by_epoch else 'iter']) if run.lessons else 0
    visualizer.add_scalars(dict(scalars(group, asked)), step=step)
    for name, picture in figures(group, asked):
        visualizer.add_image(f'{SCOPE}/{name}', picture, step=step)
    visualizer.close()
    return folder


def scalars(group: Group, asked: Asked | None) -> Iterator[tuple[str, float]]:
    """What is known of each mentor as one number."""
    looked, cost = (asked.looked, asked.cost) if asked else (None, None)
    for each in standings(group, looked, cost):
        facts = dict(
            taught_last=each.taught_last,
            taught=each.taught,
            alone_right=each.alone_share,
            share_of_step=each.cost,
        )
        for key, value in facts.items():
            if value is not None:
                yield f'{SCOPE}/{each.mentor}/{key}', value
    if asked is not None and asked.looked.is_pose:
        names: Any = skeleton(asked.looked, asked.metainfo)['names']
        for mentor, row in zip(asked.looked.names, taught_by_keypoint(asked.looked)):
            for name, share in zip(names, row):
                if share == share:  # NaN is not
                    yield f'{SCOPE}/{mentor}/taught_keypoint/{name}', float(share)
