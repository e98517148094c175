"""What each mentor costs: times measured here, one after the other, and what lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from ..analysis.cost import Work, seconds
from ..datasets import FixedViews, view_numbers
from ..distiller import ClassroomDistiller
from ..members import AnyMentor
from ..mentors.memory import RememberedMentor

BATCH = 8
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """Of one training step, measured where the page is made.

    Attributes:
        device: Where.
        batch: How many samples the step has.
        student: Seconds of the student's own step, forward and backward.
        mentors: Seconds of each mentor's answer, of a network that is shared each one's part.
        step: Seconds of the whole classroom's step.
        weights: Bytes of each network's weights, the student's first; None where an answer was
            remembered and no network built.
        remembered: Of how many of the samples each mentor's answer is kept; None without a memory.
        samples: Of how many that is asked.
    """

    device: str
    batch: int
    student: float
    mentors: tuple[float, ...]
    step: float
    weights: tuple[int | None, ...]
    remembered: tuple[int | None, ...]
    samples: int

    @property
    def shares(self) -> tuple[float, ...]:
        """Which share of the step each mentor takes."""
        whole = max(self.step, self.student + sum(self.mentors))
        return tuple(each / whole for each in self.mentors)

    @property
    def rest(self) -> float:
        """Seconds that are no part's: scores, lesson, the distillation loss."""
        return max(self.step - self.student - sum(self.mentors), 0.0)


def measured(
    model: ClassroomDistiller,
    dataset: FixedViews,
    numbers: Sequence[int],
    kept: Sequence[int | None],
    advance: Callable[[int], None] = lambda done: None,
) -> Cost:
    """Time a classroom's parts on the first of these samples, in turns.

    Args:
        model: It; its weights stay, its normalisation's running means do not.
        dataset: The training data.
        numbers: Of samples.
        kept: See :func:`remembered`, of these samples, before any was asked for here.
        advance: Told of each turn that is done.
    """
    device = str(next(model.parameters()).device)
    batch = pseudo_collate([dataset[number] for number in numbers[:BATCH]])
    data = model.data_preprocessor(batch, False)
    work = parts(model, data)
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(1 + ROUNDS):
        for name, call in work.items():
            taken = seconds(call, device)
            times[name] += [taken] if turn else []  # the first fills caches
        advance(1)
    student, *mentors, step = (median(each) for each in times.values())
    nets = [_bytes(model), *(_bytes(m.network) if _built(m) else None for m in model.mentors)]
    sources = [mentor.source for mentor in model.mentors]  # who share a network are asked once
    mentors = [taken / sources.count(each) for taken, each in zip(mentors, sources)]
    size = len(numbers[:BATCH])
    return Cost(device, size, student, tuple(mentors), step, tuple(nets), tuple(kept), len(numbers))


def parts(model: ClassroomDistiller, data: Mapping[str, Any]) -> dict[str, Work]:
    """What is timed: the student's step, each mentor's answer, the whole step."""
    student = model.export().train()
    model.train()
    work: dict[str, Work] = {'student': lambda: _step(student, data)}
    for place, mentor in enumerate(model.mentors):
        work[f'mentor {place}'] = _answer(mentor, data)
    work['classroom'] = lambda: _step(model, data)
    return work


def _step(network: Any, data: Mapping[str, Any]) -> None:
    network.zero_grad()
    network.parse_losses(network(**data, mode='loss'))[0].backward()


def _answer(mentor: AnyMentor, data: Mapping[str, Any]) -> Work:
    """As in a lesson: a mentor whose answers are kept is not asked again."""
    samples = data['data_samples']
    numbers = view_numbers(samples)
    return lambda: mentor(data['inputs'], numbers, samples)


def _built(mentor: AnyMentor) -> bool:
    return not isinstance(mentor, RememberedMentor) or mentor.built


def remembered(model: ClassroomDistiller, numbers: Sequence[int]) -> list[int | None]:
    """Of how many samples each mentor's answer is kept; None without a memory."""
    return [
        sum(mentor.memory.there(numbers)) if isinstance(mentor, RememberedMentor) else None
        for mentor in model.mentors
    ]


def _bytes(network: nn.Module) -> int:
    tensors: list[torch.Tensor] = [*network.parameters(), *network.buffers()]
    return sum(each.numel() * each.element_size() for each in tensors)
