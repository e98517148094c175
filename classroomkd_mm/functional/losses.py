"""Distillation losses; their gradients in closed form, accumulated mentor by mentor."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

from .gradients import with_gradient


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

    Example:
        >>> student, mentor = torch.zeros(1, 1, 2), torch.tensor([[[2.0, 0.0]]])
        >>> one = torch.ones(1, 1, 1)
        >>> kl_distill(student, [mentor], one, one)
        tensor(0.3278)
        >>> kl_distill(student, [mentor, mentor], torch.zeros(2, 1, 1), one.expand(2, 1, 1))
        tensor(0.)
    """
    if student_temperature is None:
        student_temperature = temperature
    lessons = zip(
        mentors, weight[..., None], temperature[..., None], student_temperature[..., None]
    )
    with torch.no_grad():
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        # All mentors' work is done in these: to fetch new memory takes longer than to fill it.
        z_s, z_m, p_s, p_m = (torch.empty_like(student) for _ in range(4))
        for logits, w, tau, tau_s in lessons:
            log_s = _softmax(torch.div(student, tau_s, out=z_s), p_s)
            gap = _softmax(torch.div(logits.to(student.dtype), tau, out=z_m), p_m) - log_s
            kl = z_m.sub_(z_s).mul_(p_m).sum(-1, keepdim=True).add_(gap)
            loss += torch.where(w == 0, 0, w * tau * tau_s * kl).sum()
            # To mute what is no number here takes a sixth of the time that it takes above.
            grad.addcmul_(w * tau, p_s.sub_(p_m).nan_to_num_(0))
    return with_gradient(loss, [student], [grad])


def _softmax(logits: Tensor, out: Tensor) -> Tensor:
    """The softmax into ``out``; logits become relative to their largest, whose log is returned.

    So the log of all is known without an exp of its own: ``logits + log``.
    """
    torch.softmax(logits.sub_(logits.amax(-1, keepdim=True)), -1, out=out)
    return out.amax(-1, keepdim=True).log()


def mse_distill(student: Tensor, mentors: Sequence[Tensor], weight: Tensor) -> Tensor:
    """``sum_{m,n,k} w mean_d (z_s - z_m)^2``.

    Args:
        student: Outputs ``(N, K, D)``, float32.
        mentors: M outputs ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its outputs are.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.

    Example:
        >>> student, mentor = torch.zeros(1, 1, 2), torch.tensor([[[2.0, 0.0]]])
        >>> mse_distill(student, [mentor], torch.ones(1, 1, 1))
        tensor(2.)
    """
    with torch.no_grad():
        loss, grad = student.new_zeros(()), torch.zeros_like(student)
        for output, w in zip(mentors, weight[..., None]):
            gap = student - _heard(output, w).to(student.dtype)
            loss += (w * gap.square().mean(-1, keepdim=True)).sum()
            grad.addcmul_(w * (2 / student.shape[-1]), gap)
    return with_gradient(loss, [student], [grad])


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

    TCKD is the KL of (true class, all others), NCKD the KL among the others. Of two classes there
    is one other, so NCKD is 0: with ``alpha=0`` so is then the loss, and its gradient.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.
        target: The true class ``(N, K)``; -1 where it is not known, which mutes the lesson.
        alpha: Weight of TCKD.
        beta: Weight of NCKD.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.

    Example:
        >>> student, mentor = torch.zeros(1, 1, 3), torch.tensor([[[2.0, 1.0, 0.0]]])
        >>> one, target = torch.ones(1, 1, 1), torch.tensor([[0]])
        >>> dkd_distill(student, [mentor], one, one, target, alpha=1.0, beta=8.0)
        tensor(1.1166)
        >>> dkd_distill(student[..., :2], [mentor[..., :2]], one, one, target, alpha=0.0, beta=8.0)
        tensor(0.)
    """
    loss = student.sum() * 0
    weight, target = torch.where(target >= 0, weight, 0), target.clamp(min=0)
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
    class, where each sample counts by its weight. Where one side is constant there is no
    correlation, and the relation is 1: *intra* of a batch of one.

    Args:
        student: Logits ``(N, K, D)``, float32.
        mentors: M logits ``(N, K, D)``, without gradient.
        weight: ``(M, N, K)``, not negative; 0 mutes a lesson whatever its logits are.
        temperature: ``(M, N, K)``, positive.
        beta: Weight of the inter-class relation.
        gamma: Weight of the intra-class relation.

    Returns:
        The loss, a scalar; exactly 0 where every weight is 0.

    Example:
        >>> student = torch.tensor([[[2.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
        >>> one = torch.ones(1, 2, 1)
        >>> dist_distill(student, [student], one, one, beta=1.0, gamma=1.0).abs() < 1e-5
        tensor(True)
        >>> dist_distill(student, [student.flip(-1)], one, one, beta=1.0, gamma=0.0)
        tensor(3.3671)
    """
    loss = student.sum() * 0
    if not student.numel():
        return loss
    each = student.new_full((1, 1, 1), 1 / student.shape[-1])
    for logits, w, tau in zip(mentors, weight[..., None], temperature[..., None]):
        z_s, z_m = student / tau, _heard(logits, w) / tau
        w = w * tau.square()
        total = w.sum(0, keepdim=True)
        # A factor of a whole row changes no correlation: softmax needs its sum only across rows.
        inter = 1 - _correlation(z_s, z_m, each, -1)
        p_s, p_m = z_s.log_softmax(-1), z_m.log_softmax(-1)
        intra = 1 - _correlation(p_s, p_m, w / torch.where(total > 0, total, 1), 0)
        loss = loss + (w * (beta * inter)).sum()
        loss = loss + (total * gamma * intra.mean(-1, keepdim=True)).sum()
    return loss


def _correlation(log_a: Tensor, log_b: Tensor, share: Tensor, dim: int) -> Tensor:
    """Weighted Pearson correlation of ``exp(log_a)`` and ``exp(log_b)`` along a dimension.

    It is kept; 0 where a side is constant. The shares are broadcast, and sum to 1 or are all 0.
    """
    a, b = (_standardised(side, share, dim) for side in (log_a, log_b))
    return (a * b).sum(dim, keepdim=True)


def _standardised(logs: Tensor, share: Tensor, dim: int) -> Tensor:
    """``sqrt(share) (x - mean)`` of ``x = exp(logs)``, divided by its norm; 0 where x is constant.

    x is taken relative to its largest value, so that no row underflows, however improbable it is;
    and less 1, so that a nearly flat row keeps its digits. Neither changes a correlation.
    """
    logs = logs.masked_fill(share == 0, float('-inf'))
    top = logs.detach().amax(dim, keepdim=True)
    x = (logs - top.masked_fill(top.isneginf(), 0)).expm1()
    centred = share.sqrt() * (x - (share * x).sum(dim, keepdim=True))
    norm = torch.linalg.vector_norm(centred, dim=dim, keepdim=True)
    # Below this there is nothing but rounding, which must not be blown up.
    varies = norm > 4 * torch.finfo(x.dtype).eps
    return torch.where(varies, centred / torch.where(varies, norm, 1), 0)
