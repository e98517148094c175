"""The contracts of the four parts that a lesson is made of.

A part is a registered class with one method. To add a rule, derive from its contract here, register
the class with ``classroomkd_mm.registry.MODELS`` and name it in the config; see docs/extending.md.
M mentors teach N samples of K keypoints (classification: K = 1) with D places each. A part is
called like a function, has no weights and no place in a checkpoint. M may be 0. Mentors' logits are
finite: 0 where a mentor is muted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Optional, TypeVar

from torch import Tensor

from ..structures import Lesson, Scores, Temperatures

Truth = TypeVar('Truth')
Metainfo = Mapping[str, Any]  # a data set's, as MMEngine's data sets state it


class Part(ABC):
    """What the contracts have in common.

    Attributes:
        setting: Where a config names the part.
    """

    setting: str

    forward: Callable[..., Any]

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """As :meth:`forward`."""
        return self.forward(*args, **kwargs)


class Scorer(Part, Generic[Truth]):
    """How well did each member do on each sample?

    Called first, without gradients and in float32. Refuses data that lack what it needs, by a
    ``ValueError`` that says what to use instead.

    Attributes:
        truth: The kind of ground truth that it takes; a task refuses another task's scorer.
    """

    setting = 'scorer'
    truth: type

    @abstractmethod
    def forward(self, guesses: Tensor, truth: Truth, metainfo: Metainfo) -> Scores:
        """Score all members.

        Args:
            guesses: ``(1 + M, N, ...)``, the student first: keypoints ``(K, 2)`` in input pixels,
                logits ``(C,)``, or what the task reads.
            truth: What is known of the batch.
            metainfo: The data set's, empty where it is not known.
        """


class Filter(Part):
    """Who teaches, how much, and what does the student's own task weigh?

    Called after the scorer, without gradients.

    Attributes:
        task_weight: The task loss's weight where it is the same for every sample; None where each
            has its own, ``Lesson.task_weight``. The task's loss must then be a sum over samples:
            others are refused when the model is built.
    """

    setting = 'knowledge_filter'
    task_weight: Optional[float] = None

    @abstractmethod
    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson.

        Args:
            scores: Of the student and M mentors.
            mentors: M natural logits ``(N, K, D)``: of a SimCC student's two parts the first.
        """


class Mentoring(Part):
    """How gently does each mentor teach? Called after the filter, for each part of a Reading."""

    setting = 'mentoring'

    @abstractmethod
    def forward(self, lesson: Lesson, student: Tensor, mentors: Sequence[Tensor]) -> Temperatures:
        """Temperatures ``(M, N, K')``, positive, of both sides, or (the mentors', the student's).

        Args:
            lesson: With tensors ``(M, N, K')``.
            student: Natural logits ``(N, K, D)``, without gradient.
            mentors: M natural logits ``(N, K, D)``.
        """


def lesson_weights(lesson: Lesson, labelled: Tensor) -> Tensor:
    """The lesson's weights as factors of a sum: mean over samples and labelled keypoints.

    Args:
        lesson: With weights ``(M, N, K')``.
        labelled: bool ``(N, K)``, or ``(M, N, K)`` where mentors know different keypoints.

    Returns:
        ``(M, N, K)``, 0 for keypoints without a label.
    """
    share = labelled / labelled.sum(-1, keepdim=True).clamp(min=1)
    return lesson.weight * share / max(labelled.shape[-2], 1)


class DistillLoss(Part):
    """How far is the student from its mentors? Called last, once for each part of a Reading.

    Derived losses give :meth:`distance`; the lesson's weights and ``loss_weight`` are applied here.

    Args:
        loss_weight: The paper's lambda.

    Attributes:
        sharpness: What turns a heatmap's values into natural logits for this loss. (A heatmap is
            ``D = H * W`` places, row by row.)
        compares_values: Whether it compares outputs themselves, and not the distributions that
            they stand for: it is then refused where heatmaps would meet SimCC vectors.
    """

    setting = 'distill_loss'
    sharpness: float = 1.0
    compares_values: bool = False

    def __init__(self, loss_weight: float = 1.0) -> None:
        self.loss_weight = loss_weight

    def forward(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        lesson: Lesson,
        temperature: Temperatures,
        labelled: Tensor,
        target: Optional[Tensor] = None,
    ) -> Tensor:
        """The loss, a scalar; 0 where nobody teaches.

        Args:
            student: Natural logits ``(N, K, D)``, with gradient.
            mentors: M natural logits ``(N, K, D)``.
            lesson: With tensors ``(M, N, K')``.
            temperature: ``(M, N, K')``, or the mentors' and the student's.
            labelled: bool ``(N, K)`` or ``(M, N, K)``.
            target: The true class ``(N, K)``, for tasks that have one.
        """
        weight = lesson_weights(lesson, labelled)
        both = temperature if isinstance(temperature, tuple) else (temperature, temperature)
        tau, tau_s = (t.expand_as(weight) for t in both)
        value = self.distance(student.float(), mentors, weight, tau, tau_s, target)
        return self.loss_weight * value

    @abstractmethod
    def distance(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        weight: Tensor,
        tau: Tensor,
        tau_s: Tensor,
        target: Optional[Tensor],
    ) -> Tensor:
        """The loss before ``loss_weight``, a scalar; each loss has its own.

        Args:
            student: Natural logits ``(N, K, D)``, float32.
            mentors: M natural logits ``(N, K, D)``.
            weight: ``(M, N, K)``, factors of a sum over all three.
            tau: The mentors' temperatures ``(M, N, K)``.
            tau_s: The student's temperatures ``(M, N, K)``.
            target: The true class ``(N, K)``, or None.
        """
