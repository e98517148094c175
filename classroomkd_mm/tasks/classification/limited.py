"""Scores of mentors that know only some of the student's classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...functional import target_among
from ...parts import Metainfo, Scorer
from ...parts.build import scored
from ...structures import ClassTruth, Reading, Scores


def score_all(
    scorer: Scorer[ClassTruth], readings: Sequence[Reading], truth: ClassTruth, metainfo: Metainfo
) -> Scores:
    """Score all members, each on the classes that it knows.

    A mentor that lacks classes is judged on the samples of those that it knows, by its softmax over
    them; there it is compared with the student's softmax over the same classes. Of a soft label it
    knows a share of the mass: it is judged by what of the label is left, divided by that share.

    Args:
        scorer: The scorer.
        readings: The student's and M mentors', at least one of them of some classes alone.
        truth: Of the batch.
        metainfo: The data set's.
    """
    student, *mentors = readings
    alone = scored(scorer, student.guess.detach()[None], _truth_of(truth, student), metainfo)
    pairs = [
        scored(scorer, torch.stack(_pair(student, each)), _truth_of(truth, each), metainfo)
        for each in mentors
    ]
    correct = [pair.correct for pair in pairs if pair.correct is not None]
    return replace(
        alone,
        values=torch.cat([alone.values, *(pair.values[1:] for pair in pairs)]),
        rival=torch.cat([pair.values[:1] for pair in pairs]),
        correct=torch.cat(correct) if correct else None,
        known=torch.stack([_share(truth.label, each)[:, None] for each in mentors]),
    )


def _pair(student: Reading, mentor: Reading) -> list[Tensor]:
    """What both say of the classes that the mentor knows, each ``(N, D_m)``."""
    ours = student.guess.detach()
    if mentor.places is not None and mentor.places is not student.places:
        ours = ours.index_select(-1, mentor.places)
    return [ours, mentor.guess]


def _truth_of(truth: ClassTruth, member: Reading) -> ClassTruth:
    """What of the labels a member knows, in its own classes; -1 or all 0 where that is nothing."""
    label, places = truth.label, member.places
    if places is None:
        return truth
    if label.dim() == 1:
        return ClassTruth(target_among(label, places))
    part = label.index_select(-1, places)
    mass = part.sum(-1, keepdim=True)
    return ClassTruth(part / torch.where(mass > 0, mass, 1))


def _share(label: Tensor, member: Reading) -> Tensor:
    """How much of each label's mass a member knows, ``(N,)``; all where there is no label."""
    soft, places = label.dim() > 1, member.places
    if places is None:
        return torch.ones_like(label[:, 0] if soft else label, dtype=None if soft else torch.bool)
    if not soft:
        return (target_among(label, places) >= 0) | (label < 0)
    whole, part = label.sum(-1), label.index_select(-1, places).sum(-1)
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1), 1)
