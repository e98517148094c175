"""Distillation losses, weighted by the lesson."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional, Union

import torch
from torch import Tensor, nn

from .filters import Lesson
from .functional import dist_distill, dkd_distill, kl_distill, mse_distill
from .registry import MODELS

# One temperature for both sides, or (the mentors', the student's).
Temperature = Union[Tensor, tuple[Tensor, Tensor]]


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


class DistillLoss(nn.Module):
    """What the losses have in common: ``loss_weight`` and the weights of the lesson's samples.

    Args:
        loss_weight: The paper's lambda.
    """

    role = 'distill_loss'

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        lesson: Lesson,
        temperature: Temperature,
        labelled: Tensor,
        target: Optional[Tensor] = None,
    ) -> Tensor:
        """The loss, a scalar.

        Args:
            student: Logits ``(N, K, D)``.
            mentors: M logits ``(N, K, D)``.
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
            student: Logits ``(N, K, D)``, float32.
            mentors: M logits ``(N, K, D)``.
            weight: ``(M, N, K)``, factors of a sum over all three.
            tau: The mentors' temperatures ``(M, N, K)``.
            tau_s: The student's temperatures ``(M, N, K)``.
            target: The true class ``(N, K)``, or None.
        """
        raise NotImplementedError


@MODELS.register_module()
class KLDistillLoss(DistillLoss):
    """``mean_i sum_m r_m,i tau_m,i^2 KL(mentor || student)`` at the lesson's temperatures.

    Args:
        loss_weight: The paper's lambda.
        beta: Multiplies the logits. A heatmap peaks near 1: at ``beta=1`` its softmax is almost
            flat and the temperature has no effect. 1 for classification.
        anchor: Weight of one more KL with the first mentor, at temperature 1 and whatever the
            filter says: 1 in the authors' homogeneous form.

    Raises:
        ValueError: If beta is not positive.
    """

    def __init__(self, loss_weight: float = 1.0, beta: float = 1.0, anchor: float = 0.0) -> None:
        super().__init__(loss_weight)
        if beta <= 0:
            raise ValueError(f'distill_loss.beta={beta} is not positive')
        self.beta = beta
        self.anchor = anchor

    def forward(self, student, mentors, lesson, temperature, labelled, target=None):  # noqa: D102
        if self.anchor and len(mentors):
            lesson = replace(lesson, weight=_and_one(lesson.weight, self.anchor, lesson.healthy))
            both = temperature if isinstance(temperature, tuple) else (temperature, temperature)
            temperature = tuple(_and_one(t, 1.0) for t in both)
            mentors = [*mentors, mentors[0]]
            if labelled.dim() == 3:
                labelled = torch.cat([labelled, labelled[:1]])
        return super().forward(student, mentors, lesson, temperature, labelled, target)

    def distance(self, student, mentors, weight, tau, tau_s, target):  # noqa: D102
        value = kl_distill(student, mentors, weight, tau / self.beta, tau_s / self.beta)
        return value * self.beta**2


def _and_one(values: Tensor, value: float, healthy: Optional[Tensor] = None) -> Tensor:
    """``values`` (M, ...) and one more row for the first mentor, 0 where it is muted."""
    row = torch.full_like(values[:1], value)
    return torch.cat([values, row if healthy is None else row * healthy[0]])


@MODELS.register_module()
class MSEDistillLoss(DistillLoss):
    """``mean_i sum_m r_m,i mean_d (student - mentor)^2``; the temperature has no part in it.

    Args:
        loss_weight: The paper's lambda.
    """

    compares_values = True

    def distance(self, student, mentors, weight, tau, tau_s, target):  # noqa: D102
        return mse_distill(student, mentors, weight)


@MODELS.register_module()
class DKDDistillLoss(DistillLoss):
    """Decoupled distillation (arXiv 2203.08679), at the mentors' temperatures.

    Args:
        alpha: Weight of the true class against all others.
        beta: Weight of the others among themselves.
        loss_weight: The paper's lambda.

    Raises:
        ValueError: When called for a task without a true class.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 8.0, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.alpha = alpha
        self.beta = beta

    def distance(self, student, mentors, weight, tau, tau_s, target):  # noqa: D102
        if target is None:
            raise ValueError(
                'distill_loss=DKDDistillLoss needs a true class: it is for classification; '
                'use KLDistillLoss for heatmaps'
            )
        return dkd_distill(student, mentors, weight, tau, target, self.alpha, self.beta)


@MODELS.register_module()
class DISTDistillLoss(DistillLoss):
    """Relations between and within classes (DIST, arXiv 2205.10536), at the mentors' temperatures.

    Args:
        beta: Weight of the relation between the classes of a sample.
        gamma: Weight of the relation between the samples of a class.
        loss_weight: The paper's lambda.
    """

    def __init__(self, beta: float = 1.0, gamma: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        self.beta = beta
        self.gamma = gamma

    def distance(self, student, mentors, weight, tau, tau_s, target):  # noqa: D102
        return dist_distill(student, mentors, weight, tau, self.beta, self.gamma)
