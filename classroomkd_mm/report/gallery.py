"""The samples that were looked at, as the page shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from .curves import Plain, rounded
from .findings import (
    ahead_by_keypoint,
    alone_right,
    disagreement,
    right_by_class,
    right_where_wrong,
    taught_by_keypoint,
)
from .lessons import Looked

TOP = 3  # classes that are shown of each member
QUALITY = 85  # of the JPEGs


def numbers(values: np.ndarray) -> Any:
    """An array as nested lists; None where a number is not finite."""
    if values.ndim == 0:
        return rounded(float(values))
    return [numbers(each) for each in values]


def as_data(looked: Looked, metainfo: Mapping[str, Any]) -> Plain:
    """All that a page says of single samples.

    Args:
        looked: They.
        metainfo: The data set's, which names keypoints, their links, or classes.
    """
    found: Plain = dict(
        kind='pose' if looked.is_pose else 'class',
        mentors=list(looked.names),
        samples=[sample(looked, place, apart) for place, apart in enumerate(disagreement(looked))],
        labelled=int(looked.known.sum()),
        alone=alone_right(looked).tolist(),
        contest=numbers(right_where_wrong(looked)),
        ranks=numbers(looked.ranks[1:]),
        temperatures=numbers(looked.temperatures),
    )
    if looked.is_pose:
        return dict(found, skeleton=skeleton(looked, metainfo))
    names = [str(each) for each in metainfo.get('classes') or ()]
    classes, shares, counts = right_by_class(looked)
    own = [class_name(each, metainfo) for each in classes]
    by_class = dict(names=own, shares=numbers(shares), counts=counts)
    return dict(found, classes=names, by_class=by_class)


def sample(looked: Looked, place: int, apart: float) -> Plain:
    """One sample of the gallery."""
    image = looked.pictures[place]
    members = range(len(looked.names) + 1)
    return dict(
        number=int(looked.numbers[place]),
        size=[image.shape[1], image.shape[0]],
        picture=jpeg(image),
        apart=rounded(float(apart)),
        truth=_truth(looked, place),
        members=[_member(looked, member, place) for member in members],
    )


def jpeg(image: np.ndarray) -> str:
    """A picture ``(H, W, 3)`` in RGB, as text."""
    _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(data.tobytes()).decode()


def _truth(looked: Looked, place: int) -> object:
    if not looked.is_pose:
        return int(looked.truth[place])
    points = np.where(looked.labelled[place][:, None], looked.truth[place], np.nan)
    return numbers(points.round(1))


def _member(looked: Looked, member: int, place: int) -> Plain:
    """What a member says to a sample; the student is the first, and teaches nobody."""
    found: Plain = dict(
        score=rounded(float(looked.scores[member, place])),
        right=bool(looked.right[member, place]) if looked.known[place] else None,
        rank=rounded(float(looked.ranks[member, place])),
    )
    guess = looked.guesses[member, place]
    if looked.is_pose:
        knows = ~np.isnan(looked.by_keypoint[member, place]) | ~looked.labelled[place]
        found.update(points=numbers(np.where(knows[:, None], guess, np.nan).round(1)))
    else:
        best = np.argsort(-guess, kind='stable')[:TOP]
        found.update(top=[[int(each), rounded(float(guess[each]))] for each in best])
    if member:
        taught, counted = looked.taught[member - 1, place], looked.counted[member - 1, place]
        warmth = rounded(float(looked.temperatures[member - 1, place]))
        found.update(taught=int(taught.sum()), of=int(counted.sum()), tau=warmth)
    return found


def skeleton(looked: Looked, metainfo: Mapping[str, Any]) -> Plain:
    """Names, links and shares of keypoints, and where the page draws them."""
    count = looked.truth.shape[1]
    ids = metainfo.get('keypoint_id2name') or {}
    names = [str(ids.get(i, f'keypoint {i}')) for i in range(count)]
    links = [[int(a), int(b)] for a, b in metainfo.get('skeleton_links') or ()]
    return dict(
        names=names,
        links=links,
        places=numbers(places(names, looked)),
        taught=numbers(taught_by_keypoint(looked)),
        ahead=numbers(ahead_by_keypoint(looked)),
        counts=looked.labelled.sum(0).tolist(),
        alike=looked.taught.shape[-1] == 1,
    )


# A person who faces the reader, in units of a head: (sideways to the person's left, down).
BODY: dict[str, tuple[float, float]] = dict(
    nose=(0, 0.62), eye=(0.2, 0.45), ear=(0.42, 0.55), head_top=(0, 0), top_head=(0, 0),
    head=(0, 0.1), upper_neck=(0, 1.1), neck=(0, 1.35), thorax=(0, 1.55), shoulder=(0.85, 1.6),
    elbow=(1.15, 2.7), wrist=(1.3, 3.75), spine=(0, 2.5), pelvis=(0, 3.5), root=(0, 3.5),
    hip=(0.5, 3.6), knee=(0.58, 5.2), ankle=(0.62, 6.8), big_toe=(0.85, 7.15),
    small_toe=(1.05, 7.1), heel=(0.5, 7.1),
)  # fmt: skip
SIDES = dict(left_=1.0, right_=-1.0)


def places(names: Sequence[str], looked: Looked) -> np.ndarray:
    """Where the page draws keypoints ``(K, 2)``: in [0, 1] of the larger side, from the top left.

    As a person who faces the reader where all of the names are a body's; else as they lie in the
    sample with most of them labelled.
    """
    found = [_body(name) for name in names]
    points = np.array([place for place in found if place is not None], dtype=float)
    if len(points) < len(names):
        most = looked.labelled.sum(-1).argmax()
        points = np.where(looked.labelled[most][:, None], looked.truth[most], np.nan)
    low = np.nanmin(points, axis=0)
    return (points - low) / max(np.nanmax(points - low), 1e-6)


def _body(name: str) -> tuple[float, float] | None:
    side = next((each for each in SIDES if name.startswith(each)), '')
    place = BODY.get(name[len(side) :])
    return None if place is None else (place[0] * SIDES.get(side, 1.0), place[1])


def class_name(place: int, metainfo: Mapping[str, Any]) -> str:
    """What the data set calls a class; its number where it does not."""
    names = metainfo.get('classes') or ()
    return str(names[place]) if place < len(names) else f'class {place}'
