"""Knowledge filters: they turn scores into a lesson plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import torch
from torch import Tensor, nn

from .functional import (
    active_mentors,
    batch_score,
    confidence_weights,
    entropy_weights,
    member_ranks,
    ordinal_positions,
    sample_score,
)
from .registry import MODELS
from .scorers import Scores

GRANULARITIES = ('sample', 'batch', 'keypoint')
RANKINGS = ('score', 'ordinal')


@dataclass(frozen=True)
class Lesson:
    """Who teaches what, and how much.

    Attributes:
        active: bool ``(M, N, K')``, ``K'`` is K or 1; whom the student listens to.
        weight: ``(M, N, K')``, the lesson's factor in the distillation loss, 0 where not active.
        ranks: ``(1 + M, N, K')``, the student in row 0.
        task_weight: ``(N,)``, the factor of each sample's task loss.
        healthy: bool ``(M,)``, whose outputs are finite; None if all are.
    """

    active: Tensor
    weight: Tensor
    ranks: Tensor
    task_weight: Tensor
    healthy: Optional[Tensor] = None

    def keep(self, healthy: Tensor) -> 'Lesson':
        """The lesson without the mentors that are False in ``healthy`` (M,)."""
        each = healthy.view(-1, 1, 1)
        return replace(
            self,
            active=self.active & each,
            weight=torch.where(each, self.weight, 0),
            healthy=healthy,
        )


@MODELS.register_module()
class KnowledgeFilter(nn.Module):
    """Only mentors that do better than the student may teach (ClassroomKD).

    Args:
        granularity: What is compared: each 'sample' (the paper's text), the whole 'batch' (the
            authors' code), or each 'keypoint'.
        strict: Ask ``r_m > r_s`` instead of ``>=``.
        min_score: Also ask that the mentor itself is right: its score on the sample is at least
            this (for classification: its top-1 is the label).
        task_bias: The task loss is weighted by ``task_bias + w_s``; 0 in the paper's
            heterogeneous form, 1 in its homogeneous one.
        decimals: Round shares to so many decimals; 2 in the authors' code.
        ranking: 'score', ranks in proportion to scores; 'ordinal', in proportion to places
            (1 the worst member, 1 + M the best).

    Raises:
        ValueError: For an unknown granularity or ranking.
    """

    role = 'knowledge_filter'
    weighs_samples = True

    def __init__(
        self,
        granularity: str = 'sample',
        strict: bool = False,
        min_score: Optional[float] = None,
        task_bias: float = 0.0,
        decimals: Optional[int] = None,
        ranking: str = 'score',
    ) -> None:
        super().__init__()
        if granularity not in GRANULARITIES:
            raise ValueError(
                f'knowledge_filter.granularity={granularity!r} is unknown; '
                f'choose one of {GRANULARITIES}'
            )
        if ranking not in RANKINGS:
            raise ValueError(
                f'knowledge_filter.ranking={ranking!r} is unknown; choose one of {RANKINGS}'
            )
        self.granularity = granularity
        self.strict = strict
        self.min_score = min_score
        self.task_bias = task_bias
        self.decimals = decimals
        self.ranking = ranking

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson for ``scores`` of one student and M mentors."""
        per_sample = sample_score(scores.values, scores.labelled)
        compared = self._compared(scores, per_sample)
        ordinal = self.ranking == 'ordinal'
        ranks = member_ranks(ordinal_positions(compared) if ordinal else compared, self.decimals)
        active = active_mentors(ranks, self.strict)
        if self.min_score is not None:
            active = active & scores.right(per_sample, self.min_score)
        student = compared[0] if self.granularity == 'batch' else per_sample[0]
        return Lesson(
            active, torch.where(active, ranks[1:], 0), ranks, self.task_bias + student[:, 0]
        )

    def _compared(self, scores: Scores, per_sample: Tensor) -> Tensor:
        if self.granularity == 'keypoint':
            return torch.where(scores.labelled, scores.values, 0)
        if self.granularity == 'batch':
            return batch_score(per_sample, scores.geometric)
        return per_sample


@MODELS.register_module()
class UniformFilter(nn.Module):
    """Every mentor teaches every sample, with the same weight (KD, AVER).

    Args:
        weight: Each mentor's weight; 1 / M if None.
        task_weight: The task loss's weight.
    """

    role = 'knowledge_filter'

    def __init__(self, weight: Optional[float] = None, task_weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.task_weight = task_weight

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson; ranks are those of the samples' scores, for the log."""
        ranks = member_ranks(sample_score(scores.values, scores.labelled))
        weight = 1 / max(len(ranks) - 1, 1) if self.weight is None else self.weight
        return _everyone(ranks, torch.full_like(ranks[1:], weight), self.task_weight)


def _everyone(ranks: Tensor, weight: Tensor, task_weight: float) -> Lesson:
    """A lesson in which every mentor is active."""
    active = torch.ones_like(weight, dtype=torch.bool)
    return Lesson(active, weight, ranks, torch.full_like(ranks[0, :, 0], task_weight))


@MODELS.register_module()
class ConfidenceFilter(nn.Module):
    """Every mentor teaches, the more the lower its cross-entropy on the sample (CA-MKD)."""

    role = 'knowledge_filter'

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson; ranks are those of the samples' scores, for the log."""
        per_sample = sample_score(scores.values, scores.labelled)
        return _everyone(member_ranks(per_sample), confidence_weights(per_sample[1:]), 1.0)


@MODELS.register_module()
class EntropyFilter(nn.Module):
    """Every mentor teaches, the more the surer it is, whether right or wrong (EBKD)."""

    role = 'knowledge_filter'

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson from the mentors' logits, each ``(N, K, D)``."""
        ranks = member_ranks(sample_score(scores.values, scores.labelled))
        return _everyone(ranks, entropy_weights(mentors) if mentors else ranks[1:], 1.0)
