"""Image classification with MMPretrain's classifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import torch
from torch import Tensor, nn

from ...parts import Scorer
from ...registry import TASKS
from ...structures import ClassTruth, Reading, Resize, Scores
from ..base import Bridge, NetworkConfig, Portrait, Samples, Task, warn_of_own_loss
from ..heads import Output, replayed
from .bridge import ClassBridge, reading
from .labels import (
    check_labels,
    check_one_hot,
    ground_truth,
    is_labelled,
    let_batches_mix,
    wants_scores,
)
from .limited import score_all
from .networks import (
    Size,
    check_classifier,
    is_classifier,
    made_for,
    num_classes,
    own_pictures,
)

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
        ValueError: Where the student does not give one logit per class, or its preprocessor makes
            labels of other classes.
    """

    default_scorer = dict(type='TrueClassScorer')
    truth = ClassTruth
    networks = 'classifiers'
    mentor_settings: ClassVar[Mapping[str, object]] = dict(
        classes=Optional[Sequence[str]], input_size=Optional[Sequence[int]]
    )
    has_target = True

    def __init__(self, student: nn.Module, sharpness: float = 1.0) -> None:
        super().__init__(student, sharpness)
        check_classifier(student, 'student', learns=True)
        warn_of_own_loss(student, 'mmpretrain')
        let_batches_mix()
        self.num_classes = num_classes(student)
        self.places = self.num_classes or self.places
        check_one_hot(student, self.num_classes)
        self._wants_scores = wants_scores(student)

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
        return self.bridge_to(name, self.portrait(name, network, config, settings), settings)

    def portrait(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Portrait:
        """What a bridge asks of a classifier."""
        who = f'mentor {name!r}'
        check_classifier(network, who)
        if not hasattr(network.data_preprocessor, 'mean'):
            raise ValueError(
                f'{who}: its data_preprocessor says no mean and std, so what inputs it expects is '
                'unknown; write them into its config (mean=[0], std=[1] if it takes raw pixels)'
            )
        return dict(
            count=num_classes(network),
            kind=type(getattr(network, 'backbone', network)).__name__,
            sizes=_sizes(network, config),
        )

    def bridge_to(self, name: str, portrait: Portrait, settings: Mapping[str, Any]) -> Bridge:
        """What a mentor is to this student, by its portrait."""
        who, classes, count = f'mentor {name!r}', settings.get('classes'), portrait['count']
        self._check_count(count, classes, who)
        sizes = tuple((int(height), int(width)) for height, width in portrait['sizes'])
        words, resize = [], None
        size = settings.get('input_size')
        if size is not None:
            if len(size) != 2 or min(size) < 1:
                raise ValueError(f'{who}: input_size={size!r} must be (width, height) in pixels')
            width, height = size
            words.append(f'input to {width}x{height}')
            resize = Resize((height, width))
            if sizes and (height, width) not in sizes:
                words.append(f'which was made for {sizes[0][1]}x{sizes[0][0]}')
            sizes = ()
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
            kind=portrait['kind'],
            sizes=sizes,
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

    def score(
        self,
        scorer: Scorer[ClassTruth],
        readings: Sequence[Reading],
        bridges: Sequence[Bridge],
        truth: ClassTruth,
    ) -> Scores:
        """Score all, and mentors of some classes beside the student on those alone."""
        if all(each.places is None for each in readings):
            return super().score(scorer, readings, bridges, truth)
        return score_all(scorer, readings, truth, self.metainfo)

    def task_loss(
        self,
        student: BaseClassifier,
        feats: object,
        output: Output,
        data_samples: Samples,
        weight: Tensor | None,
    ) -> dict[str, Any]:
        """The classifier's own losses with each sample weighted by ``weight`` (N,).

        Their mean is over the samples that have a label; 0 where none has.
        """
        assert isinstance(output, Tensor)  # as read() has seen
        labelled = [i for i, sample in enumerate(data_samples) if is_labelled(sample)]
        if not labelled:
            return dict(loss=output.sum() * 0)
        if len(labelled) < len(data_samples):
            data_samples = [data_samples[i] for i in labelled]
            output = torch.stack([output[i] for i in labelled])
            weight = None if weight is None else torch.stack([weight[i] for i in labelled])
        return self._own_losses(student, feats, output, data_samples, weight)

    @staticmethod
    def _own_losses(
        student: BaseClassifier,
        feats: object,
        output: Tensor,
        data_samples: Samples,
        weight: Tensor | None,
    ) -> dict[str, Any]:
        weighting = {} if weight is None else dict(weight=weight)
        if feats is None:
            return student._get_loss(output, data_samples, **weighting)
        with replayed(student.head, output):
            return student.head.loss(feats, data_samples, **weighting)

    def check_data(self, scorer: Scorer[Any], dataset: BaseDataset) -> None:
        """Look at the labels before training.

        Raises:
            ValueError: For multi-label data, a label out of range, or of another form than the
                student's loss wants.
        """
        check_labels(dataset, self.num_classes, self._wants_scores)


def _sizes(network: nn.Module, config: NetworkConfig) -> list[Size]:
    """The sizes (H, W) that a classifier takes, best first; none where any will do."""
    made = made_for(network, config)
    own = own_pictures(config)
    return [] if made is None else list(dict.fromkeys([*([own] if own else []), made]))
