"""Who taught how much: one line per epoch in the log and in ``classroom.jsonl``."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dist import all_reduce, master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner, set_random_seed
from torch import Tensor

from ..registry import HOOKS
from ..student import student_config, type_name

FILE = 'classroom.jsonl'
STUDENT = 'student.py'


def distiller_of(runner: Runner, hook: str) -> Any:
    """The run's distiller, unwrapped.

    Raises:
        TypeError: Where the run's model has no mentors.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not hasattr(model, 'mentors'):
        raise TypeError(
            f'custom_hooks has {hook}, but model is a {type(model).__name__} without '
            'mentors: use it with a ClassroomDistiller'
        )
    return model


def interval_of(runner: Runner) -> Optional[int]:
    """Iterations between reports where a run trains by iterations, None where by epochs."""
    loop = runner.train_loop
    return loop.val_interval if isinstance(loop, IterBasedTrainLoop) else None


@contextmanager
def same_random_state() -> Iterator[None]:
    """Training is bit-identical with and without what is looked at before it."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        yield
    random.setstate(python)
    np.random.set_state(numpy)


@HOOKS.register_module()
class ClassroomHook(Hook):
    """Summarises each epoch's lessons; of training by iterations, each ``val_interval``'s.

    The scalars of each iteration are logged by MMEngine itself (``train/classroom/*``). This hook
    adds the epoch's means: a log line, ``classroom_epoch/*`` scalars for the visualisation
    backends, and a JSON line in ``classroom.jsonl`` in the work dir. Before training it writes
    ``student.py`` there, the config of the student alone. It also gives the distiller
    the training set's metainfo, seeds each epoch by itself, and warns once of each mentor whose
    output is not finite.
    """

    priority = 'NORMAL'

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        self._warned: set = set()

    def before_train(self, runner: Runner) -> None:
        """Look at the data before the first iteration; forget lines that a resumed run rewrites.

        Raises:
            ValueError: Where the data set lacks what the scorer needs, or the run's config has the
                name of the file that this hook writes.
        """
        model = distiller_of(runner, type(self).__name__)
        if Path(runner.cfg.filename or '').name == STUDENT:
            raise ValueError(
                f'the config is called {STUDENT}, as the config of the student alone that '
                'ClassroomHook writes into the work dir: give it another name'
            )
        with same_random_state():
            model.task.check_data(model.scorer, runner.train_dataloader.dataset)
        self._truncate(Path(runner.work_dir) / FILE, runner.iter)
        self._write_student(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start a new sum, and the epoch's own random numbers.

        MMEngine saves no random state: without this a resumed run would draw other augmentations
        and dropout than one that was not interrupted. (Workers that start anew with each epoch are
        seeded alike each time, by MMEngine.)
        """
        self._sums, self._count = {}, 0
        per_rank = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)
        start = runner.epoch if interval_of(runner) is None else runner.iter
        set_random_seed(runner.seed + start, diff_rank_seed=per_rank)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Add the iteration's statistics, on the device and without waiting for it."""
        values = {k: torch.as_tensor(v).detach().double() for k, v in (outputs or {}).items()}
        for key in [k for k in values if k.endswith('/temperature')]:
            # An epoch's mean temperature is one over lessons taught, not over batches.
            values[key] = values[key] * values[key.removesuffix('temperature') + 'active']
        for key, value in values.items():
            self._sums[key] = self._sums.get(key, 0) + value
        self._count += 1
        interval = interval_of(runner)
        if interval is not None and (runner.iter + 1) % interval == 0:
            self._report(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write the epoch's summary, or that of the iterations that are left."""
        if self._count:
            self._report(runner, runner.iter)

    def _report(self, runner: Runner, done: int) -> None:
        names = [mentor.name for mentor in distiller_of(runner, type(self).__name__).mentors]
        record = dict(epoch=runner.epoch + 1, iter=done, iterations=self._count)
        record.update(summarise(self._reduced(), names))
        self._sums, self._count = {}, 0
        self._warn_of_muted(runner, record['mentors'])
        self._write(runner, record, done if interval_of(runner) else record['epoch'])

    def _reduced(self) -> dict[str, float]:
        keys = list(self._sums)
        if not keys:
            return {}
        device = self._sums[keys[0]].device
        total = torch.stack(
            [self._sums[k].to(device) for k in keys]
            + [torch.tensor(self._count, device=device, dtype=torch.double)]
        )
        all_reduce(total)
        *sums, count = total.tolist()
        means = {key: value / count for key, value in zip(keys, sums)}
        means.update({k: v * count for k, v in means.items() if k.endswith('/muted')})
        return means

    def _warn_of_muted(self, runner: Runner, mentors: dict[str, dict]) -> None:
        for name, record in mentors.items():
            if record['muted_batches'] and name not in self._warned:
                self._warned.add(name)
                runner.logger.warning(
                    f'mentor {name!r} gave NaN or infinite outputs and was muted for '
                    f'{record["muted_batches"]:.0f} batches of this epoch'
                )

    @master_only
    def _write(self, runner: Runner, record: dict, step: int) -> None:
        with (Path(runner.work_dir) / FILE).open('a') as file:
            file.write(json.dumps(record) + '\n')
        taught = ' | '.join(
            f'{name} {m["active"]:.1%} (tau {m["temperature"]:.2f})'
            for name, m in record['mentors'].items()
        )
        runner.logger.info(f'Lessons taught: {taught or "no mentors"}')
        scalars = {
            f'classroom_epoch/{name}/{key}': value
            for name, mentor in record['mentors'].items()
            for key, value in mentor.items()
        }
        if scalars:
            runner.visualizer.add_scalars(scalars, step=step)

    @master_only
    def _write_student(self, runner: Runner) -> None:
        if type_name(runner.cfg.get('model', {})) == 'ClassroomDistiller':
            student_config(runner.cfg).dump(str(Path(runner.work_dir) / STUDENT))

    @master_only
    def _truncate(self, path: Path, done: int) -> None:
        if path.is_file():
            lines = path.read_text().splitlines(keepends=True)
            # A line without its end was cut off by the kill.
            whole = [line for line in lines if line.endswith('\n')]
            path.write_text(''.join(ln for ln in whole if json.loads(ln)['iter'] <= done))


def summarise(means: dict[str, float], names: list[str]) -> dict:
    """An epoch's record from its mean statistics.

    Args:
        means: By the distiller's names; temperatures as mean of temperature times active share,
            muted as a count.
        names: The mentors'.
    """

    def mentor(name: str) -> dict:
        get = {
            key: means.get(f'classroom/{name}/{key}', 0.0)
            for key in ('active', 'score', 'rank', 'temperature', 'muted')
        }
        taught = get['active']
        return dict(
            active=taught,
            score=get['score'],
            rank=get['rank'],
            temperature=get['temperature'] / taught if taught else 1.0,
            muted_batches=round(get['muted']),
        )

    losses = {key: value for key, value in means.items() if 'loss' in key}
    return dict(
        student_score=means.get('classroom/student_score', 0.0),
        losses=losses,
        mentors={name: mentor(name) for name in names},
    )
