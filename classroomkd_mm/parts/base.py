"""The contracts of the four parts that a lesson is made of.

A part is a registered class with one method. To add a rule, derive from its contract here, register
the class with ``classroomkd_mm.registry.MODELS`` and name it in the config; see docs/extending.md.
M mentors teach N samples of K keypoints (classification: K = 1) with D places each. A part is
called like a function, has no weights and no place in a checkpoint. M may be 0. Mentors' logits are
finite: 0 where a mentor is muted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Generic, Optional, TypedDict, TypeVar, Union

import torch
from torch import Tensor

from ..functional import target_among
from ..kinds import refuse_negative
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
        needs_standing: Whether it asks for ``Scores.standing``.
    """

    setting = 'knowledge_filter'
    task_weight: Optional[float] = None
    needs_standing: bool = False

    @abstractmethod
    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson.

        Args:
            scores: Of the student and M mentors.
            mentors: M natural logits ``(N, K, D)``: of a SimCC student's two parts the first. Of a
                mentor that knows only some classes they are of those, and D is their number.
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
            mentors: M natural logits ``(N, K, D)``, or of ``lesson.places`` alone.
        """


def lesson_weights(lesson: Lesson, labelled: Tensor) -> Tensor:
    """The lesson's weights as factors of a sum: mean over samples and labelled keypoints.

    Args:
        lesson: With weights ``(M, N, K')``.
        labelled: bool ``(N, K)``, or ``(M, N, K)`` where mentors know different keypoints, or
            different shares of a soft label, in [0, 1].

    Returns:
        ``(M, N, K)``, 0 for what is not taught.
    """
    share = labelled / labelled.sum(-1, keepdim=True).clamp(min=1)
    return lesson.weight * share / max(labelled.shape[-2], 1)


BALANCE_PER = ('batch', 'sample')
CONFLICT = ('keep', 'project')


class Consent(TypedDict, total=False):
    """Settings of every distillation loss, see :class:`DistillLoss`; derived ones hand them on."""

    balance: Optional[float]
    balance_per: str
    balance_odds: Union[bool, float]
    conflict: str
    fade: bool


class DistillLoss(Part):
    """How far is the student from its mentors? Called last, once for each part of a Reading.

    Derived losses give :meth:`distance`; the lesson's weights and ``loss_weight`` are applied here.
    A mentor that knows only some classes is compared with the student on those alone: the student's
    softmax is over them, too, ``q_c = exp(z_c) / sum_{k known} exp(z_k)``, as in Unifying
    Heterogeneous Classifiers (arXiv 1904.06062). So the classes that it does not know get no
    gradient from it. Losses are never shown them, and need not know of it.

    What ``balance``, ``conflict`` and ``fade`` ask is done to the gradient at the student's output,
    whatever the loss: see :mod:`classroomkd_mm.consent`. A loss that does not know them has none.

    Args:
        loss_weight: The paper's lambda.
        balance: What the lesson may weigh: its gradient is scaled down to so many times the norm
            of the task's. None, the paper's method, does not look.
        balance_per: Whose norms are compared: the whole 'batch' or each 'sample'. A sample's
            factor does not depend on the others, so several processes do as one does; of a batch
            each process has its own. But samples with little to learn then get little of a lesson.
        balance_odds: Whether a lesson may weigh more the more of it agrees with the labels: its
            limit is ``balance`` times how many of its parts (of a sample's keypoint, class: of a
            sample) agree with their label for each that contradicts it, one being added to both
            counts. A number is the power of these odds: with 2 lessons that mostly agree and
            lessons that often contradict are further apart.
        conflict: 'keep', the paper's method, or 'project': of each keypoint's lesson (class: each
            sample's) what points against the label's gradient is taken out, before the balance.
        fade: Whether what is left of a lesson shrinks evenly over the run, from all of it to
            nothing: labels have the last word. It needs a runner, which knows how long the run is.

    Raises:
        ValueError: For a weight below 0, a balance that is not positive, its odds without one, or
            another word.

    Attributes:
        sharpness: What turns a heatmap's values into natural logits for this loss. (A heatmap is
            ``D = H * W`` places, row by row.)
        compares_values: Whether it compares outputs themselves, and not the distributions that
            they stand for: it is then refused where heatmaps would meet SimCC vectors.
    """

    setting = 'distill_loss'
    sharpness: float = 1.0
    compares_values: bool = False
    balance: Optional[float] = None
    balance_per: str = 'batch'
    balance_odds: Union[bool, float] = False
    conflict: str = 'keep'
    fade: bool = False

    def __init__(
        self,
        loss_weight: float = 1.0,
        balance: Optional[float] = None,
        balance_per: str = 'batch',
        balance_odds: Union[bool, float] = False,
        conflict: str = 'keep',
        fade: bool = False,
    ) -> None:
        _check_consent(balance, balance_per, balance_odds, conflict)
        refuse_negative('distill_loss', loss_weight=loss_weight, balance_odds=balance_odds)
        self.loss_weight = loss_weight
        self.balance = balance
        self.balance_per = balance_per
        self.balance_odds = balance_odds
        self.conflict = conflict
        self.fade = fade

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
            mentors: M natural logits ``(N, K, D)``, or of ``lesson.places`` alone.
            lesson: With tensors ``(M, N, K')``.
            temperature: ``(M, N, K')``, or the mentors' and the student's.
            labelled: What is taught: bool ``(N, K)`` or ``(M, N, K)``, or shares in [0, 1].
            target: The true class ``(N, K)``, for tasks that have one; -1 where it is not known.
        """
        weight = lesson_weights(lesson, labelled)
        both = temperature if isinstance(temperature, tuple) else (temperature, temperature)
        tau, tau_s = (t.expand_as(weight) for t in both)
        student, lessons = student.float(), (mentors, weight, tau, tau_s)
        places = lesson.places or (None,) * len(mentors)
        whole = [m for m, each in enumerate(places) if each is None]
        if len(whole) == len(mentors):
            return self.loss_weight * self.distance(student, *lessons, target)
        total = student.sum() * 0
        if whole:
            total = total + self.distance(student, *_of(lessons, whole), target)
        for m, each in enumerate(places):
            if each is not None:
                known = (student.index_select(-1, each), *_of(lessons, [m]))
                named = None if target is None else target_among(target, each)
                total = total + self.distance(*known, named)
        return self.loss_weight * total

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

        A sum over mentors: one that knows only some classes is handed over alone, with what the
        student says of those.

        Args:
            student: Natural logits ``(N, K, D)``, float32.
            mentors: M natural logits ``(N, K, D)``.
            weight: ``(M, N, K)``, factors of a sum over all three.
            tau: The mentors' temperatures ``(M, N, K)``.
            tau_s: The student's temperatures ``(M, N, K)``.
            target: The true class ``(N, K)``, -1 where it is not known; or None.
        """


def _of(
    lessons: tuple[Sequence[Tensor], Tensor, Tensor, Tensor], chosen: Sequence[int]
) -> tuple[Sequence[Tensor], Tensor, Tensor, Tensor]:
    """Logits, weights and temperatures of some mentors alone."""
    mentors, *tensors = lessons
    weight, tau, tau_s = (torch.stack([each[m] for m in chosen]) for each in tensors)
    return [mentors[m] for m in chosen], weight, tau, tau_s


def _check_consent(
    balance: object, balance_per: object, balance_odds: object, conflict: object
) -> None:
    number = isinstance(balance, (int, float)) and not isinstance(balance, bool)
    if balance is not None and not (number and 0 < balance < inf):  # type: ignore[operator]
        raise ValueError(
            f'distill_loss.balance={balance!r} is no positive number: 1 lets a lesson weigh as '
            'much as the task, None does not look'
        )
    if balance_odds and balance is None:
        raise ValueError(
            f'distill_loss.balance_odds={balance_odds} multiplies a balance, and there is none: '
            'set distill_loss.balance=1.0, or balance_odds=False'
        )
    for setting, value, choices in (
        ('balance_per', balance_per, BALANCE_PER),
        ('conflict', conflict, CONFLICT),
    ):
        if value not in choices:
            raise ValueError(
                f'distill_loss.{setting}={value!r} is unknown; choose one of {choices}'
            )
