"""The nouns of the method: what its parts, tasks and mentors hand to each other."""

from __future__ import annotations

from collections.abc import Sequence
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
        label: The true class ``(N,)``, -1 where there is no label; or soft labels ``(N, C)``
            (mixup, cutmix), all 0 where there is none.
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
class OwnCrop:
    """What a mentor is shown instead: the student's crop, cut from the original at its own size.

    Attributes:
        size: (H, W) of the mentor's inputs.
        udp: Whether the crop begins and ends in the middle of its outer pixels, as UDP has it
            (arXiv 1911.07524), or at their edges.
    """

    size: tuple[int, int]
    udp: bool

    def __str__(self) -> str:
        return f'own_resolution=True, {self.name}'

    @property
    def name(self) -> str:
        """Of the field of a sample that holds it."""
        return f'own_crop_{self.size[1]}x{self.size[0]}{"_udp" if self.udp else ""}'

    @property
    def extent(self) -> tuple[int, int]:
        """(w, h) of the crop, in the mentor's input pixels."""
        return self.size[1] - self.udp, self.size[0] - self.udp


Shown = Union[Resize, OwnCrop]  # where a mentor is shown anything but the student's inputs


@dataclass(frozen=True)
class Answer:
    """What a network says to a batch, in its own terms.

    Attributes:
        parts: Its outputs in float32: a classifier's logits ``(N, C)``, heatmaps ``(N, K, H, W)``,
            or the two SimCC vectors ``(N, K, W)``. A sample's are all 0 where they were not finite.
        finite: Of which samples they were finite, bool ``(N,)``.
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
        places: Indices ``(D_m,)``: which of the student's classes the guess and the parts are of,
            ``C`` and ``D`` are then ``D_m``. None where they are of all.
    """

    guess: Tensor
    parts: tuple[Tensor, ...]
    places: Tensor | None = None


@dataclass(frozen=True)
class Scores:
    """Scores of one student and M mentors.

    A mentor that lacks some keypoints (classes) is judged by the others, and compared with the
    student on those alone. Of a sample without any label no score is known: nobody is judged on it,
    and a mentor may teach all of it that it knows.

    Attributes:
        values: ``(1 + M, N, K)`` in [0, 1], the student in row 0.
        labelled: bool ``(N, K)``, which of them count.
        geometric: Whether a batch's score is the geometric mean of its samples'.
        correct: bool ``(M, N)``, for tasks where a mentor is right or wrong; None elsewhere.
        target: The true class ``(N, K)``, -1 where there is no label, for tasks that have one; None
            elsewhere.
        known: bool ``(M, K)``, which keypoints each mentor has; or ``(M, N, K)`` in [0, 1], how
            much of each label's mass is of classes that it knows. None where all know all.
        rival: ``(M, N, K)``, the student's scores on the classes alone that each mentor knows; None
            where they are row 0 of ``values``.
        standing: ``(2, 1 + M)``: each member's mean score over the labelled samples so far, and the
            student's on what each member knows; 0 before there were any, None if nobody counts.
        finite: bool ``(M, N)``: where a mentor's answer was finite. Elsewhere it is muted, and its
            score that of a guess, which counts for nothing. None where all were.
    """

    values: Tensor
    labelled: Tensor
    geometric: bool = False
    correct: Tensor | None = None
    target: Tensor | None = None
    known: Tensor | None = None
    rival: Tensor | None = None
    standing: Tensor | None = None
    finite: Tensor | None = None

    @property
    def unlabelled(self) -> Tensor:
        """Samples of which no score is known, bool ``(N, 1)``."""
        return ~self.labelled.any(-1, keepdim=True)

    @property
    def shares(self) -> Tensor | None:
        """How much of it each mentor knows: ``known`` as ``(M, N or 1, K)``; None if all."""
        if self.known is None:
            return None
        return self.known if self.known.dim() == 3 else self.known[:, None]

    @property
    def taught(self) -> Tensor:
        """Which keypoints can be taught: bool ``(N, K)``, or ``(M, N, K)`` where mentors differ."""
        taught, shares = self.labelled | self.unlabelled, self.shares
        return taught if shares is None else taught & (shares > 0)

    @property
    def judged(self) -> Tensor:
        """Which keypoints a member's own score is of: bool ``(N, K)``, or ``(1 + M, N, K)``."""
        shares, finite = self.shares, self.finite
        if shares is None and finite is None:
            return self.labelled
        mentors = self.labelled if shares is None else self.labelled & (shares > 0)
        mentors = mentors if finite is None else mentors & finite[..., None]
        return torch.cat([self.labelled[None], mentors])

    @property
    def heard(self) -> Tensor:
        """How much of each keypoint's lesson counts: ``taught``, or its share of a soft label."""
        shares = self.shares
        if shares is None or shares.dtype is torch.bool:
            return self.taught
        return self.taught * shares

    @property
    def counts(self) -> Tensor | None:
        """Mentors that have something to teach of a sample, bool ``(M, N, 1)``; None if all do."""
        finite = None if self.finite is None else self.finite[..., None]
        if self.known is None:
            return finite
        knows = self.taught.any(-1, keepdim=True)
        return knows if finite is None else knows & finite

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
        healthy: bool ``(M, N)``, whose outputs for which sample are finite; None if all are.
        places: For each mentor the classes that it knows, see :class:`Reading`; None where every
            mentor knows all.
    """

    active: Tensor
    weight: Tensor
    ranks: Tensor
    task_weight: Tensor | None = None
    rival: Tensor | None = None
    healthy: Tensor | None = None
    places: tuple[Tensor | None, ...] | None = None

    def keep(self, healthy: Tensor) -> Lesson:
        """The lesson without those who are not ``healthy`` (M, N); who is silent weighs 0."""
        active = self.active & healthy[..., None]
        weight = torch.where(active, self.weight, 0)
        return replace(self, active=active, weight=weight, healthy=healthy)

    def about(self, readings: Sequence[Reading]) -> Lesson:
        """The lesson of mentors that say this, some of them of the classes alone that they know."""
        places = tuple(reading.places for reading in readings)
        return self if all(each is None for each in places) else replace(self, places=places)


@dataclass(frozen=True)
class Pull:
    """How hard a lesson pulls at the student's output, and how hard its task; all scalars.

    Attributes:
        task: Norm of the task losses' gradient there.
        lesson: Norm of the distillation loss's, as its weights make it.
        given: Norm of what balance and projection leave of it; None where neither is asked.
        against: How many lessons (of a sample's keypoint, class: a sample) contradict the label.
        compared: Of how many.
    """

    task: Tensor
    lesson: Tensor
    given: Tensor | None
    against: Tensor
    compared: Tensor
