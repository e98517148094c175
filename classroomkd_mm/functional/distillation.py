"""Distillation losses; their gradients in closed form, accumulated mentor by mentor."""

from typing import Any, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _WithGradient(torch.autograd.Function):
    """A loss whose gradient is already known: only one tensor is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, loss: Tensor, grad: Tensor) -> Tensor:
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> Tuple[Tensor, None, None]:
        (grad,) = ctx.saved_tensors
        return grad_output * grad, None, None


def _heard(logits: Tensor, weight: Tensor) -> Tensor:
    """Logits with 0 where the weight is 0: a muted mentor's need not be finite."""
    return logits.masked_fill(weight == 0, 0)


def kl_distill(
    student: Tensor, mentors: Sequence[Tensor], weight: Tensor, temperature: Tensor
) -> Tensor:
    """``sum_{m,n,k} w tau^2 KL(softmax(z_m / tau) || softmax(z_s / tau))``.

    The gradient is ``w tau (softmax(z_s / tau) - softmax(z_m / tau))``.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.
    """
    with torch.no_grad():
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        for logits, w, tau in zip(mentors, weight[..., None], temperature[..., None]):
            log_s = (student / tau).log_softmax(-1)
            log_m = (_heard(logits, w) / tau).log_softmax(-1)
            p_m = log_m.exp()
            kl = log_m.sub_(log_s).mul_(p_m).sum(-1, keepdim=True)
            loss += (w * tau.square() * kl).sum()
            grad.addcmul_(w * tau, log_s.exp_().sub_(p_m))
    return _WithGradient.apply(student, loss, grad)


def mse_distill(student: Tensor, mentors: Sequence[Tensor], weight: Tensor) -> Tensor:
    """``sum_{m,n,k} w mean_d (z_s - z_m)^2``.

    Args:
        student: Outputs ``(N, K, D)``, float32.
        mentors: M outputs ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its outputs are.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.
    """
    with torch.no_grad():
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        for output, w in zip(mentors, weight[..., None]):
            gap = student - _heard(output, w)
            loss += (w * gap.square().mean(-1, keepdim=True)).sum()
            grad.addcmul_(w * (2 / student.shape[-1]), gap)
    return _WithGradient.apply(student, loss, grad)
