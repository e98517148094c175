"""Keypoint sets, joined by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from ...parts import Metainfo
from ..base import NetworkConfig

NUMBERED = re.compile(r'(kpt|keypoint|point)?[-_]?\d+')  # as all of MMPose's face sets name theirs
SIDES = {'l': 'left_', 'r': 'right_'}
SIDE_BEFORE = re.compile(r'^([lr])_')
SIDE_AFTER = re.compile(r'^(.+)_(left|right)$')

# The same point of the body under another data set's name.
ALIASES = {
    'top_head': 'head_top',  # CrowdPose
    'head': 'head_top',  # Halpe
    'neck': 'upper_neck',  # AIC, CrowdPose, Halpe; MPII's name
    'hip': 'pelvis',  # Halpe
}


def join_keypoints(
    theirs: Sequence[str], ours: Sequence[str], renamed: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[int], list[bool]]:
    """Where each of the student's keypoints is among a mentor's, and whether it is there at all.

    Args:
        theirs: The mentor's names, in its order.
        ours: The student's names, in its order.
        renamed: The student's name for some of the mentor's, by the mentor's.

    Returns:
        Index into ``theirs`` (0 where it lacks the keypoint) and whether it has it.
    """
    told = {renamed[name]: i for i, name in enumerate(theirs) if name in renamed}
    named = {canonical(name): i for i, name in enumerate(theirs) if name not in renamed}
    named.pop(None, None)
    found = [told.get(name, named.get(canonical(name))) for name in ours]
    return [place or 0 for place in found], [place is not None for place in found]


def canonical(name: str) -> str | None:
    """A keypoint's name in one spelling for all data sets; None where it is only a number."""
    name = name.lower().replace(' ', '_')
    if NUMBERED.fullmatch(name):
        return None
    name = SIDE_BEFORE.sub(lambda found: SIDES[found[1]], name)  # L_Eye
    name = SIDE_AFTER.sub(r'\2_\1', name)  # Eye_Left
    return ALIASES.get(name, name)


@dataclass(frozen=True)
class Keypoints:
    """What is known of a mentor's keypoints.

    Attributes:
        names: In its order; None where they are the student's.
        data_set: Of which data set they are; None where a config says them itself.
        renamed: The student's name for some of them.
        pairs: (its place, the student's place) for some of them, whatever they are called.
    """

    names: tuple[str, ...] | None = None
    data_set: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[tuple[int, int], ...] | None = None

    @classmethod
    def of(cls, setting: Any, config: NetworkConfig, count: int, who: str) -> Keypoints:
        """Read a mentor's ``keypoints``: names, ``{its name: ours}``, or pairs of places.

        Args:
            setting: What is set; None if nothing is.
            config: Its config, where its data set may name them.
            count: How many it has.
            who: Names the mentor in errors.

        Raises:
            ValueError: For names or places that it does not have.
        """
        metainfo = metainfo_in_config(config) or {}
        own = tuple(names_of(metainfo)) if metainfo else None
        if not setting:
            return cls(own, metainfo.get('dataset_name'))
        if isinstance(setting, Mapping):
            _check_renamed(setting, own or (), who)
            return cls(own, metainfo.get('dataset_name'), dict(setting))
        if all(isinstance(name, str) for name in setting):
            return cls(tuple(setting))
        return cls(pairs=_pairs(setting, count, who))

    def join(self, metainfo: Metainfo, count: int) -> tuple[list[int], list[bool]] | None:
        """Where each of the student's keypoints is among these; None where they are the same.

        Args:
            metainfo: The data set's.
            count: How many the student has.
        """
        if self.pairs is not None:
            place = {ours: its for its, ours in self.pairs}
            return [place.get(k, 0) for k in range(count)], [k in place for k in range(count)]
        if self.names is None:
            return None
        ours = names_of(metainfo)
        numbers = any(canonical(name) is None for name in ours)
        # The same numbers are the same points only within one data set.
        same_set = not numbers or self.data_set in (None, metainfo.get('dataset_name'))
        if list(self.names) == ours and same_set and not self.renamed:
            return None
        return join_keypoints(self.names, ours, self.renamed)

    @property
    def numbered(self) -> bool:
        """Whether most of them have numbers for names."""
        names = self.names or ()
        return sum(canonical(name) is None for name in names) > len(names) / 2


def _check_renamed(renamed: Mapping[str, str], own: Sequence[str], who: str) -> None:
    if set(renamed) - set(own) or len(set(renamed.values())) < len(renamed):
        raise ValueError(
            f"{who}: keypoints={{its name: ours}} must name some of the mentor's keypoints "
            f'{list(own)}, each for another of ours; got {dict(renamed)}'
        )


def _pairs(setting: Sequence[Sequence[int]], count: int, who: str) -> tuple[tuple[int, int], ...]:
    fit = all(len(pair) == 2 and 0 <= pair[0] < count and pair[1] >= 0 for pair in setting)
    if not fit or len({ours for _, ours in setting}) < len(setting):
        raise ValueError(
            f'{who}: keypoints must be names, {{its name: ours}} or pairs of (its place, our '
            f'place), its places below {count} and each of ours once; got {setting}'
        )
    return tuple((int(its), int(ours)) for its, ours in setting)


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
    metainfo = metainfo_in_config(config)
    return None if metainfo is None else names_of(metainfo)


def metainfo_in_config(config: NetworkConfig) -> dict[str, Any] | None:
    """The parsed metainfo of the data that a config trains or tests on; None where it has none."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS

    for loader in ('train_dataloader', 'test_dataloader', 'val_dataloader'):
        dataset = (config.get(loader) or {}).get('dataset') or {}
        metainfo = dataset.get('metainfo')
        if metainfo is None and dataset.get('type') and dataset['type'] in DATASETS:
            metainfo = getattr(DATASETS.get(dataset['type']), 'METAINFO', None)
        if metainfo:
            return parse_pose_metainfo(dict(metainfo))
    return None


@cache  # asked in every step while it is not known
def published_metainfo(name: str) -> dict[str, Any]:
    """MMPose's parsed metainfo of a data set, by the name that its samples carry; {} for others."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    try:
        return parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    except FileNotFoundError:  # a data set of the user's own
        return {}
