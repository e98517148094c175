"""Mentoring: how gently an active mentor teaches."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor


def adaptive_temperature(
    ranks: Tensor, active: Tensor, alpha: float, student: Optional[Tensor] = None
) -> Tensor:
    """``tau_m = 1 + alpha * (r_m - r_s) / max(r_m, r_s)`` where active, 1 elsewhere.

    Args:
        ranks: ``(1 + M, ...)``, the student in row 0.
        active: bool ``(M, ...)``.
        alpha: The temperature's range; ClassroomKD uses 12 on CIFAR-100.
        student: ``(M, ...)``, the student's rank against each mentor, where it is another for each
            (a mentor that knows only some keypoints is compared on those); ``ranks[:1]`` if None.

    Returns:
        Temperatures ``(M, ...)``, at least 1 for ``alpha >= 0``.

    Example:
        >>> ranks, active = torch.tensor([0.5, 0.25, 1.0]), torch.tensor([False, True])
        >>> adaptive_temperature(ranks, active, alpha=12)
        tensor([1., 7.])
        >>> adaptive_temperature(ranks, active, alpha=12, student=torch.tensor([0.5, 0.75]))
        tensor([1., 4.])
    """
    student, mentors = ranks[:1] if student is None else student, ranks[1:]
    best = torch.maximum(student, mentors)
    gap = (mentors - student) / torch.where(best > 0, best, 1)
    # Without a filter a mentor behind the student is active too: it teaches at 1, never below.
    return torch.where(active, 1 + alpha * gap.clamp(min=0), 1)


def dynamic_temperatures(
    student: Tensor,
    mentors: Sequence[Tensor],
    tau: float,
    places: Optional[Sequence[Optional[Tensor]]] = None,
) -> tuple[Tensor, Tensor]:
    """DTKD: ``2 tau x / (x + y)`` for the student, ``2 tau y / (x + y)`` for a mentor.

    x and y are their largest logits (arXiv 2404.12711). Where one of them is not positive, or but
    rounding beside the other, the ratio means nothing, and both temperatures are ``tau``.

    Args:
        student: Logits ``(N, K, D)``.
        mentors: M logits ``(N, K, D)``, or ``(N, K, D_m)`` of some places alone.
        tau: The reference temperature.
        places: Indices ``(D_m,)`` of those, where the student's largest logit is looked for, too;
            None for a mentor of all of them, and where all mentors are.

    Returns:
        The mentors' and the student's temperatures, each ``(M, N, K)``.

    Example:
        >>> student, mentor = torch.tensor([[[6.0, 1.0]]]), torch.tensor([[[2.0, 0.0]]])
        >>> dynamic_temperatures(student, [mentor], tau=4.0)
        (tensor([[[2.]]]), tensor([[[6.]]]))
    """
    if places is None:
        x = student.amax(-1).expand(len(mentors), *student.shape[:2])
    else:
        seen = (student if each is None else student.index_select(-1, each) for each in places)
        x = torch.stack([logits.amax(-1) for logits in seen])
    y = torch.stack([logits.amax(-1) for logits in mentors]) if len(mentors) else x
    # It also keeps temperatures away from 0, by which logits are divided.
    sound = torch.minimum(x, y) > torch.finfo(x.dtype).eps * torch.maximum(x, y).abs()
    total = torch.where(sound, x + y, 1)
    return (
        torch.where(sound, 2 * tau * y / total, tau),
        torch.where(sound, 2 * tau * x / total, tau),
    )
