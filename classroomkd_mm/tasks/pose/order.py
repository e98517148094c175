"""Whether a mentor's keypoints are where those are labelled that they are named after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ...structures import PoseTruth

COUNT = None  # beside the mentors' names: how often each keypoint is judged
ENOUGH = 200  # samples after which a training looks
LEAST = 30  # times that a keypoint must be labelled to be judged
SMALLEST = 8.0  # pixels; in a smaller person keypoints are not told apart
NEAR = 0.1  # of a person's size
SEEN = 0.15  # random networks see nothing; published ones that find few people, a quarter
CLEARLY = 1.5
DEVIATIONS = 3.0  # of the difference of two counts
TOLD = 6  # keypoints of a mentor that a message names


class KeypointOrder:
    """How often each of a mentor's keypoints is at each labelled one, and how often by chance.

    It is at one where it is within a tenth of the person's size. How often it is as near to the
    label of another sample is chance, and the difference is what it sees: a network that says the
    same place to every picture, or where people mostly have a keypoint, sees nothing. Counts are
    summed on the device, and nothing waits until they are asked for.

    Attributes:
        samples: How many it has seen.
        closed: Whether a training has looked.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.closed = False
        self._due = ENOUGH
        self._sums: dict[str | None, Tensor] = {}

    @torch.no_grad()
    def add(self, guesses: Mapping[str, Tensor], truth: PoseTruth) -> None:
        """Look at a batch; at one of a single sample not, there is no other to compare it with.

        Args:
            guesses: Keypoints ``(N, K, 2)`` in input pixels, by the mentor's name.
            truth: The batch's.
        """
        if len(truth.labelled) < 2:
            return
        there = truth.labelled[..., None]
        highest = truth.keypoints.masked_fill(~there, -torch.inf).amax(1)
        lowest = truth.keypoints.masked_fill(~there, torch.inf).amin(1)
        size = (highest - lowest).norm(dim=-1)  # of who has no label infinite, and not used
        judged = truth.labelled & (size >= SMALLEST)[:, None]
        self._add(COUNT, judged.sum(0))
        for name, guess in guesses.items():
            # Not the next: those of one picture often follow each other.
            both = (guess, guess.roll(len(guess) // 2, 0))
            near = [_near(each, truth.keypoints, size, judged) for each in both]
            self._add(name, torch.stack(near))
        self.samples += len(truth.labelled)

    def _add(self, name: str | None, found: Tensor) -> None:
        before = self._sums.get(name)
        # The model may have moved.
        self._sums[name] = found if before is None else before.to(found.device) + found

    def is_due(self) -> bool:
        """Whether a training should look now: once, or later where too little was labelled."""
        if self.closed or self.samples < self._due:
            return False
        self.closed = self._sums[COUNT].max().item() >= LEAST
        self._due *= 4
        return self.closed

    def exchanged(self, name: str, known: Tensor | None = None) -> list[tuple[int, int]]:
        """Keypoints of a mentor that are clearly others.

        Another assignment of its keypoints to the labelled ones is looked for, by which they are at
        most of them. One is told where a keypoint is at another's label 1.5 times as often as at
        its own, by three standard deviations, and sees it in 0.15 of the samples; and where that is
        so of two at least.

        Args:
            name: The mentor's.
            known: Which it has, bool ``(K,)``; None if all.

        Returns:
            (the keypoint that it is named, the one that it is), by their places.
        """
        if name not in self._sums:
            return []
        count = self._sums[COUNT].cpu().double().numpy()
        judged = count >= LEAST
        own = np.flatnonzero(judged if known is None else judged & known.cpu().numpy())
        labelled = np.flatnonzero(judged)
        count = np.maximum(count, 1)
        at, chance = self._sums[name].cpu().double().numpy() / count
        rows, columns = linear_sum_assignment(at[np.ix_(own, labelled)], maximize=True)
        pairs = list(zip(own[rows].tolist(), labelled[columns].tolist()))
        found = [
            (named, real)
            for named, real in pairs
            if at[named, real] - chance[named, real] >= SEEN
            and at[named, real] >= CLEARLY * at[named, named]
            and at[named, real] - at[named, named]
            >= DEVIATIONS * np.sqrt(at[named, real] / count[real] + at[named, named] / count[named])
        ]
        return found if len(found) > 1 else []


def _near(guess: Tensor, keypoints: Tensor, size: Tensor, judged: Tensor) -> Tensor:
    """In how many samples each of K guesses is near each of K labels, ``(K, K)``."""
    apart = (guess[:, :, None] - keypoints[:, None]).norm(dim=-1)
    return ((apart < NEAR * size[:, None, None]) & judged[:, None]).sum(0)


def in_words(found: Sequence[tuple[int, int]], names: Mapping[int, str]) -> str:
    """What :meth:`KeypointOrder.exchanged` found, by the keypoints' names."""
    pairs = [f'{names.get(a, a)} where {names.get(b, b)} is labelled' for a, b in found]
    more = f' and {len(pairs) - TOLD} more' if len(pairs) > TOLD else ''
    return ', '.join(pairs[:TOLD]) + more
