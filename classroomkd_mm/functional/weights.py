"""Per-sample mentor weights of other multi-teacher methods."""

from collections.abc import Sequence

import torch
from torch import Tensor


def _lower_is_better(values: Tensor) -> Tensor:
    """``(1 - softmax(values)) / (M - 1)`` over dimension 0; 1 for a single mentor."""
    if len(values) == 1:
        return torch.ones_like(values)
    return (1 - values.softmax(0)) / (len(values) - 1)


def confidence_weights(scores: Tensor) -> Tensor:
    """CA-MKD: ``(1 - softmax_m(CE_m)) / (M - 1)`` (arXiv 2201.00007, equation 3).

    Args:
        scores: The mentors' true-class probabilities ``(M, ...)``, ``exp(-CE)``.

    Returns:
        Weights shaped as ``scores`` that sum to 1 over the mentors.
    """
    return _lower_is_better(-scores.clamp(min=torch.finfo(scores.dtype).tiny).log())


def entropy_weights(mentors: Sequence[Tensor]) -> Tensor:
    """EBKD: ``(1 - softmax_m(H_m)) / (M - 1)``, H the entropy of a mentor's distribution.

    Args:
        mentors: M logits ``(N, K, D)``.

    Returns:
        Weights ``(M, N, K)`` that sum to 1 over the mentors.
    """
    return _lower_is_better(torch.stack([_entropy(logits) for logits in mentors]))


def _entropy(logits: Tensor) -> Tensor:
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)
