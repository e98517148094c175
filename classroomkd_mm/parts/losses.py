"""Distillation losses, weighted by the lesson."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor

from ..functional import dist_distill, dkd_distill, kl_distill, mse_distill
from ..kinds import refuse_negative
from ..registry import MODELS
from ..structures import Lesson, Temperatures
from .base import Consent, DistillLoss

if TYPE_CHECKING:
    from typing_extensions import Unpack


@MODELS.register_module()
class KLDistillLoss(DistillLoss):
    """``mean_i sum_m r_m,i tau_m,i^2 KL(mentor || student)`` at the lesson's temperatures.

    Args:
        loss_weight: The paper's lambda.
        beta: What heatmaps are multiplied by to be natural logits. They peak near 1: at ``beta=1``
            their softmax is almost flat and the temperature has no effect. 1 for classes.
        anchor: Weight of one more KL with the first mentor, at temperature 1 and whatever the
            filter says: 1 in the authors' homogeneous form.
        **consent: ``balance``, ``conflict`` and what else :class:`DistillLoss` takes.

    Raises:
        ValueError: If beta is not positive, or a weight negative.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        beta: float = 1.0,
        anchor: float = 0.0,
        **consent: 'Unpack[Consent]',
    ) -> None:
        super().__init__(loss_weight, **consent)
        if beta <= 0:
            raise ValueError(f'distill_loss.beta={beta} is not positive')
        refuse_negative('distill_loss', anchor=anchor)
        self.sharpness = beta
        self.anchor = anchor

    def forward(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        lesson: Lesson,
        temperature: Temperatures,
        labelled: Tensor,
        target: Optional[Tensor] = None,
    ) -> Tensor:
        """As :meth:`DistillLoss.forward`, with the anchor as one more mentor."""
        if self.anchor and len(mentors):
            places = lesson.places and (*lesson.places, lesson.places[0])
            weight = _and_one(lesson.weight, self.anchor, lesson.healthy)
            lesson = replace(lesson, weight=weight, places=places)
            both = temperature if isinstance(temperature, tuple) else (temperature, temperature)
            temperature = (_and_one(both[0], 1.0), _and_one(both[1], 1.0))
            mentors = [*mentors, mentors[0]]
            if labelled.dim() == 3:
                labelled = torch.cat([labelled, labelled[:1]])
        return super().forward(student, mentors, lesson, temperature, labelled, target)

    def distance(  # noqa: D102
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        weight: Tensor,
        tau: Tensor,
        tau_s: Tensor,
        target: Optional[Tensor],
    ) -> Tensor:
        return kl_distill(student, mentors, weight, tau, tau_s)


def _and_one(values: Tensor, value: float, healthy: Optional[Tensor] = None) -> Tensor:
    """``values`` (M, N, K) and one more row for the first mentor, 0 where it is muted."""
    row = torch.full_like(values[:1], value)
    return torch.cat([values, row if healthy is None else row * healthy[0, :, None]])


@MODELS.register_module()
class MSEDistillLoss(DistillLoss):
    """``mean_i sum_m r_m,i mean_d (student - mentor)^2``; the temperature has no part in it.

    Args:
        loss_weight: The paper's lambda.
        balance: See :class:`DistillLoss`, as for the next two.
        balance_per: See there.
        balance_odds: See there.
        conflict: See there.
        fade: See there.
    """

    compares_values = True

    def distance(  # noqa: D102
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        weight: Tensor,
        tau: Tensor,
        tau_s: Tensor,
        target: Optional[Tensor],
    ) -> Tensor:
        return mse_distill(student, mentors, weight)


@MODELS.register_module()
class DKDDistillLoss(DistillLoss):
    """Decoupled distillation (arXiv 2203.08679), at the mentors' temperatures.

    Args:
        alpha: Weight of the true class against all others.
        beta: Weight of the others among themselves.
        loss_weight: The paper's lambda.
        **consent: ``balance``, ``conflict`` and what else :class:`DistillLoss` takes.

    Raises:
        ValueError: For a negative weight; when called for a task without a true class, or with
            two classes and ``alpha=0``: there is only one other class, and nothing to compare.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 8.0,
        loss_weight: float = 1.0,
        **consent: 'Unpack[Consent]',
    ) -> None:
        super().__init__(loss_weight, **consent)
        refuse_negative('distill_loss', alpha=alpha, beta=beta)
        self.alpha = alpha
        self.beta = beta

    def distance(  # noqa: D102
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        weight: Tensor,
        tau: Tensor,
        tau_s: Tensor,
        target: Optional[Tensor],
    ) -> Tensor:
        if target is None:
            raise ValueError(
                'distill_loss=DKDDistillLoss needs a true class: it is for classification; '
                'use KLDistillLoss for heatmaps'
            )
        if student.shape[-1] == 2 and not self.alpha:
            raise ValueError(
                'distill_loss=DKDDistillLoss with alpha=0 compares the classes beside the true '
                'one, and with two classes there is only one: the loss would be 0; set alpha'
            )
        return dkd_distill(student, mentors, weight, tau, target, self.alpha, self.beta)


@MODELS.register_module()
class DISTDistillLoss(DistillLoss):
    """Relations between and within classes (DIST, arXiv 2205.10536), at the mentors' temperatures.

    Args:
        beta: Weight of the relation between the classes of a sample.
        gamma: Weight of the relation between the samples of a class.
        loss_weight: The paper's lambda.
        **consent: ``balance``, ``conflict`` and what else :class:`DistillLoss` takes.

    Raises:
        ValueError: For a negative weight.
    """

    def __init__(
        self,
        beta: float = 1.0,
        gamma: float = 1.0,
        loss_weight: float = 1.0,
        **consent: 'Unpack[Consent]',
    ) -> None:
        super().__init__(loss_weight, **consent)
        refuse_negative('distill_loss', beta=beta, gamma=gamma)
        self.beta = beta
        self.gamma = gamma

    def distance(  # noqa: D102
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        weight: Tensor,
        tau: Tensor,
        tau_s: Tensor,
        target: Optional[Tensor],
    ) -> Tensor:
        return dist_distill(student, mentors, weight, tau, self.beta, self.gamma)
