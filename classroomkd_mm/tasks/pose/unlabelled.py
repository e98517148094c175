"""People without any label among others that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...structures import PoseTruth


def labelled_ones(data_samples: Sequence[Any]) -> list[int]:
    """Which samples have targets; others are pictures alone."""
    return [
        i
        for i, sample in enumerate(data_samples)
        if 'gt_instances' in sample and 'keypoint_weights' in sample.get('gt_instance_labels', ())
    ]


def rows_of(value: Any, chosen: Sequence[int]) -> Any:
    """These rows of a tensor, or of all tensors of what a head is given or gives."""
    if isinstance(value, Tensor):
        return torch.stack([value[i] for i in chosen])
    if isinstance(value, (tuple, list)):
        return type(value)(rows_of(each, chosen) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: rows_of(getattr(value, f.name), chosen) for f in fields(value)}
        )
    return value


def spread(
    truth: PoseTruth | None,
    at: Sequence[int],
    samples: int,
    keypoints: int,
    device: torch.device,
) -> PoseTruth:
    """The truth of some samples among others of which nothing is known: 0, and not labelled.

    Args:
        truth: Of the samples ``at``; None where there are none.
        at: Their places in the batch.
        samples: How many there are.
        keypoints: K.
        device: Where the tensors go.
    """
    if truth is None:
        one = torch.zeros(0, device=device)
        truth = PoseTruth(
            keypoints=one.view(0, keypoints, 2),
            labelled=torch.zeros(0, keypoints, dtype=torch.bool, device=device),
            area=one,
            bbox=one.view(0, 2),
            head=one,
        )
    return PoseTruth(
        keypoints=_rows(truth.keypoints, at, samples),
        labelled=_rows(truth.labelled, at, samples),
        area=_spread(truth.area, at, samples),
        bbox=_spread(truth.bbox, at, samples),
        head=_spread(truth.head, at, samples),
    )


def _spread(rows: Tensor | None, at: Sequence[int], samples: int) -> Tensor | None:
    return None if rows is None else _rows(rows, at, samples)


def _rows(rows: Tensor, at: Sequence[int], samples: int) -> Tensor:
    whole = rows.new_zeros(samples, *rows.shape[1:])
    for i, row in zip(at, rows):
        whole[i] = row
    return whole
