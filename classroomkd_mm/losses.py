"""Distillation losses, weighted by the lesson."""

from typing import Sequence

from torch import Tensor, nn

from .filters import Lesson
from .functional import kl_distill, mse_distill
from .registry import MODELS


def lesson_weights(lesson: Lesson, labelled: Tensor) -> Tensor:
    """The lesson's weights as factors of a sum: mean over samples and labelled keypoints.

    Args:
        lesson: With weights ``(M, N, K')``.
        labelled: bool ``(N, K)``.

    Returns:
        ``(M, N, K)``, 0 for keypoints without a label.
    """
    share = labelled / labelled.sum(-1, keepdim=True).clamp(min=1)
    return lesson.weight * share / max(len(labelled), 1)


@MODELS.register_module()
class KLDistillLoss(nn.Module):
    """``mean_i sum_m r_m,i tau_m,i^2 KL(mentor || student)`` at the lesson's temperatures.

    Args:
        loss_weight: The paper's lambda.
        beta: Multiplies the logits. A heatmap peaks near 1: at ``beta=1`` its softmax is almost
            flat and the temperature has no effect. 1 for classification.
    """

    def __init__(self, loss_weight: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.beta = beta

    def forward(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        lesson: Lesson,
        temperature: Tensor,
        labelled: Tensor,
    ) -> Tensor:
        """The loss, a scalar.

        Args:
            student: Logits ``(N, K, D)``.
            mentors: M logits ``(N, K, D)``.
            lesson: With tensors ``(M, N, K')``.
            temperature: ``(M, N, K')``.
            labelled: bool ``(N, K)``.
        """
        weight = lesson_weights(lesson, labelled)
        return (
            self.loss_weight
            * kl_distill(
                student.float(), mentors, weight, (temperature / self.beta).expand_as(weight)
            )
            * self.beta**2
        )


@MODELS.register_module()
class MSEDistillLoss(nn.Module):
    """``mean_i sum_m r_m,i mean_d (student - mentor)^2``; the temperature has no part in it.

    Args:
        loss_weight: The paper's lambda.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        student: Tensor,
        mentors: Sequence[Tensor],
        lesson: Lesson,
        temperature: Tensor,
        labelled: Tensor,
    ) -> Tensor:
        """The loss, a scalar; arguments as :meth:`KLDistillLoss.forward`'s."""
        weight = lesson_weights(lesson, labelled)
        return self.loss_weight * mse_distill(student.float(), mentors, weight)
