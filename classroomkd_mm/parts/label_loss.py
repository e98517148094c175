"""A heatmap head's own loss with the lesson's formula: what mentors are to be compared with."""

from collections.abc import Mapping
from typing import Any, Optional

import torch
from torch import Tensor, nn

from ..functional import kl_distill
from ..kinds import Closed, check_kinds, refuse_negative
from ..registry import MODELS

HEATMAP_MSE = dict(type='mmpose.KeypointMSELoss', use_target_weight=True)


@MODELS.register_module()
class LabelKLLoss(Closed, nn.Module):
    """A head's own loss, and :class:`KLDistillLoss` with the label's heatmap as the one mentor.

    ``task + w mean_{n,k} v_{n,k} KL(softmax(beta t) || softmax(beta z))`` with target weights
    ``v``, in which it is linear as the MSE is: a filter weights samples through them. Students
    learn faster by a KL to a peak than by the MSE of a heatmap, with or without mentors: without
    this row a study takes the loss's gain for the mentors'. (SimCC heads have such a loss already.)
    A checkpoint has nothing of it, and the config of the student alone has ``task`` in its place.

    Args:
        loss_weight: w.
        beta: What heatmaps are multiplied by, see :class:`KLDistillLoss`.
        task: The head's own loss.

    Raises:
        ValueError: If beta is not positive, or the weight negative.
    """

    def __init__(
        self,
        loss_weight: float = 0.1,
        beta: float = 10.0,
        task: Mapping[str, Any] = HEATMAP_MSE,
    ) -> None:
        super().__init__()
        kinds = dict(loss_weight=float, beta=float)
        check_kinds(dict(loss_weight=loss_weight, beta=beta), kinds, 'head.loss.')
        refuse_negative('head.loss', loss_weight=loss_weight)
        if beta <= 0:
            raise ValueError(f'head.loss.beta={beta} is not positive')
        self.loss_weight, self.sharpness = loss_weight, beta
        self.task = MODELS.build(dict(task))

    def forward(
        self, output: Tensor, target: Tensor, target_weights: Optional[Tensor] = None
    ) -> Tensor:
        """The loss.

        Args:
            output: Heatmaps ``(N, K, H, W)``.
            target: The labels', of the same shape.
            target_weights: ``(N, K)``; all 1 if None.

        Returns:
            A scalar.
        """
        if target_weights is None:
            target_weights = output.new_ones(output.shape[:2])
        student, label = (self.sharpness * each.float().flatten(2) for each in (output, target))
        weight = self.loss_weight / target_weights.numel() * target_weights.float()
        kl = kl_distill(student, [label], weight[None], torch.ones_like(weight)[None])
        task: Tensor = self.task(output, target, target_weights)
        return task + kl
