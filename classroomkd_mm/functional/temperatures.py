"""Mentoring: how gently an active mentor teaches."""

import torch
from torch import Tensor


def adaptive_temperature(ranks: Tensor, active: Tensor, alpha: float) -> Tensor:
    """``tau_m = 1 + alpha * (r_m - r_s) / max(r_m, r_s)`` where active, 1 elsewhere.

    Args:
        ranks: ``(1 + M, ...)``, the student in row 0.
        active: bool ``(M, ...)``.
        alpha: The temperature's range; ClassroomKD uses 12 on CIFAR-100.

    Returns:
        Temperatures ``(M, ...)``, at least 1 for ``alpha >= 0``.
    """
    student, mentors = ranks[:1], ranks[1:]
    best = torch.maximum(student, mentors)
    gap = (mentors - student) / torch.where(best > 0, best, 1)
    return torch.where(active, 1 + alpha * gap, 1)
