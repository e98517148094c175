"""What a memory holds, and what it will save: said before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .store import MentorMemory


@dataclass(frozen=True)
class Plan:
    """What a run will ask its mentors.

    Attributes:
        mentors: How many there are.
        samples: Of the training data.
        views: Of each sample.
        epochs: Of the run; None where it trains by iterations.
        there: How many answers are kept already.
        nbytes: What all answers would take.
    """

    mentors: int
    samples: int
    views: int
    epochs: int | None
    there: int
    nbytes: int

    @property
    def total(self) -> int:
        """Answers that can be kept."""
        return self.mentors * self.samples * self.views

    @property
    def live(self) -> int:
        """Pictures that mentors are shown in the run without a memory."""
        return self.mentors * self.samples * (self.epochs or 0)

    @property
    def asked(self) -> int:
        """Pictures that they are shown with it, at most."""
        seen = self.views if self.epochs is None else min(self.views, self.epochs)
        return min(self.total - self.there, self.mentors * self.samples * seen)

    def __str__(self) -> str:
        words = (
            f'{self.there} of {self.total} answers are there ({self.mentors} mentors, '
            f'{self.samples} samples, {self.views} views); all of them take {size(self.nbytes)}. '
            f'This run shows mentors at most {self.asked} pictures'
        )
        if self.epochs is None:
            return words
        return f'{words}, without memory {self.live} ({self.epochs} epochs)'


def plan(memories: Sequence[MentorMemory], samples: int, views: int, epochs: int | None) -> Plan:
    """What a run with these memories will ask.

    Args:
        memories: Of all its mentors, once each has answered something.
        samples: Of the training data.
        views: Of each sample.
        epochs: Of the run; None where it trains by iterations.
    """
    there = sum(sum(memory.there(range(samples * views))) for memory in memories)
    nbytes = sum(memory.record_size for memory in memories) * samples * views
    return Plan(len(memories), samples, views, epochs, there, nbytes)


def size(nbytes: float) -> str:
    """Bytes in words."""
    for unit in ('B', 'kB', 'MB', 'GB'):
        if nbytes < 1000:
            return f'{nbytes:.3g} {unit}'
        nbytes /= 1000
    return f'{nbytes:.3g} TB'
