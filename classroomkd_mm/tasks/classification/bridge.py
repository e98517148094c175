"""A classifier as mentor in the student's eyes: its class list, its picture size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...parts import Metainfo
from ...structures import Answer, Reading
from ..base import Bridge, Samples

if TYPE_CHECKING:
    from mmpretrain.models import BaseClassifier


LACKS = 'not taught by it:'


@dataclass(frozen=True, eq=False)
class ClassBridge(Bridge):
    """A classifier as mentor in the student's eyes.

    Attributes:
        classes: Names of its classes, None where they are the student's.
        expected: The student's number of classes, None where it does not tell.
        sharpness: What its logits are multiplied by to be natural ones.
        index: Where each of the student's classes that it knows is among its own; None where equal
            or not known.
        places: Which of the student's classes these are, None where all.
        ours: How many classes the data set has, 0 where that is not known.
        kind: What it is called in errors.
        sizes: The (H, W) that it takes, its own one first; empty where any will do, and where
            ``resize`` gives it one.
    """

    things = 'classes'
    classes: tuple[str, ...] | None = None
    expected: int | None = None
    sharpness: float = 1.0
    index: Tensor | None = None
    places: Tensor | None = None
    ours: int = 0
    kind: str = ''
    sizes: tuple[tuple[int, int], ...] = ()

    @property
    def shared(self) -> tuple[int, int] | None:
        """How many of the data set's classes it has; None if it has all."""
        return None if self.places is None else (len(self.places), self.ours)

    def check_inputs(self, size: tuple[int, int]) -> None:
        """Refuse pictures of another size than it was made for.

        Some networks fail on them; others interpolate their position embedding and say nothing.

        Raises:
            ValueError: With both sizes, and what to set.
        """
        if self.sizes and size not in self.sizes:
            (height, width), *_ = self.sizes
            raise ValueError(
                f'mentor {self.name!r} ({self.kind}) is made for pictures of {width}x{height}, the '
                f"student's are {size[1]}x{size[0]}: with input_size=({width}, {height}) of the "
                'mentor it sees them resized to its own'
            )

    def joined(self, metainfo: Metainfo) -> ClassBridge:
        """The bridge to a data set, its classes joined by name.

        What it lacks it does not teach; what it has more is dropped.

        Raises:
            ValueError: Where fewer than two classes are shared, or a name stands for two.
        """
        if self.classes is None:
            return self
        ours = metainfo.get('classes') or ()
        if len(ours) != (self.expected or len(ours)):
            raise ValueError(
                f'mentor {self.name!r}: classes are joined by name, and the data set names '
                f'{len(ours)} of the {self.expected} classes (metainfo.classes)'
            )
        shared = shared_classes(self.classes, ours, f'mentor {self.name!r}')
        places, index = (torch.tensor(each) for each in zip(*shared))
        return replace(
            self,
            index=index,
            places=None if len(shared) == len(ours) else places,
            ours=len(ours),
            adaptations=self._words(ours, shared),
        )

    def _words(self, ours: Sequence[str], shared: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        """What is adapted, with the classes that it lacks on these data."""
        known = {place for place, _ in shared}
        lacks = [name for place, name in enumerate(ours) if place not in known]
        words = tuple(word for word in self.adaptations if not word.startswith(LACKS))
        if not lacks:
            return words
        few = ', '.join(map(repr, lacks[:3])) + (', ...' if len(lacks) > 3 else '')
        return (*words, f'{LACKS} {len(lacks)} of the {len(ours)} classes ({few})')

    def moved(self, fn: Callable[[Tensor], Tensor]) -> ClassBridge:
        """The bridge on another device."""
        if self.index is None:
            return self
        places = None if self.places is None else fn(self.places)
        return replace(self, index=fn(self.index), places=places)

    def read(self, answer: Answer) -> Reading:
        """Its logits over the student's classes, or over those of them that it knows.

        Raises:
            RuntimeError: Where classes differ and the data set is not known.
        """
        read = reading(self._ours(answer.parts[0]), self.sharpness)
        return read if self.places is None else replace(read, places=self.places)

    def _ours(self, logits: Tensor) -> Tensor:
        if self.classes is None:
            return logits
        if self.index is None:
            raise RuntimeError(
                f"mentor {self.name!r}: classes needs the data set's class names, which "
                'ClassroomHook hands over: add it to custom_hooks'
            )
        return logits.index_select(-1, self.index)

    def predict(self, network: BaseClassifier, inputs: Tensor, data_samples: Samples) -> Samples:
        """The mentor's own predictions, of the student's classes: 0 for one that it lacks."""
        if self.classes is None:
            return network(inputs, data_samples, mode='predict')
        logits = self._ours(network(inputs, mode='tensor'))
        if self.places is not None:
            every = logits.new_full((len(logits), self.ours), float('-inf'))
            logits = every.index_copy(-1, self.places, logits)
        owner = network.head if hasattr(network, 'head') else network
        return owner._get_predictions(logits, data_samples)


def reading(logits: Tensor, sharpness: float) -> Reading:
    """Logits ``(N, C)`` as scorer and loss see them."""
    natural = logits if sharpness == 1 else logits * sharpness
    return Reading(logits, (natural[:, None],))


def shared_classes(theirs: Sequence[str], ours: Sequence[str], who: str) -> list[tuple[int, int]]:
    """Where each class that both have is among the student's and among a mentor's.

    Raises:
        ValueError: Naming shared names that stand for two classes, or both sides where fewer than
            two classes are shared.
    """
    if list(theirs) == list(ours):
        return [(i, i) for i in range(len(ours))]
    both = set(theirs) & set(ours)
    for side, names in (('classes', theirs), ("the data set's classes", ours)):
        twice = sorted({name for name in both if list(names).count(name) > 1})
        if twice:
            raise ValueError(
                f'{who}: {side} names {twice[:3]} twice: they cannot be joined by name; rename one '
                'of each'
            )
    at = {name: i for i, name in enumerate(theirs)}
    shared = [(i, at[name]) for i, name in enumerate(ours) if name in at]
    if len(shared) < 2:
        raise ValueError(
            f"{who}: classes has {len(shared)} of the data set's {len(ours)} classes, a softmax "
            f'takes two; it has {list(theirs)[:3]}, the data set {list(ours)[:3]}'
        )
    return shared
