"""How well each member has done so far: what stands for the score of a sample without a label."""

from __future__ import annotations

from dataclasses import replace

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from .functional import sample_score
from .structures import Scores

KEPT = 0.99  # of the sums, from batch to batch: the student of a hundred batches ago was another


class Standing:
    """Running means of the members' scores over the labelled samples of all processes.

    Attributes:
        sums: ``(2, 2, 1 + M)``: sums of scores, and how many they are; of the members, and of the
            student on what each of them knows. None before the first lesson.
    """

    def __init__(self) -> None:
        self.sums: Tensor | None = None

    def after(self, scores: Scores) -> Scores:
        """A batch's scores, with the standing that these members then have."""
        sums = torch.stack(_sums(scores))
        all_reduce(sums)
        if self.sums is not None:
            sums = sums + KEPT * self.sums.to(sums)
        self.sums = sums
        total, count = sums
        return replace(scores, standing=torch.where(count > 0, total / count, 0).to(scores.values))


def _sums(scores: Scores) -> tuple[Tensor, Tensor]:
    """Scores and how many, of members and of the student in each one's place: ``(2, 1 + M)``."""
    values, judged = scores.values.double(), scores.judged.expand_as(scores.values)
    own = values[:1].expand_as(values)
    if scores.rival is not None:
        own = torch.cat([values[:1], scores.rival.double()])
    means = torch.stack([sample_score(each, judged) for each in (values, own)])
    # A single score that is no number would stay in the sums for ever.
    counts = judged.any(-1, keepdim=True) & means.isfinite()
    return torch.where(counts, means, 0).sum((2, 3)), counts.sum((2, 3)).double()
