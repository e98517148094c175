"""Image classification with MMPretrain's classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...parts import Scorer
from ...registry import TASKS
from ...structures import ClassTruth, Reading, Resize
from ..base import Bridge, NetworkConfig, Samples, Task
from ..heads import Output, replayed
from .bridge import ClassBridge, reading
from .networks import check_classifier, is_classifier, num_classes

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset
    from mmpretrain.models import BaseClassifier


@TASKS.register_module()
class ClassificationTask(Task[ClassTruth]):
    """MMPretrain's classifiers.

    Args:
        student: The stock model.
        sharpness: What its logits are multiplied by to be natural ones.

    Raises:
        ValueError: Where the student does not give one logit per class.
    """

    default_scorer = dict(type='TrueClassScorer')
    truth = ClassTruth
    networks = 'classifiers'
    mentor_settings = frozenset({'classes', 'input_size'})
    has_target = True

    def __init__(self, student: nn.Module, sharpness: float = 1.0) -> None:
        super().__init__(student, sharpness)
        check_classifier(student, 'student')
        self.num_classes = num_classes(student)
        self.places = self.num_classes or self.places

    @classmethod
    def fits(cls, student: nn.Module) -> bool:
        """Whether a model is one of MMPretrain's classifiers."""
        return is_classifier(student)

    def bridge(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Bridge:
        """What a mentor is to this student.

        Raises:
            ValueError: With both sides' number of classes, or for a normalisation that is not
                known.
        """
        who = f'mentor {name!r}'
        check_classifier(network, who)
        if not hasattr(network.data_preprocessor, 'mean'):
            raise ValueError(
                f'{who}: its data_preprocessor says no mean and std, so what inputs it expects is '
                'unknown; write them into its config (mean=[0], std=[1] if it takes raw pixels)'
            )
        classes, count = settings.get('classes'), num_classes(network)
        self._check_count(count, classes, who)
        words, resize = [], None
        if settings.get('input_size') is not None:
            width, height = (int(v) for v in settings['input_size'])
            words.append(f'input to {width}x{height}')
            resize = Resize((height, width))
        if classes is not None:
            words.append(f'{count} classes joined by name')
        named = None if classes is None else tuple(classes)
        return ClassBridge(
            name,
            tuple(words),
            resize,
            classes=named,
            expected=self.num_classes,
            sharpness=self.sharpness,
        )

    def _check_count(self, count: int | None, classes: Sequence[str] | None, who: str) -> None:
        expected = self.num_classes if classes is None else len(classes)
        if None not in (count, expected) and count != expected:
            raise ValueError(
                f'{who} has {count} classes, the student {expected}; map them with '
                "classes=[the mentor's class names]"
                if classes is None
                else f'{who}: classes has {expected} names, the mentor {count} classes'
            )

    def forward(self, student: BaseClassifier, inputs: Tensor) -> tuple[object, Output]:
        """What the head was given (None where the model has no head of its own), and its logits."""
        if not hasattr(student, 'head'):
            return None, student(inputs, mode='tensor')
        feats = student.extract_feat(inputs)
        return feats, student.head.forward(feats)

    def read(self, output: Output) -> Reading:
        """Logits, as they are and as one distribution a sample."""
        if not isinstance(output, Tensor):
            raise TypeError(f'the student gave a {type(output).__name__}, not logits')
        return reading(output.float(), self.sharpness)

    def ground_truth(self, data_samples: Samples, device: torch.device) -> ClassTruth:
        """Labels of MMPretrain's ``DataSample``: soft where batch augmentation made them so.

        Raises:
            ValueError: For multi-label data.
        """
        return ground_truth(data_samples, device)

    def task_loss(
        self,
        student: BaseClassifier,
        feats: object,
        output: Output,
        data_samples: Samples,
        weight: Tensor | None,
    ) -> dict[str, Any]:
        """The classifier's own losses with each sample weighted by ``weight`` (N,)."""
        weighting = {} if weight is None else dict(weight=weight)
        if feats is None:
            return student._get_loss(output, data_samples, **weighting)
        with replayed(student.head, output):
            return student.head.loss(feats, data_samples, **weighting)

    def check_data(self, scorer: Scorer[Any], dataset: BaseDataset) -> None:
        """Look at the labels before training.

        Raises:
            ValueError: For multi-label data, or a label out of range.
        """
        self.ground_truth([dataset[0]['data_samples']], torch.device('cpu'))
        labels = [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]
        low, high = min(labels), max(labels)
        if self.num_classes is not None and not 0 <= low <= high < self.num_classes:
            raise ValueError(
                f'the data set has labels from {low} to {high}, the student {self.num_classes} '
                'classes: set num_classes of its head to the number of classes'
            )


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
