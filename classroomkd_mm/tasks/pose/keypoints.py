"""Keypoint sets, joined by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ..base import NetworkConfig

# The same point of the body under another data set's name.
ALIASES = {
    'top_head': 'head_top',  # CrowdPose
    'head': 'head_top',  # Halpe
    'neck': 'upper_neck',  # AIC, CrowdPose, Halpe; MPII's name
    'hip': 'pelvis',  # Halpe
}


def join_keypoints(theirs: Sequence[str], ours: Sequence[str]) -> tuple[list[int], list[bool]]:
    """Where each of the student's keypoints is among a mentor's, and whether it is there at all.

    Args:
        theirs: The mentor's names, in its order.
        ours: The student's names, in its order.

    Returns:
        Index into ``theirs`` (0 where it lacks the keypoint) and whether it has it.
    """
    position = {ALIASES.get(name, name): i for i, name in enumerate(theirs)}
    names = [ALIASES.get(name, name) for name in ours]
    return [position.get(name, 0) for name in names], [name in position for name in names]


def names_of(metainfo: Mapping[str, Any]) -> list[str]:
    """Keypoint names, in order, of a parsed metainfo.

    Raises:
        ValueError: Where it has none.
    """
    if 'keypoint_id2name' not in metainfo:
        raise ValueError(
            "the data set's metainfo names no keypoints, and mentors' are joined by name: give it "
            'one (metainfo=dict(from_file=...))'
        )
    return [metainfo['keypoint_id2name'][i] for i in range(len(metainfo['keypoint_id2name']))]


def names_in_config(config: NetworkConfig) -> list[str] | None:
    """The keypoint names of the data that a config trains or tests on; None where it has none."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS

    for loader in ('train_dataloader', 'test_dataloader', 'val_dataloader'):
        dataset = (config.get(loader) or {}).get('dataset') or {}
        metainfo = dataset.get('metainfo')
        if metainfo is None and dataset.get('type') and dataset['type'] in DATASETS:
            metainfo = getattr(DATASETS.get(dataset['type']), 'METAINFO', None)
        if metainfo:
            return names_of(parse_pose_metainfo(dict(metainfo)))
    return None


@cache  # asked in every step while it is not known
def published_metainfo(name: str) -> dict[str, Any]:
    """MMPose's parsed metainfo of a data set, by the name that its samples carry; {} for others."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    try:
        return parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    except FileNotFoundError:  # a data set of the user's own
        return {}
