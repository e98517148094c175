"""What two losses ask of one output: their gradients there, compared and corrected.

A gradient is a tuple, one tensor for each map of the output: heatmaps ``(N, K, H, W)``, the two
SimCC vectors ``(N, K, W)``, logits ``(N, C)``. It is reckoned in float32 (double stays double), and
nothing waits for the device.
"""

from collections.abc import Sequence
from typing import Union

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable

Gradient = Sequence[Tensor]


class _WithGradient(torch.autograd.Function):
    """Only the gradients are kept for the backward pass."""

    @staticmethod
    def forward(ctx: FunctionCtx, loss: Tensor, *inputs_and_gradient: Tensor) -> Tensor:
        ctx.save_for_backward(*inputs_and_gradient[len(inputs_and_gradient) // 2 :])
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: BackwardCFunction, grad_output: Tensor) -> tuple[object, ...]:
        gradient = [grad_output * g for g in ctx.saved_tensors]
        return (None, *gradient, *(None for _ in gradient))


def with_gradient(loss: Tensor, inputs: Sequence[Tensor], gradient: Gradient) -> Tensor:
    """A loss whose gradient is already known.

    Args:
        loss: Its value, a scalar without gradient.
        inputs: What it is a function of.
        gradient: For each of them, shaped alike.

    Example:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> with_gradient(torch.tensor(5.0), [x], [torch.tensor([3.0, 4.0])]).backward()
        >>> x.grad
        tensor([3., 4.])
    """
    return _WithGradient.apply(loss, *inputs, *gradient)


def gradient_norm(gradient: Gradient, per: str = 'batch') -> Tensor:
    """``sqrt(sum g^2)`` over all maps.

    Args:
        gradient: One tensor ``(N, ...)`` for each map.
        per: 'batch' or 'sample'.

    Returns:
        ``(1,)``, or ``(N,)`` per sample.

    Example:
        >>> maps = torch.tensor([[3.0], [0.0]]), torch.tensor([[4.0], [12.0]])
        >>> gradient_norm(maps), gradient_norm(maps, per='sample')
        (tensor([13.]), tensor([ 5., 12.]))
    """
    maps = [torch.linalg.vector_norm(_wide(g).flatten(1), dim=1) for g in gradient]
    each = torch.linalg.vector_norm(torch.stack(maps), dim=0)
    return each if per == 'sample' else torch.linalg.vector_norm(each, dim=0, keepdim=True)


def balance_gradient(
    lesson: Gradient, task: Gradient, rho: Union[float, Tensor], per: str = 'batch'
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The lesson's gradient times ``min(1, rho |task| / |lesson|)``: it never outweighs the task.

    With ``rho <= 1`` no step along both can lead against the task's own. Where the task's gradient
    is 0 the lesson's becomes 0; where the lesson's is 0 it stays 0.

    Args:
        lesson: One tensor ``(N, ...)`` for each map.
        task: Likewise.
        rho: What the lesson may weigh, in norms of the task's gradient; positive, may be infinite:
            a number, or one for each factor.
        per: Whose norms are compared: the whole 'batch', one factor, or each 'sample', N factors.

    Returns:
        The balanced gradient, and ``|lesson| / |task|`` before, ``(1,)`` or ``(N,)``: infinite
        where only the task's is 0, and 0 where both are.

    Example:
        >>> lesson, task = [torch.tensor([[8.0, 6.0]])], [torch.tensor([[0.0, 5.0]])]
        >>> balance_gradient(lesson, task, rho=1.0)
        ((tensor([[4., 3.]]),), tensor([2.]))
        >>> balance_gradient(lesson, task, rho=3.0)[0]
        (tensor([[8., 6.]]),)
    """
    weight, allowed = gradient_norm(lesson, per), gradient_norm(task, per)
    limit = torch.where(allowed > 0, rho * allowed, 0)  # 0 * inf
    factor = torch.where(weight > limit, limit / weight, 1)
    balanced = tuple(_wide(g) * factor.view(-1, *[1] * (g.dim() - 1)) for g in lesson)
    return balanced, torch.where(weight > 0, weight / allowed, 0)


def gradient_agreement(lesson: Gradient, task: Gradient) -> tuple[Tensor, ...]:
    """The lesson's gradient along the task's direction, for each sample and keypoint.

    Negative where a lesson contradicts the label: to follow it makes the task's loss larger. The
    two maps of SimCC are two distributions, and compared each for itself.

    Args:
        lesson: One tensor for each map: ``(N, K, ...)``, or ``(N, C)``, where K is 1.
        task: Likewise.

    Returns:
        ``<lesson, task> / max |task|``, ``(N, K)`` for each map: 0 where either is 0.

    Example:
        >>> lesson = [torch.tensor([[1.0, -1.0], [-1.0, 1.0]])]
        >>> gradient_agreement(lesson, [torch.tensor([[2.0, -2.0], [2.0, -2.0]])])
        (tensor([[ 2.],
                [-2.]]),)
    """
    return tuple((_units(a) * _directions(b)).sum(-1) for a, b in zip(lesson, task))


def agreement_odds(agreement: Sequence[Tensor], per: str = 'batch') -> Tensor:
    """How many lessons agree with their label for each that contradicts it.

    One is added to both (Laplace's rule of succession): a few that agree do not prove that all do.

    Args:
        agreement: As :func:`gradient_agreement` gives it, ``(N, K)`` for each map.
        per: 'batch', the odds of all keypoints together, or 'sample'.

    Returns:
        ``(agree + 1) / (against + 1)``, ``(1,)``, or ``(N,)`` per sample: 1 where there is nothing
        to compare.

    Example:
        >>> agreement_odds([torch.tensor([[0.5, -1.0], [2.0, 0.0]])])
        tensor([1.5000])
    """
    each = torch.cat(tuple(agreement), dim=-1)
    over = -1 if per == 'sample' else (0, 1)
    agree, against = ((found > 0).sum(over).view(-1) for found in (each, -each))
    return (agree + 1) / (against + 1)


def project_gradient(
    lesson: Gradient, task: Gradient
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The lesson's gradient without what points against the task's, PCGrad (arXiv 2001.06782).

    ``lesson - min(0, <lesson, task>) / |task|^2 task``, for each sample and keypoint by itself (and
    each of SimCC's two maps). The task's is not changed.

    Args:
        lesson: One tensor for each map: ``(N, K, ...)``, or ``(N, C)``, where K is 1.
        task: Likewise.

    Returns:
        The projected gradient, and which were against the task's: bool ``(N, K)`` for each map.

    Example:
        >>> lesson, task = [torch.tensor([[1.0, -3.0]])], [torch.tensor([[0.0, 2.0]])]
        >>> project_gradient(lesson, task)
        ((tensor([[1., 0.]]),), (tensor([[True]]),))
    """
    projected, against = [], []
    for each, own in zip(lesson, task):
        units, direction = _units(each), _directions(own)
        along = (units * direction).sum(-1, keepdim=True)
        square = direction.square().sum(-1, keepdim=True).clamp(min=1)  # less only where it is 0
        excess = (along.clamp(max=0) / square) * direction
        projected.append((units - excess).view_as(each))
        against.append(along.squeeze(-1) < 0)
    return tuple(projected), tuple(against)


def _wide(gradient: Tensor) -> Tensor:
    return gradient if gradient.dtype is torch.float64 else gradient.float()


def _units(gradient: Tensor) -> Tensor:
    """What is compared, ``(N, K, D)``: a keypoint's map, a sample's logits."""
    gradient = _wide(gradient)
    return gradient.flatten(2) if gradient.dim() > 2 else gradient[:, None]


def _directions(gradient: Tensor) -> Tensor:
    """Units whose largest value is 1: squares of 1e-20 would be 0."""
    units = _units(gradient)
    top = units.abs().amax(-1, keepdim=True)
    return units / torch.where(top > 0, top, 1)
