"""Keypoint sets, joined by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from mmengine.config import Config

from ...datasets.wrappers import get, inner_sets
from ...parts import Metainfo
from ..base import NetworkConfig

Names = Union[str, tuple[str, str]]  # one of a mentor's keypoints, or the middle of two
Places = Union[int, tuple[int, int]]
NUMBERED = re.compile(r'(kpt|keypoint|point)?[-_]?\d+')  # as all of MMPose's face sets name theirs
LOADERS = ('train_dataloader', 'test_dataloader', 'val_dataloader')
DATA_SETS = 'configs/_base_/datasets'  # where MMPose keeps their metainfo
LETTERS = {'l': 'left_', 'r': 'right_'}
SIDE_BEFORE = re.compile(r'^([lr])_')
SIDE_AFTER = re.compile(r'^(.+)_(left|right)$')
SIDED = re.compile(r'^(left_|right_)(.+)$')
FINGER = re.compile(r'^(thumb|index|middle|ring|pinky)_?(\d)$')
HAND = re.compile(r'hand_root|(thumb|forefinger|middle_finger|ring_finger|pinky_finger)\d')
FINGERS = {
    'index': 'forefinger',
    'middle': 'middle_finger',
    'ring': 'ring_finger',
    'pinky': 'pinky_finger',
}

# The same point of the body under another data set's name: one in the middle of it ...
ALIASES = {
    'top_head': 'head_top',  # CrowdPose, Campus, Shelf
    'head': 'head_top',  # Halpe; JHMDB, as MMPose's body8 configs convert it
    'neck': 'upper_neck',  # AIC, CrowdPose, JHMDB, Halpe; MPII's name
    'head_bottom': 'upper_neck',  # PoseTrack18
    'bottom_head': 'upper_neck',  # Campus, Shelf
    'hip': 'pelvis',  # Halpe
    'mid_hip': 'pelvis',  # Panoptic
    'root': 'pelvis',  # Human3.6M, MPI-INF-3DHP
    'wrist': 'hand_root',  # all sets of one hand; COCO-WholeBody's name
    'tailbase': 'tail_base',  # Animal-Pose, zebra
    'root_of_tail': 'tail_base',  # AP-10K
    'tail_top_back': 'tail_base',  # Animal Kingdom
}
# ... and of a left or a right one.
SIDED_ALIASES = {
    'f_elbow': 'elbow',  # Animal-Pose; AP-10K has no other elbows
    'front_paw': 'f_paw',  # ATRW
    'back_paw': 'b_paw',
}
# Where one data set means another point than others that have the name.
MEANT = {
    'coco_openpose': {'neck': 'shoulders'},  # the middle of both, which is not annotated
    'coco_wholebody_openpose': {'neck': 'shoulders'},
    'h36m': {'left_foot': 'left_ankle', 'right_foot': 'right_ankle'},
    # Of the hands' models: MMPose converts it to COCO-WholeBody's hand root as well.
    'interhand3d': {'left_wrist': 'left_hand_root', 'right_wrist': 'right_hand_root'},
    'atrw': {'tail': 'tail_base'},
}


class Mean(NamedTuple):
    """The middle of two keypoints, by their places."""

    first: int
    second: int


class Either(NamedTuple):
    """One of a left and a right keypoint, by their places, where ours is of one side."""

    first: int
    second: int


Place = Union[int, Mean, Either]


def join_keypoints(
    theirs: Sequence[str],
    ours: Sequence[str],
    renamed: Mapping[Names, str] = MappingProxyType({}),
    data_sets: tuple[str | None, str | None] = (None, None),
) -> tuple[list[Place], list[bool]]:
    """Where each of the student's keypoints is among a mentor's, and whether it is there at all.

    Args:
        theirs: The mentor's names, in its order.
        ours: The student's names, in its order.
        renamed: The student's name for some of the mentor's, by the mentor's (or by two of them,
            for their middle).
        data_sets: Whose names they are.

    Returns:
        Index into ``theirs`` (0 where it lacks the keypoint) and whether it has it.
    """
    place = {name: i for i, name in enumerate(theirs)}
    told: dict[str, Place] = {
        name: place[its] if isinstance(its, str) else Mean(*(place[one] for one in its))
        for its, name in renamed.items()
    }
    named: dict[str | None, Place] = {
        same: i for i, same in enumerate(spelled(theirs, data_sets[0])) if theirs[i] not in renamed
    }
    named.pop(None, None)
    found = [
        told[name] if name in told else _named(same, named)
        for name, same in zip(ours, spelled(ours, data_sets[1]))
    ]
    return [each or 0 for each in found], [each is not None for each in found]


def _named(name: str | None, named: Mapping[str | None, Place]) -> Place | None:
    """Where a name is; of a hand that is not said to be left or right, where both are."""
    if name is not None and name not in named and HAND.fullmatch(name):
        left, right = (named.get(f'{side}{name}') for side in LETTERS.values())
        return Either(left, right) if isinstance(left, int) and isinstance(right, int) else None
    return named.get(name)


def spelled(names: Sequence[str], data_set: str | None = None) -> list[str | None]:
    """The names of a set in one spelling; one that has a name and its alias means two points."""
    own = [canonical(name, data_set) for name in names]
    plain = [_one_style(name) for name in names]
    return [p if c is not None and c != p and c in plain else c for c, p in zip(own, plain)]


def canonical(name: str, data_set: str | None = None) -> str | None:
    """A keypoint's name in one spelling for all data sets; None where it is only a number."""
    name = _one_style(name)
    if NUMBERED.fullmatch(name):
        return None
    name = MEANT.get(data_set or '', {}).get(name, name)
    sided = SIDED.match(name)
    side, part = sided.groups() if sided else ('', name)
    part = FINGER.sub(lambda found: FINGERS.get(found[1], found[1]) + found[2], part)
    return side + (SIDED_ALIASES if sided else ALIASES).get(part, part)


def _one_style(name: str) -> str:
    name = name.lower().replace(' ', '_')
    name = SIDE_BEFORE.sub(lambda found: LETTERS[found[1]], name)  # L_Eye
    return SIDE_AFTER.sub(r'\2_\1', name)  # Eye_Left


@dataclass(frozen=True)
class Keypoints:
    """What is known of a mentor's keypoints.

    Attributes:
        names: In its order; None where they are the student's.
        data_set: Of which data set they are; None where a config says them itself.
        renamed: The student's name for some of them.
        midpoints: (two of them, the student's name) where the student's is in the middle.
        pairs: (its place or two, the student's place) for some, whatever they are called.
    """

    names: tuple[str, ...] | None = None
    data_set: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    midpoints: tuple[tuple[tuple[str, str], str], ...] = ()
    pairs: tuple[tuple[Places, int], ...] | None = None

    @classmethod
    def of(cls, setting: Any, config: NetworkConfig, count: int, who: str) -> Keypoints:
        """Read a mentor's ``keypoints``: names, ``{its name: ours}``, or pairs of places.

        Where ours is the middle of two of its own, its name or place is a tuple of both.

        Args:
            setting: What is set; None if nothing is.
            config: Its config, where its data set may name them.
            count: How many it has.
            who: Names the mentor in errors.

        Raises:
            ValueError: For names or places that it does not have, and a data set of more or fewer
                keypoints than its head.
        """
        if setting and not isinstance(setting, Mapping):  # so its data set need not be there
            if all(isinstance(name, str) for name in setting):
                return cls(tuple(setting))
            return cls(pairs=_pairs(setting, count, who))
        metainfo = metainfo_in_config(config, who) or {}
        own = tuple(names_of(metainfo)) if metainfo else None
        if not setting:
            return cls(own, metainfo.get('dataset_name'))
        cls(own, metainfo.get('dataset_name')).check_count(count, who)
        _check_renamed(setting, own or (), who)
        single = {name: ours for name, ours in setting.items() if isinstance(name, str)}
        middle = tuple((name, ours) for name, ours in setting.items() if name not in single)
        return cls(own, metainfo.get('dataset_name'), single, middle)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Keypoints:
        """The keypoints whose fields were kept as JSON."""
        names, pairs = plain['names'], plain['pairs']
        return cls(
            None if names is None else tuple(names),
            plain['data_set'],
            plain['renamed'],
            tuple(((a, b), ours) for (a, b), ours in plain.get('midpoints', ())),
            None if pairs is None else tuple((_places(its), int(ours)) for its, ours in pairs),
        )

    def join(self, metainfo: Metainfo, count: int) -> tuple[list[Place], list[bool]] | None:
        """Where each of the student's keypoints is among these; None where they are the same.

        Args:
            metainfo: The data set's.
            count: How many the student has.

        Raises:
            ValueError: For a name that the data set does not have, or that is there twice.
        """
        if self.pairs is not None:
            place = {o: its if isinstance(its, int) else Mean(*its) for its, o in self.pairs}
            return [place.get(k, 0) for k in range(count)], [k in place for k in range(count)]
        if self.names is None:
            return None
        ours = names_of(metainfo)
        numbers = any(canonical(name) is None for name in ours)
        # The same numbers are the same points only within one data set.
        same_set = not numbers or self.data_set in (None, metainfo.get('dataset_name'))
        renamed: dict[Names, str] = dict(self.midpoints)
        renamed.update(self.renamed)
        _check_ours(renamed.values(), ours)
        if list(self.names) == ours and same_set and not renamed:
            return None
        if self.data_set is None:
            _check_different(self.names, ours)
        data_sets = (self.data_set, metainfo.get('dataset_name'))
        return join_keypoints(self.names, ours, renamed, data_sets)

    def check_count(self, count: int, who: str) -> None:
        """Refuse another number of names than of keypoints.

        Behind a name that is missing each keypoint would be taken for its neighbour.

        Args:
            count: How many keypoints its head has.
            who: Names the mentor in errors.

        Raises:
            ValueError: With both numbers, and where the names come from.
        """
        if self.names is not None and len(self.names) != count:
            of = 'keypoints' if self.data_set is None else f"its config's data set {self.data_set}"
            raise ValueError(
                f'{who}: {of} names {len(self.names)} keypoints, and its head has {count}: name '
                'all, in its order, by keypoints=[its keypoint names], or those that you know by '
                '[(its place, our place)]'
            )

    def check_places(self, count: int, who: str) -> None:
        """Refuse pairs with places that the student does not have.

        Args:
            count: How many keypoints the student has.
            who: Names the mentor in errors.

        Raises:
            ValueError: With these places.
        """
        beyond = [ours for _, ours in self.pairs or () if ours >= count]
        if beyond:
            raise ValueError(
                f'{who}: keypoints names our places {beyond}, and the student has {count}, which '
                'count from 0'
            )

    @property
    def numbered(self) -> bool:
        """Whether most of them have numbers for names."""
        names = self.names or ()
        return sum(canonical(name) is None for name in names) > len(names) / 2


def _check_different(names: Sequence[str], ours: Sequence[str]) -> None:
    same, wanted = spelled(names), spelled(ours)
    twice = [n for n, one in zip(names, same) if one and one in wanted and same.count(one) > 1]
    if twice:
        raise ValueError(f"keypoints=[...] names {twice}: which of them is the data set's?")


def _check_renamed(renamed: Mapping[Names, str], own: Sequence[str], who: str) -> None:
    its = [(name,) if isinstance(name, str) else name for name in renamed]
    fit = all(set(names) <= set(own) and len(set(names)) == len(names) <= 2 for names in its)
    if not fit or len(set(renamed.values())) < len(renamed):
        raise ValueError(
            f"{who}: keypoints={{its name: ours}} must name some of the mentor's keypoints "
            f'{list(own)} (or two, for their middle), each for another of ours; got {dict(renamed)}'
        )


def _check_ours(named: Iterable[str], ours: Sequence[str]) -> None:
    for name in named:
        if name not in ours:
            near = difflib.get_close_matches(name, ours, n=1)
            hint = f'did you mean {near[0]}?' if near else f'it has {list(ours)}'
            raise ValueError(
                f'keypoints={{its name: ours}}: the data set has no keypoint {name!r}; {hint}'
            )


def _pairs(setting: Sequence[Sequence[Any]], count: int, who: str) -> tuple[Any, ...]:
    fit = all(len(pair) == 2 and _fit(pair[0], count) and pair[1] >= 0 for pair in setting)
    if not fit or len({ours for _, ours in setting}) < len(setting):
        raise ValueError(
            f'{who}: keypoints must be names, {{its name: ours}} or pairs of (its place, our '
            f'place), its places below {count} (two where ours is in their middle) and each of '
            f'ours once; got {setting}'
        )
    return tuple((_places(its), int(ours)) for its, ours in setting)


def _fit(its: int | Sequence[int], count: int) -> bool:
    places = [its] if isinstance(its, int) else list(its)
    different = len(set(places)) == len(places) <= 2
    return different and all(0 <= place < count for place in places)


def _places(its: int | Sequence[int]) -> Places:
    return its if isinstance(its, int) else (int(its[0]), int(its[1]))


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


def metainfo_in_config(
    config: NetworkConfig, who: str = 'a config', loaders: Sequence[str] = LOADERS
) -> dict[str, Any] | None:
    """The parsed metainfo of the data that a config trains or tests on; None where it has none.

    Args:
        config: Whole, or only a model's. Where it was read from a file, relative paths of metainfo
            are looked for beside that and up its parents before anywhere else.
        who: Names the network in errors.
        loaders: Whose data are looked at, the first that have it.

    Raises:
        FileNotFoundError: Where the metainfo's file is nowhere, with the places looked at.
    """
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    for loader in loaders:
        dataset = (config.get(loader) or {}).get('dataset') or {}
        for each in (dataset, next(inner_sets(dataset))):  # a wrapper may say what its parts do not
            metainfo = _metainfo_of(each)
            if metainfo:
                return parse_pose_metainfo(_with_file(metainfo, config, f'{who}: its {loader}'))
    return None


def _metainfo_of(dataset: object) -> Mapping[str, Any] | None:
    """What a data set's config says of its keypoints, or its class, named or given."""
    from mmpose.registry import DATASETS

    metainfo, kind = get(dataset, 'metainfo'), get(dataset, 'type')
    if metainfo is None and kind:
        known = DATASETS.get(kind) if isinstance(kind, str) else kind
        metainfo = getattr(known, 'METAINFO', None)
    return metainfo


def _with_file(metainfo: Mapping[str, Any], config: NetworkConfig, what: str) -> dict[str, Any]:
    """Metainfo whose file is found, if it is in one."""
    file = metainfo.get('from_file')
    if file is None:
        return dict(metainfo)
    here = getattr(config, 'filename', None) if isinstance(config, Config) else None
    folders = [*(Path(here).absolute().parents if here else ()), Path.cwd(), _stock_configs()]
    # MMPose's own are found by their names alone, as MMPose itself does.
    own = Path(file).expanduser()
    for path in [*(folder / own for folder in folders), _stock_configs() / DATA_SETS / own.name]:
        if path.is_file():
            return dict(metainfo, from_file=str(path))
    beside = f'beside {here} and in all folders above it, ' if here else ''
    raise FileNotFoundError(
        f'{what} has metainfo=dict(from_file={str(file)!r}), which does not exist: looked for '
        f"{beside}in {Path.cwd()} and among MMPose's own; put it there, or say without it which "
        'keypoints these are: keypoints=[its keypoint names] or [(its place, our place)]'
    )


def _stock_configs() -> Path:
    import mmpose

    return Path(mmpose.__file__).parent / '.mim'


@cache  # asked in every step while it is not known
def published_metainfo(name: str) -> dict[str, Any]:
    """MMPose's parsed metainfo of a data set, by the name that its samples carry; {} for others."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    try:
        return parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
    except FileNotFoundError:  # a data set of the user's own
        return {}
