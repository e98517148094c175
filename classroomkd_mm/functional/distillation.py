"""Distillation losses; their gradients in closed form, accumulated mentor by mentor."""

from collections.abc import Sequence
from typing import Any, Optional

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
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = ctx.saved_tensors
        return grad_output * grad, None, None


def _heard(logits: Tensor, weight: Tensor) -> Tensor:
    """Logits with 0 where the weight is 0: a muted mentor's need not be finite."""
    return logits.masked_fill(weight == 0, 0)


def kl_distill(
    student: Tensor,
    mentors: Sequence[Tensor],
    weight: Tensor,
    temperature: Tensor,
    student_temperature: Optional[Tensor] = None,
) -> Tensor:
    """``sum_{m,n,k} w tau_m tau_s KL(softmax(z_m / tau_m) || softmax(z_s / tau_s))``.

    The gradient is ``w tau_m (softmax(z_s / tau_s) - softmax(z_m / tau_m))``.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.
        student_temperature: ``(M, N, K)``, positive; ``temperature`` if None.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.
    """
    if student_temperature is None:
        student_temperature = temperature
    lessons = zip(
        mentors, weight[..., None], temperature[..., None], student_temperature[..., None]
    )
    with torch.no_grad():
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        for logits, w, tau, tau_s in lessons:
            log_s = (student / tau_s).log_softmax(-1)
            log_m = (_heard(logits, w) / tau).log_softmax(-1)
            p_m = log_m.exp()
            kl = log_m.sub_(log_s).mul_(p_m).sum(-1, keepdim=True)
            loss += (w * tau * tau_s * kl).sum()
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
            gap = student - _heard(output, w).to(student.dtype)
            loss += (w * gap.square().mean(-1, keepdim=True)).sum()
            grad.addcmul_(w * (2 / student.shape[-1]), gap)
    return _WithGradient.apply(student, loss, grad)


def dkd_distill(
    student: Tensor,
    mentors: Sequence[Tensor],
    weight: Tensor,
    temperature: Tensor,
    target: Tensor,
    alpha: float,
    beta: float,
) -> Tensor:
    """``sum_{m,n,k} w tau^2 (alpha TCKD + beta NCKD)``, DKD (arXiv 2203.08679).

    TCKD is the KL of (true class, all others), NCKD the KL among the others.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.
        target: The true class ``(N, K)``.
        alpha: Weight of TCKD.
        beta: Weight of NCKD.

    Returns:
        The loss, a scalar.
    """
    loss = student.sum() * 0
    for logits, w, tau in zip(mentors, weight, temperature):
        true_s, rest_s = _decoupled(student / tau[..., None], target)
        true_m, rest_m = _decoupled(_heard(logits, w[..., None]) / tau[..., None], target)
        value = alpha * _kl(true_m, true_s) + beta * _kl(rest_m, rest_s)
        loss = loss + (w * tau.square() * value).sum()
    return loss


def _decoupled(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (true class, all others) ``(..., 2)`` and among the others ``(..., D)``.

    The true class's own entry among the others is 0.
    """
    index = target[..., None]
    others = logits.scatter(-1, index, float('-inf'))
    binary = torch.stack([logits.gather(-1, index).squeeze(-1), others.logsumexp(-1)], -1)
    return binary.log_softmax(-1), others.log_softmax(-1).scatter(-1, index, 0.0)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def dist_distill(
    student: Tensor,
    mentors: Sequence[Tensor],
    weight: Tensor,
    temperature: Tensor,
    beta: float,
    gamma: float,
) -> Tensor:
    """``sum_m sum_{n,k} w tau^2 (beta inter + gamma intra)``, DIST.

    Both relations are ``1 - Pearson's correlation`` of the two networks' probabilities
    (arXiv 2205.10536): *inter* over the classes of one sample, *intra* over the samples of one
    class, where each sample counts by its weight.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.
        beta: Weight of the inter-class relation.
        gamma: Weight of the intra-class relation.

    Returns:
        The loss, a scalar.
    """
    loss = student.sum() * 0
    for logits, w, tau in zip(mentors, weight[..., None], temperature[..., None]):
        p_s = (student / tau).softmax(-1)
        p_m = (_heard(logits, w) / tau).softmax(-1)
        w = w * tau.square()
        inter = 1 - _correlation(p_s, p_m, torch.ones_like(p_s), -1)
        intra = 1 - _correlation(p_s, p_m, w.expand_as(p_s), 0).mean(-1, keepdim=True)
        loss = loss + (w * (beta * inter)).sum() + (w.sum(0, keepdim=True) * gamma * intra).sum()
    return loss


def _correlation(a: Tensor, b: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Weighted Pearson correlation along a dimension, which is kept; 0 where one is constant."""
    total = weight.sum(dim, keepdim=True)
    weight = weight / torch.where(total > 0, total, 1)
    a = a - (weight * a).sum(dim, keepdim=True)
    b = b - (weight * b).sum(dim, keepdim=True)
    covariance = (weight * a * b).sum(dim, keepdim=True)
    variance = (weight * a * a).sum(dim, keepdim=True) * (weight * b * b).sum(dim, keepdim=True)
    return covariance / variance.clamp(min=1e-16).sqrt()
