"""Image classification with MMPretrain's classifiers."""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ..scorers import ClassTruth, Scores
from .base import Task, replayed


def is_classifier(network: nn.Module) -> bool:
    """Whether a network is one of MMPretrain's classifiers."""
    return any(c.__module__.startswith('mmpretrain.') for c in type(network).__mro__)


def check_classifier(network: nn.Module, who: str) -> None:
    """Refuse a network that does not give one logit per class.

    Raises:
        ValueError: Naming ``who``, the head and what is expected.
    """
    from mmpretrain.models import ClsHead, HuggingFaceClassifier, ImageClassifier, TimmClassifier
    from mmpretrain.models.heads import MultiLabelClsHead

    if isinstance(network, (TimmClassifier, HuggingFaceClassifier)):
        return
    if not isinstance(network, ImageClassifier):
        raise ValueError(
            f'{who} must be an ImageClassifier, TimmClassifier or HuggingFaceClassifier, got '
            f'{type(network).__name__}'
        )
    if isinstance(network.head, MultiLabelClsHead):
        raise ValueError(
            f'{who} has the multi-label head {type(network.head).__name__}: a softmax over classes '
            'needs one true class per picture'
        )
    # A head with a loss of its own may not score what its forward gives (Conformer, ArcFace).
    if not isinstance(network.head, ClsHead) or type(network.head).loss is not ClsHead.loss:
        raise ValueError(
            f'{who} needs a head that gives logits (ClsHead or a subclass that keeps its loss), '
            f'got {type(network.head).__name__}'
        )


def num_classes(network: nn.Module) -> Optional[int]:
    """Number of logits that a classifier gives; None where it does not tell."""
    for owner in (network, getattr(network, 'head', None), getattr(network, 'model', None)):
        count = getattr(owner, 'num_classes', None)
        if isinstance(count, int):
            return count
    labels = getattr(getattr(getattr(network, 'model', None), 'config', None), 'num_labels', None)
    return labels


def class_index(theirs: Sequence[str], ours: Sequence[str], who: str) -> list[int]:
    """Where each of the student's classes is among a mentor's.

    Raises:
        ValueError: Naming the classes that the mentor lacks, or names that stand for two classes.
    """
    if list(theirs) == list(ours):
        return list(range(len(ours)))
    for side, names in (('classes', theirs), ("the data set's classes", ours)):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        if twice:
            raise ValueError(
                f'{who}: {side} names {twice[:3]} twice: they cannot be joined by name'
            )
    lacking = [name for name in ours if name not in theirs]
    if lacking:
        raise ValueError(
            f"{who}: classes lacks {len(lacking)} of the data set's {len(ours)} classes, e.g. "
            f'{lacking[:3]}'
        )
    return [list(theirs).index(name) for name in ours]


class ClassificationTask(Task):
    """MMPretrain's classifiers.

    Args:
        student: The stock model.

    Raises:
        ValueError: Where the student does not give one logit per class.
    """

    default_scorer = dict(type='TrueClassScorer')
    truth = ClassTruth

    def __init__(self, student: nn.Module) -> None:
        check_classifier(student, 'student')
        self.num_classes = num_classes(student)
        self.mapped: list[Any] = []

    def admit(self, mentor: Any) -> None:
        """Check that a mentor speaks of the student's classes.

        Raises:
            ValueError: With both sides' counts, or for a normalisation that is not known.
        """
        who = f'mentor {mentor.name!r}'
        check_classifier(mentor.network, who)
        if not mentor.has_norm:
            raise ValueError(
                f'{who}: its data_preprocessor says no mean and std, so what inputs it expects is '
                'unknown; write them into its config (mean=[0], std=[1] if it takes raw pixels)'
            )
        count = num_classes(mentor.network)
        expected = self.num_classes if mentor.classes is None else len(mentor.classes)
        if None not in (count, expected) and count != expected:
            raise ValueError(
                f'{who} has {count} classes, the student {expected}; map them with '
                "classes=[the mentor's class names]"
                if mentor.classes is None
                else f'{who}: classes has {expected} names, the mentor {count} classes'
            )
        if mentor.classes is not None:
            self.mapped.append(mentor)
            mentor.adaptations.append(f'{count} classes joined by name')

    def check_data(self, scorer: nn.Module, dataset: Any) -> None:
        """Look at the labels before training; map the mentors' class lists to the data set's.

        Raises:
            ValueError: For multi-label data, a label out of range, or a class that a mentor lacks.
        """
        self.dataset_meta = dataset.metainfo
        for mentor in self.mapped:
            ours = dataset.metainfo.get('classes') or ()
            if len(ours) != (self.num_classes or len(ours)):
                raise ValueError(
                    f'mentor {mentor.name!r}: classes are joined by name, and the data set names '
                    f'{len(ours)} of the {self.num_classes} classes'
                )
            index = class_index(mentor.classes, ours, f'mentor {mentor.name!r}')
            mentor.class_index = torch.tensor(index, device=mentor.gain.device)
        ground_truth([dataset[0]['data_samples']], torch.device('cpu'))
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
        low, high = min(labels), max(labels)
        if self.num_classes is not None and not 0 <= low <= high < self.num_classes:
            raise ValueError(
                f'the data set has labels from {low} to {high}, the student {self.num_classes} '
                'classes: set num_classes of its head to the number of classes'
            )

    def forward(self, student: nn.Module, inputs: Tensor) -> tuple[Any, Tensor]:
        """What the head was given (None where the model has no head of its own), and its logits."""
        if not hasattr(student, 'head'):
            return None, student(inputs, mode='tensor')
        feats = student.extract_feat(inputs)
        return feats, student.head.forward(feats)

    def score(
        self,
        scorer: nn.Module,
        student: Tensor,
        mentors: Sequence[Any],
        outputs: Sequence[Tensor],
        data_samples: Sequence[Any],
    ) -> Scores:
        """Score all members on their adapted logits ``(N, C)``."""
        return scorer(torch.stack([student, *outputs]), ground_truth(data_samples, student.device))

    def logits(self, output: Tensor, beta: float, mentor: Any = None) -> tuple[Tensor, ...]:
        """Logits as ``(N, 1, C)``."""
        return (output[:, None],)

    def task_loss(
        self,
        student: nn.Module,
        feats: Any,
        output: Tensor,
        data_samples: Sequence[Any],
        weight: Tensor,
    ) -> dict[str, Tensor]:
        """The classifier's own losses with each sample weighted by ``weight`` (N,)."""
        if feats is None:
            return student._get_loss(output, data_samples, weight=weight)
        with replayed(student.head, output):
            return student.head.loss(feats, data_samples, weight=weight)

    def adapt(self, output: Tensor, mentor: Any) -> Tensor:
        """A mentor's logits over the student's classes."""
        if mentor.classes is None:
            return output
        if mentor.class_index is None:
            raise RuntimeError(
                f"mentor {mentor.name!r}: classes needs the data set's class names, which "
                'ClassroomHook hands over: add it to custom_hooks'
            )
        return output.index_select(-1, mentor.class_index)


def ground_truth(data_samples: Sequence[Any], device: torch.device) -> ClassTruth:
    """Labels of MMPretrain's ``DataSample``: soft where batch augmentation made them so.

    Raises:
        ValueError: For multi-label data.
    """
    if 'gt_score' in data_samples[0]:
        return ClassTruth(torch.stack([sample.gt_score for sample in data_samples]).to(device))
    labels = [sample.gt_label for sample in data_samples]
    if any(label.numel() != 1 for label in labels):
        raise ValueError(
            'the data set is multi-label (a sample has '
            f'{max(label.numel() for label in labels)} labels): one true class per picture is '
            'needed'
        )
    return ClassTruth(torch.cat(labels).to(device))
