"""The nouns of the method: what its parts, tasks and mentors hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Union

import torch
from torch import Tensor

# One temperature for both sides, or (the mentors', the student's); each ``(M, N, K')``.
Temperatures = Union[Tensor, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class PoseTruth:
    """What is known of a batch of people, in the network's input space.

    Attributes:
        keypoints: ``(N, K, 2)`` in pixels.
        labelled: bool ``(N, K)``.
        area: ``(N,)`` in square input pixels, or None.
        bbox: Width and height ``(N, 2)`` in input pixels, or None.
        head: Head size ``(N,)`` in input pixels, or None.
    """

    keypoints: Tensor
    labelled: Tensor
    area: Tensor | None = None
    bbox: Tensor | None = None
    head: Tensor | None = None


@dataclass(frozen=True)
class ClassTruth:
    """What is known of a batch of pictures.

    Attributes:
        label: The true class ``(N,)``, or soft labels ``(N, C)`` (mixup, cutmix).
    """

    label: Tensor


@dataclass(frozen=True)
class Resize:
    """How the student's inputs become a mentor's.

    Attributes:
        size: (H, W) of the mentor's inputs.
        ratio: The student's pixels per pixel of them, (x, y), where coordinates must be carried
            over; None where the picture is just stretched.
        letterbox: The picture fills the upper left, the rest is the mentor's mean colour.
    """

    size: tuple[int, int]
    ratio: tuple[float, float] | None = None
    letterbox: bool = False


@dataclass(frozen=True)
class Answer:
    """What a network says to a batch, in its own terms.

    Attributes:
        parts: Its outputs in float32: a classifier's logits ``(N, C)``, heatmaps ``(N, K, H, W)``,
            or the two SimCC vectors ``(N, K, W)``. All 0 where they were not finite.
        finite: Whether they were finite, a bool scalar.
    """

    parts: tuple[Tensor, ...]
    finite: Tensor


@dataclass(frozen=True)
class Reading:
    """A member's answer in the student's terms.

    Attributes:
        guess: What a scorer compares with the truth: keypoints ``(N, K, 2)`` in the student's
            input pixels, logits ``(N, C)``.
        parts: What is taught: natural logits ``(N, K, D)``, whose softmax is the member's
            distribution; one part, two for a SimCC student.
    """

    guess: Tensor
    parts: tuple[Tensor, ...]


@dataclass(frozen=True)
class Scores:
    """Scores of one student and M mentors.

    A mentor that lacks some keypoints is judged by the others, and compared with the student on
    those alone.

    Attributes:
        values: ``(1 + M, N, K)`` in [0, 1], the student in row 0.
        labelled: bool ``(N, K)``, which of them count.
        geometric: Whether a batch's score is the geometric mean of its samples'.
        correct: bool ``(M, N)``, for tasks where a mentor is right or wrong; None elsewhere.
        target: The true class ``(N, K)``, for tasks that have one; None elsewhere.
        known: bool ``(M, K)``, which keypoints each mentor has; None where all have all.
    """

    values: Tensor
    labelled: Tensor
    geometric: bool = False
    correct: Tensor | None = None
    target: Tensor | None = None
    known: Tensor | None = None

    @property
    def taught(self) -> Tensor:
        """Which keypoints can be taught: bool ``(N, K)``, or ``(M, N, K)`` where mentors differ."""
        return self.labelled if self.known is None else self.labelled & self.known[:, None]

    @property
    def judged(self) -> Tensor:
        """Which keypoints a member's own score is of: bool ``(N, K)``, or ``(1 + M, N, K)``."""
        return (
            self.labelled if self.known is None else torch.cat([self.labelled[None], self.taught])
        )

    @property
    def counts(self) -> Tensor | None:
        """Mentors that know something labelled of a sample, bool ``(M, N, 1)``; None if all do."""
        return None if self.known is None else self.taught.any(-1, keepdim=True)

    def right(self, per_sample: Tensor, min_score: float) -> Tensor:
        """Bool ``(M, N, 1)``: the mentor itself is right."""
        if self.correct is not None:
            return self.correct[..., None]
        return per_sample[1:] >= min_score


@dataclass(frozen=True)
class Lesson:
    """Who teaches what, and how much.

    Attributes:
        active: bool ``(M, N, K')``, ``K'`` is K or 1; whom the student listens to.
        weight: ``(M, N, K')``, the lesson's factor in the distillation loss, 0 where not active.
        ranks: ``(1 + M, N, K')``, the student in row 0.
        task_weight: ``(N,)``, the factor of each sample's task loss; None where the filter has one
            for all.
        rival: ``(M, N, K')``, the student's rank on what each mentor knows; None where every
            mentor knows everything, and it is row 0 of ``ranks``.
        healthy: bool ``(M,)``, whose outputs are finite; None if all are.
    """

    active: Tensor
    weight: Tensor
    ranks: Tensor
    task_weight: Tensor | None = None
    rival: Tensor | None = None
    healthy: Tensor | None = None

    def keep(self, healthy: Tensor) -> Lesson:
        """The lesson without the mentors that are not ``healthy`` (M,); who is silent weighs 0."""
        active = self.active & healthy.view(-1, 1, 1)
        weight = torch.where(active, self.weight, 0)
        return replace(self, active=active, weight=weight, healthy=healthy)
