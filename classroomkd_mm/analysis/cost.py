"""What a classroom's training step costs: against the sum of its parts, and with a memory.

Times, in turns in one process: the student's plain training step, each mentor's inference on the
student's inputs, the classroom's step with live mentors, its step with remembered answers, and the
distillation loss alone, forward and backward. On a GPU also the most memory that each takes. The
design allows the live step 1.05 times the sum of its parts, the remembered one 1.15 times the
student's. With --cheap each mentor's inference by such settings, too.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from itertools import count
from math import inf
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub

from ..arguments import positive
from ..datasets import FixedViews, find_fixed_views
from ..distiller import ClassroomDistiller
from ..members import AnyMentor
from ..mentors.cheap import CHEAP, DTYPES
from ..parts import DistillLoss
from ..runs import read_classroom
from ..structures import Lesson, Reading
from .check import Dataset, build_classroom, first_samples, training_set

EXAMPLE = """examples:
  python -m classroomkd_mm cost configs/demo/classroom.py
  python -m classroomkd_mm cost CONFIG --batch-size 8 --json
  python -m classroomkd_mm cost CONFIG --plot whole_runs.png
  python -m classroomkd_mm cost CONFIG --weights --cheap fuse --cheap fuse,dtype=bfloat16"""
LONGEST = 420  # epochs that are drawn: RTMPose's
DRAWN_VIEWS = (16, 8, 2)
# Of Okabe and Ito's colours that the colour-blind tell apart; the lines differ as well.
COLOURS = ('#D55E00', '#0072B2', '#009E73', '#CC79A7')
LINES = ('-', '--', '-.', ':')
WARM_UP = 3  # turns that are not counted: they fill caches
ANY = 1e9  # a tolerance: it is told how far outputs move, and nothing is refused

Work = Callable[[], object]
Times = Mapping[str, Sequence[float]]


def seconds(work: Work, device: str) -> float:
    """Time of one call, the device's work included."""
    if device != 'cpu':
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def steps(
    cfg: Config,
    batch_size: int,
    device: str = 'cpu',
    memory: str | None = None,
    cheap: Sequence[str] = (),
    weights: bool = False,
    amp: str | None = None,
) -> dict[str, Work]:
    """What is timed, by name.

    Args:
        cfg: A classroom's whole config.
        batch_size: How many of its training samples make the batch, always the same.
        device: Where.
        memory: A folder for the mentors' answers to it; without one no remembered step is timed.
        cheap: Settings of a mentor, 'fuse,dtype=bfloat16' for example: each mentor's inference is
            timed with each of them.
        weights: Whether mentors load theirs: no time depends on them, but how far outputs move.
        amp: All forwards run in autocast of this type, as MMEngine's ``AmpOptimWrapper`` has it.

    Raises:
        ValueError: Where it is not a classroom, there are not so many samples, or a mentor does not
            take a setting.
    """
    cfg = cfg if weights else without_weights(cfg)
    dataset = training_set(cfg, 'the measurement')
    model = _classroom(cfg, dataset, device)
    data = model.data_preprocessor(first_samples(dataset, batch_size, '--batch-size'), True)
    student = model.export()  # plain: nothing of the classroom is in what it is compared with
    work: dict[str, Work] = {'student': _training(student, data, amp)}
    for mentor in _classroom(with_cheap(cfg, {}), dataset, device).mentors:
        work[f'mentor {mentor.name}'] = _inference(mentor, data, amp)
    for settings in cheap:
        for mentor in _classroom(with_cheap(cfg, parsed(settings)), dataset, device).mentors:
            work[f'cheap {mentor.name}: {settings}'] = _answer(mentor, data, amp)
    work['classroom'] = _training(model, data, amp)
    if memory is not None and model.mentors:
        asked = _remembered(cfg, dataset, batch_size, device, memory)
        work['classroom with memory'] = _training(*asked, amp)
    if model.mentors:
        work['distillation loss'] = _loss(model, data)
    return work


def parsed(settings: str) -> dict[str, object]:
    """A mentor's settings on the command line.

    >>> parsed('fuse,dtype=bfloat16')
    {'fuse': True, 'dtype': 'bfloat16'}
    """
    pairs = [each.partition('=') for each in settings.split(',')]
    return {key: value if given else True for key, given, value in pairs}


def with_cheap(cfg: Config, settings: Mapping[str, object]) -> Config:
    """A classroom's config whose mentors all have these cheap settings, and no others.

    However far their outputs move: it is said, not refused.
    """
    cfg = copy.deepcopy(cfg)
    for mentor in cfg.model.get('mentors', []):
        for key in CHEAP & set(mentor):
            del mentor[key]
        mentor.update(settings, **(dict(tolerance=ANY) if settings else {}))
    return cfg


def without_weights(cfg: Config) -> Config:
    """A classroom's config whose mentors have random weights."""
    cfg = copy.deepcopy(cfg)
    for mentor in cfg.model.get('mentors', []):
        mentor['checkpoint'] = None
    return cfg


def _classroom(
    cfg: Config, dataset: Dataset, device: str, memory: str | None = None
) -> ClassroomDistiller:
    kept = None if memory is None else dict(dir=memory)
    model = build_classroom(cfg, memory=kept).to(device).train()
    model.prepare(dataset)
    model.task.watches = False  # always the same batch: nothing can be concluded
    return model


def _remembered(
    cfg: Config, dataset: Dataset, batch_size: int, device: str, memory: str
) -> tuple[ClassroomDistiller, Mapping[str, Any]]:
    """A classroom and a batch to which all answers are there once it has been asked."""
    inner = dataset if find_fixed_views(dataset) is None else dataset.dataset
    fixed = FixedViews(inner, views=1)
    model = _classroom(cfg, fixed, device, memory)
    return model, model.data_preprocessor(first_samples(fixed, batch_size, '--batch-size'), True)


def _loss(model: ClassroomDistiller, data: Mapping[str, Any]) -> Work:
    """The distillation loss of a lesson in which everybody teaches everything."""
    with torch.no_grad():
        student = model.task.read(model.task.forward(model, data['inputs'])[1]).parts
        mentors = model._ask(data['inputs'], data['data_samples'])[0]
    leaves = [part.detach().requires_grad_() for part in student]

    def learn() -> None:
        for i, leaf in enumerate(leaves):
            leaf.grad = None
            told = [reading.parts[i] for reading in mentors]
            everybody(model.distill_loss, leaf, told, mentors).backward()

    return learn


def everybody(
    distill_loss: DistillLoss,
    student: torch.Tensor,
    mentors: Sequence[torch.Tensor],
    readings: Sequence[Reading] = (),
) -> torch.Tensor:
    """The loss of a lesson at temperature 2 that all mentors give on all of ``(N, K, D)``."""
    one = torch.ones(len(mentors), len(student), 1, device=student.device)
    lesson = Lesson(one > 0, one, one[:1].expand(1 + len(mentors), -1, -1)).about(readings)
    labelled = torch.ones(student.shape[:2], dtype=torch.bool, device=student.device)
    target = torch.zeros(student.shape[:2], dtype=torch.long, device=student.device)
    return distill_loss(student, mentors, lesson, 2 * one, labelled, target)


def kept_for_backward(cfg: Config, mentors: int) -> int:
    """Bytes a sample that the distillation loss keeps for its backward pass, with so many mentors.

    Args:
        cfg: A classroom's whole config.
        mentors: Each gives random logits.
    """
    model = build_classroom(cfg, [])
    shape = (1, model.task.keypoints, model.task.places)
    student = torch.zeros(shape, requires_grad=True)
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        everybody(model.distill_loss, student, [torch.rand(shape) for _ in range(mentors)])
    return sum(kept)


def _autocast(data: Mapping[str, Any], amp: str | None) -> AbstractContextManager[object]:
    """Autocast where the batch is; none without a type."""
    kind = data['inputs'].device.type
    return nullcontext() if amp is None else torch.autocast(kind, getattr(torch, amp))


def _training(network: Any, data: Mapping[str, Any], amp: str | None = None) -> Work:
    """A step, forward and backward; what is done in some iterations alone is done in these."""
    turns = count()

    def train() -> None:
        MessageHub.get_current_instance().update_info('iter', next(turns))
        network.zero_grad()
        with _autocast(data, amp):
            loss, _ = network.parse_losses(network(**data, mode='loss'))
        loss.backward()

    return train


def _inference(mentor: AnyMentor, data: Mapping[str, Any], amp: str | None) -> Work:
    """Stock inference of a mentor on its view of a batch."""

    def infer() -> None:
        with torch.no_grad(), _autocast(data, amp):
            shown = mentor.shown(data['inputs'], data['data_samples'])
            mentor.network(shown, None, mode='tensor')

    return infer


def _answer(mentor: AnyMentor, data: Mapping[str, Any], amp: str | None) -> Work:
    """A mentor's answer to a batch, by its own settings."""

    def answer() -> None:
        with _autocast(data, amp):
            mentor(data['inputs'], (), data['data_samples'])

    return answer


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


def ratio(times: Times, name: str, *parts: str) -> float:
    """What a piece of work costs over the sum of others, the median of all turns.

    >>> times = {'student': [1.0, 1.0], 'mentor a': [1.0, 3.0], 'classroom': [2.1, 4.2]}
    >>> ratio(times, 'classroom', 'student', 'mentor a')
    1.05
    """
    sums = [sum(turn) for turn in zip(*(times[part] for part in parts))]
    return median(whole / total for whole, total in zip(times[name], sums))


def summary(times: Times) -> dict[str, float]:
    """The ratios that the design speaks of, by what they are."""
    parts = [name for name in times if name == 'student' or name.startswith('mentor ')]
    found = {'classroom / sum of its parts': ratio(times, 'classroom', *parts)}
    found['classroom / student'] = ratio(times, 'classroom', 'student')
    if 'classroom with memory' in times:
        found['with memory / student'] = ratio(times, 'classroom with memory', 'student')
    if 'distillation loss' in times:
        found['distillation loss / classroom'] = ratio(times, 'distillation loss', 'classroom')
    for name in times:
        if name.startswith('cheap '):
            stock = 'mentor ' + name[len('cheap ') :].rpartition(': ')[0]
            found[f'{name} / stock'] = ratio(times, name, stock)
    return found


def whole_run(live: float, kept: float, epochs: int, views: float = inf) -> float:
    """What a run costs, in runs of the student alone: each view's answers are asked for once.

    Args:
        live: A step with mentors, in the student's steps.
        kept: A step with remembered answers, likewise.
        epochs: How many.
        views: Of each sample; infinitely many where nothing is kept.

    Example:
        >>> whole_run(live=6.0, kept=1.0, epochs=100, views=8)
        1.4
    """
    asked = min(epochs, views)
    return (asked * live + (epochs - asked) * kept) / epochs


def draw_whole_runs(found: Mapping[str, float], path: str) -> None:
    """Draw what runs of so many epochs cost with so many views.

    Args:
        found: The ratios, see :func:`summary`.
        path: The picture's file; its ending says which kind.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    live, kept = found['classroom / student'], found['with memory / student']
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout='constrained')
    epochs = range(1, LONGEST + 1)
    for i, views in enumerate((inf, *DRAWN_VIEWS)):
        label = 'mentors asked every time' if views == inf else f'{views:g} views, remembered'
        costs = [whole_run(live, kept, each, views) for each in epochs]
        axes.plot(epochs, costs, label=label, color=COLOURS[i], linestyle=LINES[i])
    axes.axhline(1, color='black', linewidth=0.8, label='student alone')
    axes.set(xscale='log', ylim=(0, None), xlabel='epochs', ylabel='runs of the student alone')
    axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def peaks(work: Mapping[str, Work]) -> dict[str, int]:
    """Bytes of GPU memory that each piece of work takes at most, beside what is there already."""
    found = {}
    for name, call in work.items():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        found[name] = torch.cuda.max_memory_allocated() - before
    return found


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm cost',
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help='a classroom config; its data set must exist')
    parser.add_argument('--batch-size', type=positive, default=16)
    parser.add_argument('--rounds', type=positive, default=30, help='turns (default 30)')
    parser.add_argument('--device', default='cpu', help="default cpu; 'cuda' tells memory, too")
    parser.add_argument(
        '--amp', choices=DTYPES, help='all forwards in autocast of this type, as with train --amp'
    )
    parser.add_argument('--mentors', type=positive, metavar='N', help='the first N alone')
    parser.add_argument(
        '--cheap',
        action='append',
        default=[],
        metavar='SETTINGS',
        help='time the mentors with such settings as well: fuse,channels_last or dtype=bfloat16;\n'
        'may be given several times',
    )
    parser.add_argument(
        '--weights', action='store_true', help="load the mentors' weights, for what --cheap moves"
    )
    parser.add_argument('--plot', metavar='FILE', help='draw what whole runs cost, by their views')
    parser.add_argument('--json', action='store_true', help='all turns, for a program to read')
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print."""
    args = parse_args(argv)
    # Logs are no part of what is measured: a program reads standard output.
    with tempfile.TemporaryDirectory() as memory, redirect_stdout(sys.stderr):
        cfg = read_classroom(args.config)
        cfg.model.mentors = cfg.model.get('mentors', [])[: args.mentors]
        setting = (args.batch_size, args.device, memory, args.cheap, args.weights, args.amp)
        work = steps(cfg, *setting)
        times = measure(work, args.rounds, args.device)
        bytes_ = {} if args.device == 'cpu' else peaks(work)
    if args.plot:
        draw_whole_runs(summary(times), args.plot)
    if args.json:
        print(json.dumps(dict(seconds=times, ratios=summary(times), peak_bytes=bytes_)))
        return 0
    width = max(22, *map(len, times))
    for name, values in times.items():
        peak = f'{bytes_[name] / 1e6:10.1f} MB' if name in bytes_ else ''
        print(f'{name:{width}s} {1000 * median(values):8.2f} ms{peak}')
    for name, value in summary(times).items():
        print(f'{name}: {value:.3f} (median of {args.rounds} turns)')
    one, all_of_them = (kept_for_backward(cfg, n) for n in (1, len(cfg.model.mentors)))
    print(f'bytes a sample kept for backward: {all_of_them}, with one mentor {one}')
    return 0
