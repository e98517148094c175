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


@dataclass(frozen=True, eq=False)
class ClassBridge(Bridge):
    """A classifier as mentor in the student's eyes.

    Attributes:
        classes: Names of its classes, None where they are the student's.
        expected: The student's number of classes, None where it does not tell.
        sharpness: What its logits are multiplied by to be natural ones.
        index: Where each of the student's classes is among its own; None where equal or not known.
    """

    classes: tuple[str, ...] | None = None
    expected: int | None = None
    sharpness: float = 1.0
    index: Tensor | None = None

    def joined(self, metainfo: Metainfo) -> ClassBridge:
        """The bridge to a data set, its classes joined by name.

        Raises:
            ValueError: Where a class is lacking, or a name stands for two.
        """
        if self.classes is None:
            return self
        ours = metainfo.get('classes') or ()
        if len(ours) != (self.expected or len(ours)):
            raise ValueError(
                f'mentor {self.name!r}: classes are joined by name, and the data set names '
                f'{len(ours)} of the {self.expected} classes'
            )
        index = class_index(self.classes, ours, f'mentor {self.name!r}')
        return replace(self, index=torch.tensor(index))

    def moved(self, fn: Callable[[Tensor], Tensor]) -> ClassBridge:
        """The bridge on another device."""
        return self if self.index is None else replace(self, index=fn(self.index))

    def read(self, answer: Answer) -> Reading:
        """Its logits over the student's classes.

        Raises:
            RuntimeError: Where classes differ and the data set is not known.
        """
        return reading(self._ours(answer.parts[0]), self.sharpness)

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
        """The mentor's own predictions, of the student's classes."""
        if self.classes is None:
            return network(inputs, data_samples, mode='predict')
        logits = self._ours(network(inputs, mode='tensor'))
        owner = network.head if hasattr(network, 'head') else network
        return owner._get_predictions(logits, data_samples)


def reading(logits: Tensor, sharpness: float) -> Reading:
    """Logits ``(N, C)`` as scorer and loss see them."""
    natural = logits if sharpness == 1 else logits * sharpness
    return Reading(logits, (natural[:, None],))


def class_index(theirs: Sequence[str], ours: Sequence[str], who: str) -> list[int]:
    """Where each of the student's classes is among a mentor's.

    Raises:
        ValueError: Naming the classes that the mentor lacks, or names that stand for two classes.
    """
    if list(theirs) == list(ours):
        return list(range(len(ours)))
    for side, names in (('classes', theirs), ("the data set's classes", ours)):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        if twice:
            raise ValueError(
                f'{who}: {side} names {twice[:3]} twice: they cannot be joined by name'
            )
    lacking = [name for name in ours if name not in theirs]
    if lacking:
        raise ValueError(
            f"{who}: classes lacks {len(lacking)} of the data set's {len(ours)} classes, e.g. "
            f'{lacking[:3]}'
        )
    return [list(theirs).index(name) for name in ours]
