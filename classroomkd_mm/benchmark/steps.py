"""How long runs take and what memory they need, from one training step of each.

The step is measured, or only its operations are counted, which takes a few samples of the batch.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from ..analysis.cost import seconds
from ..runs import is_classroom
from .standin import StandIn, stand_in

WARM_UP, TURNS = 1, 3
COUNTED = (2, 4)  # samples in the steps whose operations are counted
LAUNCH = 8e-6  # seconds that a GPU's host needs for an operation, however small it is


@dataclass(frozen=True)
class Step:
    """A measured training step: forward, backward and the weights' change, of one batch.

    Attributes:
        seconds: Of a batch of the config's own size; None where operations were only counted.
        memory: Bytes at most: of the GPU, or of the whole process on a CPU; None likewise, and
            where a part of a batch was measured.
        flops: Floating point operations, of the same batch.
        operations: How many tensor operations were called, which on a GPU are launches.
        device: That it was measured on.
    """

    seconds: float | None
    memory: int | None
    flops: float
    operations: int
    device: str

    def on(self, tflops: float) -> float:
        """Seconds on a GPU that keeps up so many TFLOP/s, or as long as its launches take."""
        return max(self.flops / tflops / 1e12, self.operations * LAUNCH)


class _Counted(TorchDispatchMode):
    """Counts tensor operations."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> object:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def measured(cfg: Config, by: StandIn, device: str, batch: int | None = None) -> Step:
    """Measure a run's training step on stand-in data, its weights at random.

    Args:
        cfg: Its whole config.
        by: The stand-in data, drawn.
        device: Where.
        batch: How many samples are in the measured step, the config's own number by default; time
            and operations are then taken to be in proportion, and memory is not known.
    """
    whole = int(cfg.train_dataloader.batch_size)
    count = batch or whole
    dataset, model = _data_and_model(stand_in(cfg, by), device)
    step = _step(dataset, model, count, lambda: _precision(cfg, device))
    for _ in range(WARM_UP):
        step()
    flops, calls = _operations(step)
    _forget_peak(device)
    times = [seconds(step, device) for _ in range(TURNS)]
    share = whole / count
    name = torch.cuda.get_device_name() if device != 'cpu' else 'cpu'
    memory = _peak(device) if count == whole else None
    return Step(median(times) * share, memory, flops * share, calls, name)


def counted(cfg: Config, by: StandIn) -> Step:
    """Count the operations of a run's training step; nothing is timed.

    Steps of two and of four samples are counted on the CPU: what their difference is, each sample
    more adds. A batch of the config's own size can take minutes there.

    Args:
        cfg: Its whole config.
        by: The stand-in data, drawn.
    """
    dataset, model = _data_and_model(stand_in(cfg, by), 'cpu')
    _step(dataset, model, COUNTED[0])()  # what the first alone does is not of a step
    (few, few_calls), (more, more_calls) = (
        _operations(_step(dataset, model, count)) for count in COUNTED
    )
    left = (int(cfg.train_dataloader.batch_size) - COUNTED[0]) / (COUNTED[1] - COUNTED[0])
    calls = few_calls + left * (more_calls - few_calls)
    return Step(None, None, few + left * (more - few), round(calls), 'cpu')


def _precision(cfg: Config, device: str) -> AbstractContextManager[Any]:
    """That of the run's forward pass: mixed precision is its optimiser's wrapper."""
    wrapper = cfg.optim_wrapper
    if 'Amp' not in str(wrapper.get('type')):
        return nullcontext()
    usual = 'bfloat16' if device == 'cpu' else 'float16'
    return torch.autocast(torch.device(device).type, getattr(torch, wrapper.get('dtype') or usual))


def _step(
    dataset: Any,
    model: Any,
    count: int,
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Callable[[], None]:
    """A training step of so many samples."""
    data = pseudo_collate([dataset[i % len(dataset)] for i in range(count)])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        batch = model.data_preprocessor(data, True)
        with precision():
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
        loss.backward()
        optimizer.step()

    return step


def _operations(step: Callable[[], None]) -> tuple[int, int]:
    """How many floating point operations a step has, and how many calls of tensor operations."""
    with FlopCounterMode(display=False) as flops, _Counted() as counts:
        step()
    return flops.get_total_flops(), counts.calls


def _data_and_model(cfg: Config, device: str) -> tuple[Any, Any]:
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        settings = cfg.model.to_dict()
        for mentor in settings.get('mentors', []):
            mentor['checkpoint'] = None
        if 'data_preprocessor' in cfg:
            settings.setdefault('data_preprocessor', cfg.data_preprocessor.to_dict())
        model = MODELS.build({**settings, 'memory': None} if is_classroom(settings) else settings)
    model = model.to(device).train()
    if is_classroom(settings):
        model.prepare(dataset)
    return dataset, model


def _forget_peak(device: str) -> None:
    if device != 'cpu':
        torch.cuda.reset_peak_memory_stats()
    elif Path('/proc/self/clear_refs').is_file():
        Path('/proc/self/clear_refs').write_text('5')  # Linux: the peak begins anew


def _peak(device: str) -> int:
    if device != 'cpu':
        return torch.cuda.max_memory_allocated()
    status = Path('/proc/self/status')
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if 'VmHWM' in line)
        return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Steps:
    """Measured steps, kept in a file, so that all benchmarks of a machine share them.

    Args:
        path: The file.
        device: That the steps are of.
    """

    def __init__(self, path: Path, device: str) -> None:
        self.path, self.device = path, device
        self._kept = json.loads(path.read_text()) if path.is_file() else {}

    def find(self, cfg: Config) -> Step | None:
        """The step of a run's config, if it was measured."""
        said = self._kept.get(self._key(cfg))
        return None if said is None else Step(**said)

    def add(self, cfg: Config, step: Step) -> None:
        """Keep a step."""
        self._kept[self._key(cfg)] = asdict(step)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self._kept, indent=1))

    def _key(self, cfg: Config) -> str:
        """The same for all runs whose step costs the same: settings that are numbers may differ."""
        model = cfg.model.to_dict()
        mentors = [_network(mentor) for mentor in model.pop('mentors', [])]
        parts = {key: model.pop(key, {}).get('type') for key in ('distill_loss', 'mentoring')}
        kept = dict(
            model=_network(model.get('student', model)),
            mentors=mentors,
            parts=parts,
            batch=cfg.train_dataloader.batch_size,
            pipelines=list(_pipelines(cfg.train_dataloader.dataset.to_dict())),
            device=self.device,
            optimiser=cfg.optim_wrapper.get('type'),  # mixed precision is its
        )
        return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[
            :16
        ]


def _pipelines(said: object) -> Iterator[object]:
    """Those of a data set and of the ones in it: they say how large a sample is."""
    if isinstance(said, Mapping):
        yield from [said['pipeline']] if 'pipeline' in said else []
        for key, each in said.items():
            yield from _pipelines(each) if key != 'pipeline' else []
    elif isinstance(said, (list, tuple)):
        for each in said:
            yield from _pipelines(each)


def _network(said: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in said.items() if k not in ('name', 'checkpoint', 'init_cfg', 'folder')}


def iterations(cfg: Config, samples: int, processes: int = 1) -> int:
    """How many steps a run takes, so many processes together and its training set so large."""
    per_epoch = -(-samples // (int(cfg.train_dataloader.batch_size) * processes))
    return per_epoch * int(cfg.train_cfg.max_epochs)


def makespan(jobs: Mapping[str, tuple[float, Sequence[str]]], workers: int) -> float:
    """How long so many workers take, each taking the next that is ready.

    Args:
        jobs: Seconds and what it waits for, by name, each after those that it waits for.
        workers: How many.

    >>> makespan({'mentor': (2, []), 'a': (3, ['mentor']), 'b': (1, [])}, workers=2)
    5
    """
    clock: float = 0
    ended: dict[str, float] = {}
    left = dict(jobs)
    running: list[tuple[float, str]] = []
    while left or running:
        ready = [name for name, (_, needs) in left.items() if all(n in ended for n in needs)]
        for name in ready[: workers - len(running)]:
            heapq.heappush(running, (clock + left.pop(name)[0], name))
        clock, name = heapq.heappop(running)
        ended[name] = clock
    return clock


def told(time_: float | None) -> str:
    """Seconds as a reader takes them in.

    >>> told(90), told(7200)
    ('1.5 min', '2.0 h')
    """
    if time_ is None:
        return 'not measured'
    return f'{time_ / 3600:.1f} h' if time_ >= 3600 else f'{time_ / 60:.1f} min'
