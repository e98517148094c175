"""What MMPose's packed samples know of their people, in the network's input space."""

from collections.abc import Mapping, Sequence
from typing import Any, Optional, TypeVar

import numpy as np
import torch
from torch import Tensor

from ...structures import PoseTruth
from .areas import area_of
from .readouts import Readout, SimCCReadout

Array = TypeVar('Array', Tensor, np.ndarray)


def ground_truth(
    data_samples: Sequence[Any], readout: Readout, device: torch.device, level: int = -1
) -> PoseTruth:
    """The truth of a batch; what is missing for one sample is None for all.

    Args:
        data_samples: N of MMPose's ``PoseDataSample``, one person each.
        readout: The student's: coordinates are read from its targets where the pipeline packs no
            ``transformed_keypoints``.
        device: Where the tensors go.
        level: Of targets that have several, the one that is read.
    """
    meta = [vars(sample) for sample in data_samples]  # its metainfo would copy all of it
    instances = [sample.gt_instances for sample in data_samples]
    weights = torch.cat([_keypoint_weights(sample, level) for sample in data_samples])
    ratio = _stack([_pixel_ratio(m) for m in meta], device)
    boxes = [_box_size(instance.get('bboxes')) for instance in instances]
    area = _stack([area_of(m, box) for m, box in zip(meta, boxes)], device)
    head = _stack(_heads(instances), device)
    bbox = _stack(boxes, device)
    return PoseTruth(
        keypoints=_true_keypoints(data_samples, readout, device, level),
        labelled=weights.to(device) > 0,
        area=None if area is None or ratio is None else area[:, 0] * ratio.prod(-1),
        bbox=None if bbox is None or ratio is None else bbox * ratio,
        head=None if head is None or ratio is None else head[:, 0] * ratio.mean(-1),
    )


def _stack(values: Sequence[Any], device: torch.device) -> Optional[Tensor]:
    """One row a sample ``(N, ...)``; None where one has none."""
    if any(value is None for value in values):
        return None
    if any(isinstance(value, Tensor) for value in values):
        rows = torch.stack([torch.as_tensor(value).reshape(-1) for value in values])
    else:  # mostly; made one by one, a batch's tensors take longer than its lesson
        rows = torch.from_numpy(np.stack([np.reshape(value, -1) for value in values]))
    return rows.to(device, torch.float32, non_blocking=True)


def _pixel_ratio(meta: Mapping[str, Any]) -> Optional[np.ndarray]:
    """Input pixels per picture pixel, (x, y)."""
    if 'input_scale' not in meta:
        return None
    return np.asarray(meta['input_size']) / np.reshape(meta['input_scale'], -1)


def _heads(instances: Sequence[Any]) -> list[Any]:
    """Head sizes; 0 of people without one among others that have one, as of a combined set."""
    heads = [instance.get('head_size') for instance in instances]
    known = any(head is not None for head in heads)
    return [np.zeros(1, np.float32) if known and head is None else head for head in heads]


def _box_size(boxes: Optional[Array]) -> Optional[Array]:
    return None if boxes is None else boxes[0, 2:4] - boxes[0, :2]


def _keypoint_weights(sample: Any, level: int) -> Tensor:
    """``(1, K)``."""
    weights: Tensor = sample.gt_instance_labels.keypoint_weights
    return weights[level] if weights.ndim > 2 else weights


def _heatmaps(sample: Any, level: int) -> Tensor:
    """``(K, H, W)``."""
    heatmaps = sample.gt_fields.heatmaps
    return heatmaps if isinstance(heatmaps, Tensor) else heatmaps[level]


def _true_keypoints(
    data_samples: Sequence[Any], readout: Readout, device: torch.device, level: int
) -> Tensor:
    packed = [sample.gt_instances.get('transformed_keypoints') for sample in data_samples]
    stacked = _stack([None if points is None else points[..., :2] for points in packed], device)
    if stacked is not None:
        return stacked.unflatten(-1, (-1, 2))
    if isinstance(readout, SimCCReadout):
        labels = [sample.gt_instance_labels for sample in data_samples]
        x, y = (
            torch.cat([torch.as_tensor(label[f'keypoint_{axis}_labels']) for label in labels])
            for axis in 'xy'
        )
        return readout.keypoints((x, y)).to(device)
    heatmaps = torch.stack([_heatmaps(sample, level) for sample in data_samples])
    return readout.keypoints((heatmaps.float(),))
