"""What the student and its mentors cost: size, and the time of one picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import nn

from ..analysis.tables import Rows
from .graph import Runs

WARM_UP = 3
HEAD = ['network', 'runtime', 'parameters', 'MB', 'ms a picture']
BYTES = 4  # of a parameter, in single precision
Call = Callable[[], object]


def parameters(network: nn.Module) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def milliseconds(calls: Mapping[str, Call], rounds: int) -> dict[str, float]:
    """The median time of each call; they take turns, so that a busy machine is so for all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(WARM_UP + rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    return {name: 1000 * median(each[WARM_UP:]) for name, each in times.items()}


def table(
    networks: Mapping[str, nn.Module],
    graphs: Mapping[str, tuple[Runs, int]],
    picture: np.ndarray,
    rounds: int,
) -> Rows:
    """A row for each network in PyTorch, and for each graph of the first, the student.

    Args:
        networks: By name. Each is timed on a picture of the student's size, unless its own head
            says another.
        graphs: The student's by the name of their runtime, with the bytes of their files.
        picture: One normalised picture ``(1, C, H, W)``.
        rounds: How often each is timed.
    """
    student, *mentors = networks
    calls: dict[str, Call] = {name: step(network, picture) for name, network in networks.items()}
    calls.update({f'{student} {name}': partial(run, picture) for name, (run, _) in graphs.items()})
    spent = milliseconds(calls, rounds)
    counts = {name: parameters(network) for name, network in networks.items()}
    rows = [_row(student, 'PyTorch', counts[student], BYTES * counts[student], spent[student])]
    for name, (_, size) in graphs.items():
        rows.append(_row(student, name, counts[student], size, spent[f'{student} {name}']))
    for name in mentors:
        rows.append(_row(name, 'PyTorch', counts[name], BYTES * counts[name], spent[name]))
    return [HEAD, *rows]


def _row(name: str, runtime: str, count: int, size: int, spent: float) -> list[str]:
    return [name, runtime, f'{count:,}', f'{size / 1e6:.1f}', f'{spent:.1f}']


def step(network: nn.Module, picture: np.ndarray) -> Call:
    """A forward pass of a network on one picture of its own size."""
    decoder = getattr(getattr(network, 'head', None), 'decoder', None)
    width, height = picture.shape[:1:-1] if decoder is None else decoder.input_size
    mean = getattr(getattr(network, 'data_preprocessor', None), 'mean', None)
    channels = picture.shape[1] if mean is None else len(mean)
    inputs = torch.zeros(1, channels, int(height), int(width))

    def forward() -> object:
        with torch.no_grad():
            return network(inputs, None, mode='tensor')

    return forward
