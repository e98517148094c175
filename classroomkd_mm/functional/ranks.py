"""Knowledge Filtering: who may teach (ClassroomKD, section 3)."""

from typing import Optional

import torch
from torch import Tensor


def sample_score(scores: Tensor, labelled: Tensor) -> Tensor:
    """Mean score over a sample's labelled keypoints; 0 where none is labelled.

    Args:
        scores: ``(1 + M, N, K)``.
        labelled: bool ``(N, K)``, or ``(1 + M, N, K)`` where members know different keypoints.

    Returns:
        ``(1 + M, N, 1)``.

    Example:
        >>> scores = torch.tensor([[[0.25, 0.75]], [[0.5, 1.0]]])
        >>> sample_score(scores, torch.tensor([[True, True]])).flatten()
        tensor([0.5000, 0.7500])
        >>> knows = torch.tensor([[[True, True]], [[False, True]]])
        >>> sample_score(scores, knows).flatten()
        tensor([0.5000, 1.0000])
    """
    count = labelled.sum(-1, keepdim=True)
    total = torch.where(labelled, scores, scores.new_zeros(())).sum(-1, keepdim=True)
    return total / count.clamp(min=1)


def batch_score(scores: Tensor, geometric: bool, counts: Optional[Tensor] = None) -> Tensor:
    """One score per member for the whole batch, repeated for each sample.

    Args:
        scores: ``(1 + M, N, 1)``.
        geometric: ``exp(mean(log w))``, what probabilities want, instead of the mean.
        counts: bool ``(1 + M, N, 1)``, the samples that count for each member; all if None.

    Returns:
        ``(1 + M, N, 1)``; 0 for a member for whom no sample counts.

    Example:
        >>> scores = torch.tensor([[0.25, 1.0], [0.5, 0.5]])[..., None]
        >>> batch_score(scores, geometric=True).squeeze(-1)
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]])
        >>> counts = torch.tensor([[True, False], [False, False]])[..., None]
        >>> batch_score(scores, geometric=True, counts=counts).squeeze(-1)
        tensor([[0.2500, 0.2500],
                [0.0000, 0.0000]])
    """
    values = scores.clamp(min=torch.finfo(scores.dtype).tiny).log() if geometric else scores
    if counts is None:
        mean = values.mean(1, keepdim=True)
    else:
        total = torch.where(counts, values, 0).sum(1, keepdim=True)
        mean = total / counts.sum(1, keepdim=True).clamp(min=1)
    if geometric:
        mean = mean.exp()
    if counts is not None:
        # The geometric mean of nothing is 1, which would be the best score of all.
        mean = torch.where(counts.any(1, keepdim=True), mean, 0)
    return mean.expand_as(scores)


def member_ranks(
    scores: Tensor, decimals: Optional[int] = None, count: Optional[Tensor] = None
) -> Tensor:
    """Ranks ``r_c = M * w_c / sum_c' w_c'``; 0 where the sum is 0.

    Args:
        scores: ``(1 + M, ...)``, the student in row 0; 0 for a mentor that does not count.
        decimals: Round the share ``w / sum(w)`` to so many decimals (the authors' code: 2).
        count: Number of mentors that count, integers ``(...)`` or ``(1, ...)``: the factor M where
            it is not the same everywhere. All of them if None.

    Returns:
        Ranks in [0, M], shaped as ``scores``.

    Example:
        >>> scores = torch.tensor([[0.25, 0.5], [0.5, 0.5], [0.25, 0.0]])
        >>> member_ranks(scores)
        tensor([[0.5000, 1.0000],
                [1.0000, 1.0000],
                [0.5000, 0.0000]])
        >>> member_ranks(scores, count=torch.tensor([2, 1]))[:, 1]  # as if mentor 2 were not there
        tensor([0.5000, 0.5000, 0.0000])
    """
    total = scores.sum(0, keepdim=True)
    share = torch.where(total > 0, scores / torch.where(total > 0, total, 1), 0)
    if decimals is not None:
        share = share.round(decimals=decimals)
    return share * (scores.shape[0] - 1 if count is None else count)


def ordinal_positions(scores: Tensor, counts: Optional[Tensor] = None) -> Tensor:
    """Each member's place from the bottom: 1 for the worst, 1 + M for the best.

    Equal scores share the higher place; a score of 0 has place 0, it earns no rank.

    Args:
        scores: ``(1 + M, ...)``, the student in row 0.
        counts: bool ``(M, ...)``, the mentors that count; all if None. The others have place 0, and
            nobody gains a place by being ahead of them. What follows M is broadcast to the scores.

    Returns:
        Places as floats, shaped as ``scores``; :func:`member_ranks` turns them into ranks.

    Example:
        >>> ordinal_positions(torch.tensor([0.3, 0.9, 0.3, 0.0]))
        tensor([3., 4., 3., 0.])
        >>> ordinal_positions(torch.tensor([0.3, 0.9, 0.2]), torch.tensor([True, False]))
        tensor([1., 2., 0.])
    """
    beaten = scores[None] <= scores[:, None]
    earns = scores > 0
    if counts is not None:
        missing = [1] * (scores.dim() - counts.dim())
        counts = counts.reshape(len(counts), *missing, *counts.shape[1:]).expand_as(earns[1:])
        counts = torch.cat([torch.ones_like(earns[:1]), counts])
        beaten, earns = beaten & counts, earns & counts
    return torch.where(earns, beaten.sum(1), 0).to(scores.dtype)


def active_mentors(ranks: Tensor, strict: bool = False, student: Optional[Tensor] = None) -> Tensor:
    """Mentors that may teach: ``r_m >= r_s`` (``>`` if strict) and ``r_m > 0``.

    Args:
        ranks: ``(1 + M, ...)``, the student in row 0.
        strict: A mentor exactly as good as the student stays silent.
        student: ``(M, ...)``, the student's rank against each mentor, where it is another for each
            (a mentor that knows only some keypoints is compared on those); ``ranks[:1]`` if None.

    Returns:
        bool ``(M, ...)``.

    Example:
        >>> ranks = torch.tensor([0.5, 0.5, 1.0])
        >>> active_mentors(ranks)
        tensor([True, True])
        >>> active_mentors(ranks, strict=True)
        tensor([False,  True])
        >>> active_mentors(ranks, student=torch.tensor([0.75, 0.5]))
        tensor([False,  True])
    """
    student, mentors = ranks[:1] if student is None else student, ranks[1:]
    ahead = mentors > student if strict else mentors >= student
    return ahead & (mentors > 0)
