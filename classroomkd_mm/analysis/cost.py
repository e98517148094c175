"""What a classroom's training step costs, against the sum of its parts.

Times, in turns in one process: the student's plain training step, each mentor's inference on the
student's inputs, and the classroom's step. The design allows the latter 1.05 times the sum of the
former.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Callable, Optional

import torch
from mmengine.config import Config

from ..mentors import Mentor
from .check import build_classroom, first_samples, positive, training_set

EXAMPLE = 'example:\n  python tools/measure_step.py configs/demo/classroom.py'
WARM_UP = 3  # turns that are not counted: they fill caches

Work = Callable[[], object]


def seconds(work: Work, device: str) -> float:
    """Time of one call, the device's work included."""
    if device != 'cpu':
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def steps(cfg: Config, batch_size: int, device: str = 'cpu') -> dict[str, Work]:
    """What is timed, by name: the student's step, each mentor's inference, the classroom's step.

    Args:
        cfg: A classroom's whole config; weights are random, as no time depends on them.
        batch_size: How many of its training samples make the batch, always the same.
        device: Where.

    Raises:
        ValueError: Where it is not a classroom, or there are not so many samples.
    """
    mentors = [{**mentor, 'checkpoint': None} for mentor in cfg.model.get('mentors', [])]
    model = build_classroom(cfg, mentors).to(device).train()
    dataset = training_set(cfg, 'the measurement')
    model.prepare(dataset)
    data = model.data_preprocessor(first_samples(dataset, batch_size, '--batch-size'), True)
    student = model.export()  # plain: nothing of the classroom is in what it is compared with
    work: dict[str, Work] = {'student': lambda: _train(student, data)}
    for mentor in model.mentors:
        work[f'mentor {mentor.name}'] = _inference(mentor, data['inputs'])
    work['classroom'] = lambda: _train(model, data)
    return work


def _train(network: Any, data: Mapping[str, Any]) -> None:
    network.zero_grad()
    network.parse_losses(network(**data, mode='loss'))[0].backward()


def _inference(mentor: Mentor, inputs: torch.Tensor) -> Work:
    """Stock inference of a mentor on its view of the student's inputs."""

    def infer() -> None:
        with torch.no_grad():
            mentor.network(mentor.view(inputs), None, mode='tensor')

    return infer


def measure(work: Mapping[str, Work], rounds: int, device: str = 'cpu') -> dict[str, list[float]]:
    """Seconds of each piece of work, turn by turn: what else the machine does falls on all alike.

    Args:
        work: By name.
        rounds: How many turns.
        device: Where the work runs.
    """
    for _ in range(WARM_UP):
        for call in work.values():
            seconds(call, device)
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            times[name].append(seconds(call, device))
    return times


def ratio(times: Mapping[str, Sequence[float]]) -> float:
    """The classroom's step over the sum of its parts, the median of all turns.

    >>> ratio({'student': [1.0, 1.0], 'mentor a': [1.0, 3.0], 'classroom': [2.1, 4.2]})
    1.05
    """
    parts = [values for name, values in times.items() if name != 'classroom']
    return median(whole / sum(turn) for whole, turn in zip(times['classroom'], zip(*parts)))


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='a classroom config; its data set must exist')
    parser.add_argument('--batch-size', type=positive, default=16)
    parser.add_argument('--rounds', type=positive, default=30, help='turns (default 30)')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measure, and print."""
    args = parse_args(argv)
    try:
        work = steps(Config.fromfile(args.config), args.batch_size, args.device)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    times = measure(work, args.rounds, args.device)
    for name, values in times.items():
        print(f'{name:20s} {1000 * median(values):8.2f} ms')
    print(f'classroom / sum of its parts: {ratio(times):.3f} (median of {args.rounds} turns)')
    return 0
