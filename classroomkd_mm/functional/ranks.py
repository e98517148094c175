"""Knowledge Filtering: who may teach (ClassroomKD, section 3)."""

from typing import Optional

import torch
from torch import Tensor


def sample_score(scores: Tensor, labelled: Tensor) -> Tensor:
    """Mean score over a sample's labelled keypoints; 0 where none is labelled.

    Args:
        scores: ``(1 + M, N, K)``.
        labelled: bool ``(N, K)``.

    Returns:
        ``(1 + M, N, 1)``.
    """
    count = labelled.sum(-1, keepdim=True)
    total = torch.where(labelled, scores, scores.new_zeros(())).sum(-1, keepdim=True)
    return total / count.clamp(min=1)


def batch_score(scores: Tensor, geometric: bool) -> Tensor:
    """One score per member for the whole batch, repeated for each sample.

    Args:
        scores: ``(1 + M, N, 1)``.
        geometric: ``exp(mean(log w))``, what probabilities want, instead of the mean.

    Returns:
        ``(1 + M, N, 1)``.
    """
    if geometric:
        tiny = torch.finfo(scores.dtype).tiny
        mean = scores.clamp(min=tiny).log().mean(1, keepdim=True).exp()
    else:
        mean = scores.mean(1, keepdim=True)
    return mean.expand_as(scores)


def member_ranks(scores: Tensor, decimals: Optional[int] = None) -> Tensor:
    """Ranks ``r_c = M * w_c / sum_c' w_c'``; 0 where the sum is 0.

    Args:
        scores: ``(1 + M, ...)``, the student in row 0.
        decimals: Round the share ``w / sum(w)`` to so many decimals (the authors' code: 2).

    Returns:
        Ranks in [0, M], shaped as ``scores``.
    """
    total = scores.sum(0, keepdim=True)
    share = torch.where(total > 0, scores / torch.where(total > 0, total, 1), 0)
    if decimals is not None:
        share = share.round(decimals=decimals)
    return share * (scores.shape[0] - 1)


def ordinal_positions(scores: Tensor) -> Tensor:
    """Each member's place from the bottom: 1 for the worst, 1 + M for the best.

    Equal scores share the higher place; a score of 0 has place 0, it earns no rank.

    Args:
        scores: ``(1 + M, ...)``.

    Returns:
        Places as floats, shaped as ``scores``; :func:`member_ranks` turns them into ranks.
    """
    beaten = (scores[None] <= scores[:, None]).sum(1)
    return torch.where(scores > 0, beaten, 0).to(scores.dtype)


def active_mentors(ranks: Tensor, strict: bool = False) -> Tensor:
    """Mentors that may teach: ``r_m >= r_s`` (``>`` if strict) and ``r_m > 0``.

    Args:
        ranks: ``(1 + M, ...)``, the student in row 0.
        strict: A mentor exactly as good as the student stays silent.

    Returns:
        bool ``(M, ...)``.
    """
    student, mentors = ranks[:1], ranks[1:]
    ahead = mentors > student if strict else mentors >= student
    return ahead & (mentors > 0)
