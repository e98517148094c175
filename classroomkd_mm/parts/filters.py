"""Knowledge filters: they turn scores into a lesson plan."""

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

from ..functional import (
    active_mentors,
    batch_score,
    confidence_weights,
    entropy_weights,
    member_ranks,
    ordinal_positions,
    sample_score,
)
from ..kinds import refuse_negative
from ..registry import MODELS
from ..structures import Lesson, Scores
from .base import Filter

GRANULARITIES = ('sample', 'batch', 'keypoint')
RANKINGS = ('score', 'ordinal')


@MODELS.register_module()
class KnowledgeFilter(Filter):
    """Only mentors that do better than the student may teach (ClassroomKD).

    Of a sample without a label nobody's score is known: the means of the scores on the others,
    over the last hundred batches, stand for them. Before there are any, all mentors teach it, with
    weight 1 / M.

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
        ValueError: For an unknown granularity or ranking, or a negative number.
    """

    needs_standing = True

    def __init__(
        self,
        granularity: str = 'sample',
        strict: bool = False,
        min_score: Optional[float] = None,
        task_bias: float = 0.0,
        decimals: Optional[int] = None,
        ranking: str = 'score',
    ) -> None:
        _one_of('granularity', granularity, GRANULARITIES)
        _one_of('ranking', ranking, RANKINGS)
        numbers = dict(min_score=min_score, task_bias=task_bias, decimals=decimals)
        refuse_negative('knowledge_filter', **numbers)
        self.granularity = granularity
        self.strict = strict
        self.min_score = min_score
        self.task_bias = task_bias
        self.decimals = decimals
        self.ranking = ranking

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson for ``scores`` of one student and M mentors."""
        per_sample = sample_score(scores.values, scores.judged)
        compared, rival = self._compared(scores, per_sample)
        compared, rival = _by_standing(scores, compared, rival)
        ranks, rival = _ranked(self._ranks, compared, rival, self._counts(scores))
        active = active_mentors(ranks, self.strict, rival)
        if self.min_score is not None:
            active = active & (scores.right(per_sample, self.min_score) | scores.unlabelled)
        student = compared[0] if self.granularity == 'batch' else per_sample[0]
        active, weight = _unfiltered(scores, active, torch.where(active, ranks[1:], 0))
        return Lesson(active, weight, ranks, self.task_bias + student[:, 0], rival)

    def _counts(self, scores: Scores) -> Optional[Tensor]:
        """Mentors that have a part in a comparison, bool ``(M, N, K')``; None where all have."""
        by_keypoint = self.granularity == 'keypoint' and scores.known is not None
        counts = scores.counts
        return scores.taught & counts if by_keypoint and counts is not None else counts

    def _compared(self, scores: Scores, per_sample: Tensor) -> tuple[Tensor, Optional[Tensor]]:
        """Compared scores: all members' ``(1 + M, N, K')``, the student's on what each knows."""
        if self.granularity == 'keypoint':
            own = None if scores.rival is None else torch.where(scores.judged[1:], scores.rival, 0)
            return torch.where(scores.judged, scores.values, 0), own
        rival = _rival(scores)
        if self.granularity == 'sample':
            return per_sample, rival
        judged = scores.judged.any(-1, keepdim=True).expand_as(per_sample)
        # It is repeated for each sample: also for one that a mentor has no part in.
        whole = torch.where(judged, batch_score(per_sample, scores.geometric, judged), 0)
        if rival is None:
            return whole, None
        part = batch_score(rival, scores.geometric, judged[1:])
        return whole, torch.where(judged[1:], part, 0)

    def _ranks(self, scores: Tensor, counts: Optional[Tensor]) -> Tensor:
        if self.ranking == 'ordinal':
            scores = ordinal_positions(scores, counts)
        return member_ranks(scores, self.decimals, None if counts is None else counts.sum(0))


def _ranked(
    rank: Callable[[Tensor, Optional[Tensor]], Tensor],
    compared: Tensor,
    rival: Optional[Tensor],
    counts: Optional[Tensor],
) -> tuple[Tensor, Optional[Tensor]]:
    """Ranks ``(1 + M, N, K')``; where mentors know less than all, each in a class of its own.

    In mentor m's class the student has the score that it reaches on what m knows: its ranks there
    are the second result.

    Args:
        rank: Of scores ``(1 + M, ...)`` and of who counts, the ranks.
        compared: Scores ``(1 + M, N, K')``.
        rival: The student's on what each mentor knows ``(M, N, K')``, None where that is all.
        counts: bool ``(M, N, K')``, None where everybody counts.
    """
    ranks = rank(compared, counts)
    if rival is None:
        return ranks, None
    mentors = compared[1:, None].expand(-1, len(rival), *rival.shape[1:])
    classes = rank(torch.cat([rival[None], mentors]), counts)
    own = classes[1:].diagonal(dim1=0, dim2=1).movedim(-1, 0)
    return torch.cat([ranks[:1], own]), classes[0]


def _rival(scores: Scores) -> Optional[Tensor]:
    """The student's score on what each mentor knows ``(M, N, 1)``; None where that is all."""
    if scores.known is None:
        return None
    values = scores.values[:1] if scores.rival is None else scores.rival
    return sample_score(values, scores.judged[1:])


def _by_standing(
    scores: Scores, compared: Tensor, rival: Optional[Tensor]
) -> tuple[Tensor, Optional[Tensor]]:
    """What is compared, the members' standing in place of scores that no label tells."""
    if scores.standing is None:
        return compared, rival
    members, student = scores.standing[..., None, None]
    free, counts = scores.unlabelled, scores.counts
    if counts is not None:
        knows = scores.taught & counts if compared.shape[-1] > 1 else counts
        free = torch.cat([free.expand_as(knows[:1]), free & knows])
    if scores.known is not None:
        if rival is None:  # keypoint by keypoint the student is the same for all
            rival = compared[:1].expand_as(compared[1:])
        rival = torch.where(free[1:], student[1:], rival)
    return torch.where(free, members, compared), rival


def _unfiltered(scores: Scores, active: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Without label and standing a mentor teaches with weight 1 / M: of those that know any.

    One that was never judged has none: it and the student on what it knows are 0 there.
    """
    counts = torch.ones_like(active) if scores.counts is None else scores.counts.expand_as(active)
    equal = counts / counts.sum(0).clamp(min=1)
    free = scores.unlabelled
    if scores.standing is not None:
        free = free & ~scores.standing[:, 1:, None, None].any(0)
    return torch.where(free, counts, active), torch.where(free, equal, weight)


@MODELS.register_module()
class UniformFilter(Filter):
    """Every mentor teaches every sample, with the same weight (KD, AVER).

    Args:
        weight: Each mentor's weight; 1 / M if None.
        task_weight: The task loss's weight.

    Raises:
        ValueError: For a negative weight.
    """

    def __init__(self, weight: Optional[float] = None, task_weight: float = 1.0) -> None:
        refuse_negative('knowledge_filter', weight=weight, task_weight=task_weight)
        self.weight = weight
        self.task_weight: float = task_weight

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson; ranks are those of the samples' scores, for the log."""
        each, counts = torch.ones_like(scores.values[1:, :, :1]), scores.counts
        if self.weight is not None:
            weight = each * self.weight
        elif counts is None:
            weight = each / max(len(each), 1)
        else:
            weight = each / counts.sum(0).clamp(min=1)
        return _everyone(scores, weight, self.task_weight)


def _everyone(scores: Scores, weight: Tensor, task_weight: float = 1.0) -> Lesson:
    """A lesson in which every mentor is active that knows something of the sample."""
    counts = scores.counts
    per_sample = sample_score(scores.values, scores.judged)
    ranks, rival = _ranked(_plain_ranks, per_sample, _rival(scores), counts)
    active = torch.ones_like(weight, dtype=torch.bool)
    if counts is not None:
        active, weight = active & counts, weight * counts
    return Lesson(active, weight, ranks, torch.full_like(ranks[0, :, 0], task_weight), rival)


def _plain_ranks(scores: Tensor, counts: Optional[Tensor]) -> Tensor:
    return member_ranks(scores, count=None if counts is None else counts.sum(0))


@MODELS.register_module()
class ConfidenceFilter(Filter):
    """Every mentor teaches, the more the lower its cross-entropy on the sample (CA-MKD).

    Args:
        total: What a sample's weights add up to: '1' (as AVER's), or '1/M', as CA-MKD publishes it,
            M being how many mentors have something to teach of it.

    Raises:
        ValueError: For another total.
    """

    task_weight = 1.0

    def __init__(self, total: str = '1') -> None:
        _one_of('total', total, ('1', '1/M'))
        self.total = total

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson; ranks are those of the samples' scores, for the log."""
        per_sample = sample_score(scores.values, scores.judged)
        weight, counts = confidence_weights(per_sample[1:], scores.counts), scores.counts
        if self.total == '1/M':
            weight = weight / (len(weight) if counts is None else counts.sum(0).clamp(min=1))
        return _everyone(scores, weight)


@MODELS.register_module()
class EntropyFilter(Filter):
    """Every mentor teaches, the more the surer it is, whether right or wrong (EBKD).

    Args:
        form: 'softmax', ``(1 - softmax(H)) / (M - 1)``, or 'share', ``1 - H_m / sum(H)``, as in
            EBKD's own repository.

    Raises:
        ValueError: For another form.
    """

    task_weight = 1.0

    def __init__(self, form: str = 'softmax') -> None:
        _one_of('form', form, ('softmax', 'share'))
        self.form = form

    def forward(self, scores: Scores, mentors: Sequence[Tensor] = ()) -> Lesson:
        """Plan the lesson from the mentors' logits, each ``(N, K, D)``."""
        if not len(mentors):
            return _everyone(scores, scores.values[1:])
        counts = scores.counts
        if scores.known is not None and counts is not None:
            counts = counts & scores.taught
        return _everyone(scores, entropy_weights(mentors, counts, self.form))


def _one_of(setting: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(
            f'knowledge_filter.{setting}={value!r} is unknown; choose one of {choices}'
        )
