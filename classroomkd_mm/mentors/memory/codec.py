"""One sample's answer as a record of fixed size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

KEEP = 128  # docs/performance.md has the table of k against error and bytes
HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class Codec:
    """How the answer to one sample is kept.

    A part ``(K, H, W)`` or ``(K, W)`` has K rows of places, logits ``(C,)`` are one row. Of a row
    the ``keep`` largest values are kept with their places, and one value that stands for all
    others: the logarithm of their mean exponential, so that the softmax's sum is as before. A row
    of at most ``2 * keep`` places is kept whole, which takes no more room. Values are kept as their
    distance from the row's maximum, in half precision: finest where the peak is read.

    Attributes:
        shapes: Of one sample's parts.
        keep: How many values of a row.
    """

    shapes: tuple[tuple[int, ...], ...]
    keep: int

    @property
    def nbytes(self) -> int:
        """Of one record."""
        return sum(_Rows.of(shape, self.keep).nbytes for shape in self.shapes)

    def encode(self, parts: Sequence[Tensor]) -> Tensor:
        """Records uint8 ``(N, nbytes)`` of the parts of N answers, float32."""
        rows = [_Rows.of(shape, self.keep) for shape in self.shapes]
        return torch.cat([each.encode(part) for each, part in zip(rows, parts)], dim=1)

    def decode(self, records: Tensor) -> tuple[Tensor, ...]:
        """The parts of N answers, float32, on the device of their records."""
        rows = [_Rows.of(shape, self.keep) for shape in self.shapes]
        each = records.split([one.nbytes for one in rows], dim=1)
        return tuple(one.decode(part) for one, part in zip(rows, each))


@dataclass(frozen=True)
class _Rows:
    """One part's."""

    shape: tuple[int, ...]
    rows: int
    places: int
    keep: int

    @classmethod
    def of(cls, shape: tuple[int, ...], keep: int) -> _Rows:
        rows = shape[0] if len(shape) > 1 else 1
        return cls(shape, rows, math.prod(shape) // rows, keep)

    @property
    def whole(self) -> bool:
        return self.places <= 2 * self.keep

    @property
    def index(self) -> torch.dtype:
        return torch.int16 if self.places <= 2**15 else torch.int32

    def fields(self) -> Iterator[tuple[torch.dtype, int]]:
        """Type and number of the values of a record, in order."""
        yield torch.float32, self.rows  # first: a view needs an offset of whole numbers of it
        if self.whole:
            yield torch.float16, self.rows * self.places
        else:
            yield torch.float16, self.rows * (self.keep + 1)
            yield self.index, self.rows * self.keep

    @property
    def nbytes(self) -> int:
        return sum(count * dtype.itemsize for dtype, count in self.fields())

    def encode(self, part: Tensor) -> Tensor:
        rows = part.reshape(-1, self.rows, self.places)
        top = rows.amax(-1, keepdim=True)
        if self.whole:
            return torch.cat([_bytes(top), _bytes(_half(rows - top))], dim=1)
        values, places = rows.topk(self.keep, dim=-1, sorted=False)
        rest = rows.scatter(-1, places, float('-inf')).logsumexp(-1, keepdim=True)
        floor = rest - math.log(self.places - self.keep)
        kept = torch.cat([values, floor], dim=-1) - top
        fields = (top, _half(kept), places.to(self.index))
        return torch.cat([_bytes(field) for field in fields], dim=1)

    def decode(self, records: Tensor) -> Tensor:
        kinds, counts = zip(*self.fields())
        sizes = [count * kind.itemsize for kind, count in zip(kinds, counts)]
        top, values, *places = (
            field.clone(memory_format=torch.contiguous_format)
            .view(kind)
            .view(len(records), self.rows, -1)
            for field, kind in zip(records.split(sizes, dim=1), kinds)
        )
        values = top + values.float()
        if places:
            floor = values[..., -1:].expand(-1, -1, self.places)
            values = floor.scatter(-1, places[0].long(), values[..., :-1])
        return values.reshape(-1, *self.shape)


def _half(values: Tensor) -> Tensor:
    return values.clamp(min=-HALF).half()


def _bytes(values: Tensor) -> Tensor:
    return values.flatten(1).view(torch.uint8)
