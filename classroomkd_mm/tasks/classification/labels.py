"""What MMPretrain's packed samples know of their pictures, if anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ...datasets import FixedViews
from ...structures import ClassTruth

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset

Data = dict[str, Any]
Preprocess = Callable[..., Data]


def is_labelled(sample: Any) -> bool:
    """Whether a sample has a label; an empty one is none."""
    return bool('gt_label' in sample and sample.gt_label.numel()) or (
        'gt_label' not in sample and 'gt_score' in sample
    )


def let_batches_mix() -> None:
    """Let MMPretrain's preprocessor take batches of samples with and without a label."""
    from mmpretrain.models import ClsDataPreprocessor

    if not hasattr(ClsDataPreprocessor.forward, '__wrapped__'):
        ClsDataPreprocessor.forward = _with_empty_labels(ClsDataPreprocessor.forward)


def _with_empty_labels(forward: Preprocess) -> Preprocess:
    """Give an empty label to samples without one in a batch of others that have one.

    HACK: MMPretrain 1.2.0 asks all for what the first has. An empty label passes: no class is set
    in its one-hot form.
    """

    @wraps(forward)
    def mixed(self: nn.Module, data: Data, training: bool = False) -> Data:
        samples = data.get('data_samples') or ()
        blanks = [sample for sample in samples if 'gt_label' not in sample]
        if 0 < len(blanks) < len(samples):
            for sample in blanks:
                sample.set_gt_label(torch.zeros(0, dtype=torch.long))
        return forward(self, data, training)

    return mixed


def ground_truth(data_samples: Sequence[Any], device: torch.device) -> ClassTruth:
    """Labels of MMPretrain's ``DataSample``: soft where batch augmentation made them so.

    Raises:
        ValueError: For multi-label data.
    """
    for sample in data_samples:
        _check_one(sample.gt_label.numel() if 'gt_label' in sample else 0)
    soft = [sample.gt_score for sample in data_samples if 'gt_score' in sample]
    if soft:
        nothing = torch.zeros_like(soft[0])
        rows = [sample.gt_score if is_labelled(sample) else nothing for sample in data_samples]
        return ClassTruth(torch.stack(rows).to(device))
    where = next((each.gt_label.device for each in data_samples if is_labelled(each)), device)
    none = torch.full((1,), -1, device=where)
    labels = [sample.gt_label if is_labelled(sample) else none for sample in data_samples]
    return ClassTruth(torch.cat(labels).to(device))


def _check_one(count: int) -> None:
    if count > 1:
        raise ValueError(
            f'the data set is multi-label (a sample has {count} labels): one true class per '
            'picture is needed'
        )


def needs_one_hot(student: nn.Module, classes: int | None) -> bool:
    """Whether a student's loss wants labels as scores, and its preprocessor does not make them.

    Raises:
        ValueError: Where the preprocessor makes scores of another number of classes.
    """
    from mmpretrain.models.losses import CrossEntropyLoss

    pixels = student.data_preprocessor
    loss = getattr(getattr(student, 'head', student), 'loss_module', None)
    one_hot = getattr(pixels, 'to_onehot', False)
    count = getattr(pixels, 'num_classes', None)
    if one_hot and None not in (count, classes) and count != classes:
        raise ValueError(
            f'data_preprocessor.num_classes={count}: the student has {classes} classes, and labels '
            'that are made one-hot (to_onehot, or for Mixup and CutMix) must have as many'
        )
    # Others that take a sigmoid make labels one-hot themselves.
    return isinstance(loss, CrossEntropyLoss) and loss.use_sigmoid and not one_hot


def check_labels(dataset: BaseDataset, classes: int | None, as_scores: bool = False) -> None:
    """Look at the labels before training.

    Args:
        dataset: The training data.
        classes: How many the student has; None where it does not tell.
        as_scores: Whether its loss wants them as scores.

    Raises:
        ValueError: For multi-label data, a label that is none of so many classes, or one that is
            no score where the loss wants scores.
    """
    first = dataset[0]['data_samples']
    ground_truth([first], torch.device('cpu'))
    if as_scores and is_labelled(first) and 'gt_score' not in first:
        raise ValueError(
            "the student's loss has use_sigmoid=True, which wants labels as scores: set "
            'data_preprocessor=dict(to_onehot=True, num_classes=...)'
        )
    labels = _labels(dataset, first)
    if not labels or classes is None:
        return
    low, high = min(labels), max(labels)
    if not 0 <= low <= high < classes:
        raise ValueError(
            f'the data set has labels from {low} to {high}, the student {classes} classes: set '
            'num_classes of its head to the number of classes'
        )


def _labels(dataset: BaseDataset, first: Any) -> list[int]:
    """Those of all samples that have one, where the data set tells without opening pictures.

    MMEngine's data sets do; of another one it is the first sample's.
    """
    inner = dataset.dataset if isinstance(dataset, FixedViews) else dataset
    if not hasattr(inner, 'get_data_info'):
        return [int(first.gt_label)] if is_labelled(first) and 'gt_label' in first else []
    infos = (inner.get_data_info(i) for i in range(len(inner)))
    told = [np.ravel(info['gt_label']) for info in infos if info.get('gt_label') is not None]
    for each in told:  # a number, or a list of one
        _check_one(each.size)
    return [int(each[0]) for each in told if each.size]
