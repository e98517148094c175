"""Cheaper ways to run a frozen network, and how far its outputs move by them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Union

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

Output = Union[Tensor, tuple[Tensor, ...], list[Any]]

# How far outputs may move, relative to their range, where tolerance is not set: what rounding in
# float32 (TF32) does is below the first, what bfloat16 does below the second; a network that is
# fused wrongly is far above both.
TOLERANCE, REDUCED_TOLERANCE = 0.01, 0.1
DTYPES = ('bfloat16', 'float16')


# All are off: a default must be faster on a CPU and on a GPU, where channels_last in float32 can be
# slower, and so far only a CPU has been measured.
@dataclass(frozen=True)
class Cheap:
    """Settings of a mentor that make it cheaper to ask.

    Attributes:
        fuse: Each batch norm becomes part of the convolution before it (mmcv's ``fuse_conv_bn``).
        channels_last: Its convolutions compute in that memory format.
        dtype: Its forward runs in autocast of this type, 'bfloat16' or 'float16'; the weights stay
            as they are, for all else that is done with the network.
        compile: Its forward is compiled (``torch.compile``): minutes before the first answer.
        device: Where it stays, whichever device the student is on, for example 'cuda:1'. It
            computes while the student does.
        batch_size: How many samples it is asked for at a time: less memory; None for all of them.
        tolerance: How far its outputs may move by the settings above, the largest difference
            relative to the outputs' range; None for 0.01, in reduced precision 0.1.
    """

    fuse: bool = False
    channels_last: bool = False
    dtype: str | None = None
    compile: bool = False
    device: str | None = None
    batch_size: int | None = None
    tolerance: float | None = None

    @classmethod
    def of(cls, cfg: Mapping[str, Any], who: str) -> Cheap:
        """Read them from a mentor's entry in a config, whatever else is there.

        Raises:
            ValueError: For a value that cannot be, naming mentor and setting.
        """
        cheap = cls(**{key: cfg[key] for key in CHEAP & set(cfg)})
        for key in ('fuse', 'channels_last', 'compile'):
            if not isinstance(getattr(cheap, key), bool):
                raise ValueError(f'{who}: {key}={getattr(cheap, key)!r} must be True or False')
        if cheap.dtype is not None and cheap.dtype not in DTYPES:
            raise ValueError(f'{who}: dtype={cheap.dtype!r} must be one of {", ".join(DTYPES)}')
        _check_device(cheap.device, who)
        size = cheap.batch_size
        if size is not None and not (type(size) is int and size > 0):
            raise ValueError(f'{who}: batch_size={size!r} must be a whole number above 0')
        limit = cheap.tolerance
        number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if limit is not None and not (number and limit > 0):
            raise ValueError(f'{who}: tolerance={limit!r} must be a number above 0')
        return cheap

    @property
    def changes(self) -> dict[str, object]:
        """What is set of all that may move outputs, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {key: value for key, value in values.items() if value and key != 'tolerance'}

    def __str__(self) -> str:
        return ', '.join(f'{key}={value!r}' for key, value in self.changes.items())

    def limit(self, reduced: bool) -> float:
        """How far outputs may move.

        Args:
            reduced: Whether they are in half precision with or without these settings.
        """
        if self.tolerance is not None:
            return self.tolerance
        return REDUCED_TOLERANCE if reduced or self.dtype is not None else TOLERANCE


CHEAP = frozenset(each.name for each in fields(Cheap))


def _check_device(device: object, who: str) -> None:
    try:
        if device is not None:
            torch.device(str(device))
    except RuntimeError as error:
        raise ValueError(f"{who}: device={device!r} is none; 'cuda:1', for example, is") from error


class CheapNetwork:
    """A frozen network that runs by cheap settings: what all mentors share that have it.

    The network stays a stock model, for predictions and evaluation. As it was before it is kept
    until the outputs of both have been compared.

    Args:
        network: It is changed in place.
        cheap: The settings.
        who: Names the mentor in errors.

    Raises:
        ValueError: Where the network does not allow a setting, or a device is missing.

    Attributes:
        network: The network.
        cheap: The settings.
        device: Where it stays; None where it moves with the student.
        stock: As the network was; None once it has been compared with.
    """

    def __init__(self, network: nn.Module, cheap: Cheap, who: str) -> None:
        network.eval().requires_grad_(False)
        self.cheap = cheap
        self.device = None if cheap.device is None else torch.device(cheap.device)
        self.stock: nn.Module | None = copy.deepcopy(network)
        self.network = made_cheap(network, cheap, who)
        self._forward = torch.compile(network) if cheap.compile else network

    def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Its answer, where it is, to inputs ``(N, C, H, W)`` from anywhere."""
        inputs = sent(inputs, self.device)
        dtype, kind = self.cheap.dtype, inputs.device.type
        with torch.autocast(kind, getattr(torch, dtype)) if dtype else nullcontext():
            return self._asked(self._forward, inputs)

    def _asked(self, network: Callable[..., Output], inputs: Tensor) -> tuple[Tensor, ...]:
        """What a network answers, so many samples at a time."""
        size = self.cheap.batch_size
        if size is None:
            return parts_of(network(inputs, None, mode='tensor'))
        answers = [parts_of(network(some, None, mode='tensor')) for some in inputs.split(size)]
        return tuple(map(torch.cat, zip(*answers)))

    def moved(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Move it with the student, unless it has a device of its own."""
        if self.device is None:
            self.network._apply(fn)
        if self.stock is not None:
            self.stock._apply(fn)

    def compare(self, who: str, inputs: Tensor, outputs: Sequence[Tensor]) -> None:
        """Say how far outputs are from those that the network as it was gives; once.

        Nothing is said of a batch to which that gives what is not finite: the next is compared.

        Args:
            who: Names the mentor.
            inputs: What was answered, where the student is.
            outputs: The answer, likewise, in float32.

        Raises:
            ValueError: Where it is further than the tolerance.
        """
        if self.stock is None:
            return
        raw = self._asked(self.stock, inputs)
        stock = [part.float() for part in raw]
        if not all(bool(part.isfinite().all()) for part in stock):
            return
        largest, mean = distance(outputs, stock)
        limit = self.cheap.limit(any(part.dtype != torch.float32 for part in raw))
        moved = f'by {largest:.2g} of their range at most, by {mean:.2g} on average'
        if not largest <= limit:  # nor where it is NaN
            raise ValueError(
                f'{who} with {self.cheap}: its outputs move {moved}, which is beyond '
                f'tolerance={limit:g}: take {_either(list(self.cheap.changes))} out, or set '
                'tolerance= above it if such answers are good enough'
            )
        self.stock = None
        MMLogger.get_current_instance().info(
            f'{who} with {self.cheap}: outputs moved {moved} (tolerance {limit:g})'
        )


def made_cheap(network: nn.Module, cheap: Cheap, who: str) -> nn.Module:
    """The network itself, fused, in its memory format, on its device.

    Raises:
        ValueError: Naming the setting that it does not allow.
    """
    steps: dict[str, Callable[[], object]] = dict(
        fuse=lambda: _fused(network),
        channels_last=lambda: network.to(memory_format=torch.channels_last),
        device=lambda: network.to(cheap.device),
    )
    for key, step in steps.items():
        if not getattr(cheap, key):
            continue
        try:
            step()
        except Exception as error:  # of any network, and any driver
            raise ValueError(
                f'{who}: {key}={getattr(cheap, key)!r} cannot be done here '
                f'({type(error).__name__}: {error}): take it out'
            ) from error
    return network


def _fused(network: nn.Module) -> nn.Module:
    from mmcv.cnn import fuse_conv_bn

    return fuse_conv_bn(network).requires_grad_(False)  # its parameters are new ones


def sent(tensor: Tensor, device: torch.device | None) -> Tensor:
    """A tensor on a device; itself where it is there, or where no device is asked for."""
    if device is None:
        return tensor
    # Without waiting where streams keep the order; the CPU would read what has not come yet.
    return tensor.to(device, non_blocking=device.type != 'cpu')


def parts_of(output: Output) -> tuple[Tensor, ...]:
    """A network's answer in its raw output."""
    if isinstance(output, list):  # of stages (Hourglass, CPM, MSPN): the last is the answer
        return parts_of(output[-1])
    if isinstance(output, tuple):  # SimCC's axes; what a VisPredictHead says besides comes last
        return tuple(part for each in output for part in parts_of(each))
    return (output,)


def distance(outputs: Sequence[Tensor], stock: Sequence[Tensor]) -> tuple[float, float]:
    """The largest and the mean difference of two answers, relative to the second one's range.

    >>> distance([torch.tensor([0.0, 1.5, 4.0])], [torch.tensor([0.0, 1.0, 4.0])])
    (0.125, 0.0416666679084301)
    """
    off = [
        (ours - theirs).abs() / (theirs.max() - theirs.min()).clamp(min=1e-12)
        for ours, theirs in zip(outputs, stock)
    ]
    every = torch.cat([part.flatten() for part in off])
    return float(every.max()), float(every.mean())


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f'{", ".join(names[:-1])} or {names[-1]}'
