"""What is lost when mentors' answers are remembered: against the live mentors, on real samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..distiller import ClassroomDistiller
from ..structures import Answer, Lesson, Reading
from ..tasks.pose.bridge import PoseBridge
from .tables import Rows

NEAR = 0.05  # heatmap pixels
HEAD = ['mentor', f'keypoints within {NEAR} px', 'largest px', 'score', 'loss', 'gradient', 'bytes']
Batch = Mapping[str, Any]  # preprocessed


@dataclass
class Fidelity:
    """How far one mentor's remembered answers are from its live ones, summed over batches.

    Attributes:
        nbytes: Of one answer.
        distances: Between keypoints, in pixels of the mentor's heatmap (bins of its SimCC).
        score: The largest difference of a sample's score (OKS, the true class's probability).
        losses: Of the live and of the remembered answers.
        squares: Of the gradients at the student's output, and of their difference.
    """

    nbytes: int
    distances: list[Tensor] = field(default_factory=list)
    score: float = 0.0
    losses: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))

    def row(self, name: str) -> list[str]:
        """Of the table; relative errors in per cent."""
        far = torch.cat(self.distances) if self.distances else torch.zeros(0)
        near = f'{(far < NEAR).double().mean():.2%}' if len(far) else '-'
        largest = f'{far.max():.3f}' if len(far) else '-'
        live, remembered = self.losses.tolist()
        loss = abs(remembered - live) / max(live, 1e-12)
        gradient = (self.squares[1] / self.squares[0].clamp(min=1e-30)).sqrt()
        told = [near, largest, f'{self.score:.4f}', f'{loss:.2%}', f'{gradient:.2%}']
        return [name, *told, str(self.nbytes)]


def add_batch(
    found: Fidelity,
    model: ClassroomDistiller,
    member: int,
    data: Batch,
    answers: tuple[Answer, Answer],
) -> None:
    """Compare one mentor's answers to a batch.

    Args:
        found: What is added to.
        model: The classroom.
        member: Which of its mentors.
        data: The batch, preprocessed.
        answers: The live one and the remembered one.
    """
    bridge = model.members[member][1]
    live, kept = (bridge.read(answer) for answer in answers)
    truth = model.task.ground_truth(data['data_samples'], live.guess.device)
    scores = model.task.score(model.scorer, [live, kept], [bridge], truth)
    counted = scores.labelled.any(-1)
    means = torch.where(scores.labelled, scores.values, 0).sum(-1)
    means = means / scores.labelled.sum(-1).clamp(min=1)
    gap = (means[1] - means[0]).abs()[counted]
    found.score = max([found.score, *gap.tolist()])
    if isinstance(bridge, PoseBridge):
        pixel = torch.tensor(bridge.readout.scale, device=live.guess.device)
        found.distances.append(((live.guess - kept.guess) / pixel).norm(dim=-1)[scores.labelled])
    (first, slope), (second, other) = (_lesson(model, data, each) for each in (live, kept))
    found.losses += torch.tensor([first, second], dtype=torch.float64)
    found.squares += torch.tensor(
        [sum(g.square().sum().item() for g in slope), sum(_gaps(slope, other))]
    )


def _gaps(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[float]:
    return [(a - b).square().sum().item() for a, b in zip(first, second)]


def _lesson(
    model: ClassroomDistiller, data: Batch, mentor: Reading
) -> tuple[float, tuple[Tensor, ...]]:
    """The distillation loss of one mentor at temperature 1, and its gradient at the output."""
    with torch.no_grad():
        student = model.task.read(model.task.forward(model, data['inputs'])[1])
        parts = [part.float() for part in student.parts]
    one = torch.ones(1, len(parts[0]), 1, device=parts[0].device)
    lesson = Lesson(one > 0, one, one.expand(2, -1, -1)).about([mentor])
    labelled = torch.ones(parts[0].shape[:2], dtype=torch.bool, device=one.device)
    leaves = [part.requires_grad_() for part in parts]
    target = model.task.ground_truth(data['data_samples'], one.device)
    scores = model.task.score(model.scorer, [student], [], target)
    loss = sum(
        (
            model.distill_loss(z, [m], lesson, one, labelled, scores.target)
            for z, m in zip(leaves, mentor.parts)
        ),
        torch.zeros((), device=one.device),
    )
    return loss.item(), torch.autograd.grad(loss, leaves)


def fidelity_table(found: Mapping[str, Fidelity]) -> Rows:
    """Rows of the table."""
    return [HEAD, *(each.row(name) for name, each in found.items())]
