"""Per-sample mentor weights of other multi-teacher methods."""

from collections.abc import Sequence
from math import log
from typing import Optional

import torch
from torch import Tensor

FORMS = ('softmax', 'share')


def confidence_weights(scores: Tensor, counts: Optional[Tensor] = None) -> Tensor:
    """CA-MKD: ``(1 - softmax_m(CE_m)) / (M - 1)`` (arXiv 2201.00007, equation 3).

    Its published code divides the sum over the mentors by M once more; these are the weights alone.

    Args:
        scores: The mentors' true-class probabilities ``(M, ...)``, ``exp(-CE)``.
        counts: bool, broadcastable to ``scores``: the mentors that count; all if None. The others
            have weight 0, and M is the number of those that count.

    Returns:
        Weights shaped as ``scores`` that sum to 1 over the mentors that count: 1 for one that is
        alone, all 0 where there is none.

    Example:
        >>> confidence_weights(torch.tensor([0.75, 0.25]))  # softmax(CE) is in proportion to 1 / p
        tensor([0.7500, 0.2500])
        >>> confidence_weights(torch.tensor([0.75, 0.25, 0.0]), torch.tensor([True, True, False]))
        tensor([0.7500, 0.2500, 0.0000])
    """
    return _lower_is_better(-scores.clamp(min=torch.finfo(scores.dtype).tiny).log(), counts)


def entropy_weights(
    mentors: Sequence[Tensor], counts: Optional[Tensor] = None, form: str = 'softmax'
) -> Tensor:
    """EBKD: the surer a mentor, the more weight; H is the entropy of its distribution.

    'softmax' is ``(1 - softmax_m(H_m)) / (M - 1)``, with CA-MKD's normalisation: the weights sum
    to 1. 'share' is ``1 - H_m / sum_m' H_m'``, as EBKD is published in code: they sum to M - 1. For
    a single mentor that formula is 0, which would switch the distillation off; it has weight 1 in
    both forms. Where all entropies are 0 all mentors are equally sure, and have ``1 - 1 / M``.

    Among few classes there is little to be unsure of: where mentors know different numbers of them
    each entropy counts as if it were of the largest, ``H_m log D / log D_m``.

    Args:
        mentors: M logits ``(N, K, D)``, at least one; each may have a D_m of its own, at least 2.
        counts: bool, broadcastable to ``(M, N, K)``: the mentors that count; all if None. The
            others have weight 0, and M is the number of those that count.
        form: 'softmax' or 'share'.

    Returns:
        Weights ``(M, N, K)``: 1 for a mentor that is alone, all 0 where there is none.

    Raises:
        ValueError: For another form.

    Example:
        >>> sure, unsure = torch.tensor([[[99.0, 0.0]]]), torch.tensor([[[0.0, 0.0]]])
        >>> entropy_weights([sure, unsure]).flatten()  # entropies 0 and log 2
        tensor([0.6667, 0.3333])
        >>> entropy_weights([sure, unsure, unsure], form='share').flatten()
        tensor([1.0000, 0.5000, 0.5000])
    """
    most = max(logits.shape[-1] for logits in mentors)
    entropies = torch.stack([_entropy(logits, most) for logits in mentors])
    if form == 'softmax':
        return _lower_is_better(entropies, counts)
    if form == 'share':
        return _rest_of_the_sum(entropies, counts)
    raise ValueError(f'form={form!r} is unknown; choose one of {FORMS}')


def _lower_is_better(values: Tensor, counts: Optional[Tensor] = None) -> Tensor:
    """``(1 - softmax(values)) / (M - 1)`` over dimension 0; 1 for a mentor that is alone."""
    if counts is None:
        if len(values) == 1:
            return torch.ones_like(values)
        return (1 - values.softmax(0)) / (len(values) - 1)
    number = counts.expand_as(values).sum(0)
    # -inf has no part in the softmax; where nobody counts there is none, whose NaN is not taken.
    share = values.masked_fill(~counts, float('-inf')).softmax(0)
    return _of_those(counts, (1 - share) / (number - 1).clamp(min=1), number)


def _rest_of_the_sum(values: Tensor, counts: Optional[Tensor] = None) -> Tensor:
    """``1 - values / sum(values)`` over dimension 0; 1 for a mentor that is alone."""
    counts = torch.ones_like(values, dtype=torch.bool) if counts is None else counts
    values, number = values.masked_fill(~counts, 0), counts.expand_as(values).sum(0)
    total = values.sum(0)
    share = torch.where(total > 0, values / torch.where(total > 0, total, 1), 1 / number)
    return _of_those(counts, 1 - share, number)


def _of_those(counts: Tensor, weight: Tensor, number: Tensor) -> Tensor:
    """The weight of each mentor that counts; 1 for one that is alone, 0 for the others."""
    return torch.where(counts, torch.where(number > 1, weight, 1), 0)


def _entropy(logits: Tensor, most: int) -> Tensor:
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    own = logits.shape[-1]
    return entropy if own == most else entropy * (log(most) / log(own))
