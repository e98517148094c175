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
            if training and self.batch_augments is not None:
                raise ValueError(
                    f'data_preprocessor.batch_augments mixes pictures, of which {len(blanks)} of '
                    f'{len(samples)} have no label: a picture that is half of one with a label has '
                    'half a label; take batch_augments out, or what has no label'
                )
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


def check_one_hot(student: nn.Module, classes: int | None) -> None:
    """Refuse a preprocessor that makes labels one-hot in another number of classes.

    Raises:
        ValueError: With both numbers.
    """
    count = getattr(student.data_preprocessor, 'num_classes', None)
    if _makes_one_hot(student) and None not in (count, classes) and count != classes:
        raise ValueError(
            f'data_preprocessor.num_classes={count}: the student has {classes} classes, and labels '
            'that are made one-hot (to_onehot, or for Mixup and CutMix) must have as many'
        )


def wants_scores(student: nn.Module) -> bool:
    """Whether a student's loss wants labels as scores, and its preprocessor does not make them."""
    from mmpretrain.models.losses import CrossEntropyLoss

    loss = getattr(getattr(student, 'head', student), 'loss_module', None)
    # Others that take a sigmoid make labels one-hot themselves.
    sigmoid = isinstance(loss, CrossEntropyLoss) and loss.use_sigmoid
    return sigmoid and not _makes_one_hot(student)


def _makes_one_hot(student: nn.Module) -> bool:
    return getattr(student.data_preprocessor, 'to_onehot', False)


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
