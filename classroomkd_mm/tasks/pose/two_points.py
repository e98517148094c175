"""Keypoints of the student that are read from two of a mentor's.

The *middle* of two (a pelvis of both hips) is scored where the middle of both peaks is. What is
taught there is the mean of both maps, each moved so that its peak stands in the middle: as sharp
and as high as the mentor's other maps, so that one temperature and one loss fit them all. (The
distribution of the middle of two independent points would be their convolution at half the size: of
log-probabilities, which are no heatmap's values, and narrower the more alike the two are.)

*Either* of two is for a student of one hand, left or right: of a mentor of both hands, the one that
it is surer of in this sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .keypoints import Either, Mean, Place
from .readouts import Readout

Maps = Sequence[Tensor]  # each (N, K, H, W) or (N, K, W)
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class TwoPoints(ABC):
    """Some of the student's keypoints, each read from two of the mentor's.

    Attributes:
        ours: Their places in the student's set, ``(J,)``.
        first: Of each, the place of one in the mentor's.
        second: And of the other.
    """

    kind: ClassVar[type]
    ours: Tensor
    first: Tensor
    second: Tensor

    def moved(self, fn: Callable[[Tensor], Tensor]) -> TwoPoints:
        """The same on another device."""
        return type(self)(fn(self.ours), fn(self.first), fn(self.second))

    def put_maps(self, ours: Maps, theirs: Maps, readout: Readout) -> list[Tensor]:
        """The student's maps with these in their places."""
        first, second = ([part.index_select(1, i) for part in theirs] for i in self._both)
        made = self._maps(first, second, readout)
        return [part.index_copy(1, self.ours, one) for part, one in zip(ours, made)]

    def put_keypoints(self, ours: Tensor, theirs: Maps, readout: Readout) -> Tensor:
        """The student's keypoints ``(N, K, 2)`` with these in their places, as they are scored."""
        return ours

    def put_predictions(self, ours: Arrays, theirs: Arrays) -> dict[str, np.ndarray]:
        """A person's keypoints ``(1, K, 2)``, scores and so on ``(1, K)`` with these in place."""
        first, second = ({k: v[:, i.cpu().numpy()] for k, v in theirs.items()} for i in self._both)
        made = self._predictions(first, second)
        put = {key: value.copy() for key, value in ours.items()}
        for key, value in put.items():
            value[:, self.ours.cpu().numpy()] = made[key]
        return put

    @property
    def _both(self) -> tuple[Tensor, Tensor]:
        return self.first, self.second

    @abstractmethod
    def _maps(self, first: Maps, second: Maps, readout: Readout) -> Maps: ...

    @abstractmethod
    def _predictions(self, first: Arrays, second: Arrays) -> Arrays: ...


class Middles(TwoPoints):
    """The middle of two, see the module."""

    kind = Mean

    def put_keypoints(self, ours: Tensor, theirs: Maps, readout: Readout) -> Tensor:
        """With the middle of both peaks."""
        first, second = (
            readout.keypoints([part.index_select(1, i) for part in theirs]) for i in self._both
        )
        return ours.index_copy(1, self.ours, (first + second) / 2)

    def _maps(self, first: Maps, second: Maps, readout: Readout) -> Maps:
        scale = torch.tensor(readout.scale, device=first[0].device)
        half = (readout.keypoints(second) - readout.keypoints(first)) / 2 / scale  # (N, J, 2)
        # SimCC's two maps lie along one axis each.
        ways = [half] if len(first) == 1 else [F.pad(way, (0, 1)) for way in half.split(1, -1)]
        return [(shifted(a, by) + shifted(b, -by)) / 2 for a, b, by in zip(first, second, ways)]

    def _predictions(self, first: Arrays, second: Arrays) -> Arrays:
        """As sure as of the less sure one."""
        return {
            key: (value + second[key]) / 2 if value.ndim > 2 else np.minimum(value, second[key])
            for key, value in first.items()
        }


class Sides(TwoPoints):
    """The left or the right of two, the same side for all that are asked in a sample."""

    kind = Either

    def _maps(self, first: Maps, second: Maps, readout: Readout) -> Maps:
        left = _sureness(first) >= _sureness(second)  # (N,)
        return [
            torch.where(left.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(first, second)
        ]

    def _predictions(self, first: Arrays, second: Arrays) -> Arrays:
        left = first['keypoint_scores'].mean() >= second['keypoint_scores'].mean()
        return first if left else second


def _sureness(maps: Maps) -> Tensor:
    """How high the peaks of J maps are on average, ``(N,)``."""
    return torch.stack([part.flatten(2).amax(-1).mean(-1) for part in maps]).sum(0)


def shifted(maps: Tensor, by: Tensor) -> Tensor:
    """Maps whose content is moved, linear between their pixels; what comes in is their border.

    Args:
        maps: ``(N, J, H, W)``, or ``(N, J, W)``.
        by: Pixels ``(N, J, 2)`` to the right and down.
    """
    shape = maps.shape
    flat = maps.reshape(shape[0] * shape[1], 1, -1 if maps.ndim > 3 else 1, shape[-1])
    height, width = flat.shape[-2:]
    # Each pixel asks where it comes from, in halves of the map.
    back = -2 * by.reshape(-1, 2) / by.new_tensor([width, height])
    theta = torch.eye(2, 3, device=maps.device).repeat(len(flat), 1, 1)
    theta[:, :, 2] = back
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    moved = F.grid_sample(flat, grid, padding_mode='border', align_corners=False)
    return moved.reshape(shape)


def two_points(places: Sequence[Place]) -> tuple[TwoPoints, ...]:
    """Of where each of the student's keypoints is in the mentor's set, what is in two places."""
    found = []
    for kind in (Middles, Sides):
        ours = [k for k, place in enumerate(places) if isinstance(place, kind.kind)]
        if ours:
            first, second = torch.tensor([places[k] for k in ours]).T
            found.append(kind(torch.tensor(ours), first, second))
    return tuple(found)
