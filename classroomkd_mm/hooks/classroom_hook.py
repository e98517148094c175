"""Who taught how much: one line per epoch in the log and in ``classroom.jsonl``."""

import json
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..distiller import ClassroomDistiller
from ..record import LessonRecord
from ..registry import HOOKS
from ..runs import STUDENT_FILE, is_classroom, same_random_state, seed_epoch, student_config
from ..runs.seeds import interval_of

FILE = 'classroom.jsonl'


def distiller_of(runner: Runner, hook: str) -> ClassroomDistiller:
    """The run's distiller, unwrapped.

    Raises:
        TypeError: Where the run's model has no mentors.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not isinstance(model, ClassroomDistiller):
        raise TypeError(
            f'custom_hooks has {hook}, but model is a {type(model).__name__} without '
            'mentors: use it with a ClassroomDistiller'
        )
    return model


@HOOKS.register_module()
class ClassroomHook(Hook):
    """Summarises each epoch's lessons; of training by iterations, each ``val_interval``'s.

    The scalars of each iteration are logged by MMEngine itself (``train/classroom/*``). This hook
    adds the epoch's means: a log line, ``classroom_epoch/*`` scalars for the visualisation
    backends, and a JSON line in ``classroom.jsonl`` in the work dir. Before training it writes
    ``student.py`` there, the config of the student alone. It also shows the distiller
    the training data, seeds each epoch by itself, and warns once of each mentor whose
    output is not finite. ``tools/train.py`` adds it where a config does not list it.
    """

    priority = 'NORMAL'

    def __init__(self) -> None:
        self._total: Optional[LessonRecord] = None
        self._warned: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Look at the data before the first iteration; forget lines that a resumed run rewrites.

        Raises:
            ValueError: Where the data set lacks what the scorer needs, or the run's config has the
                name of the file that this hook writes.
        """
        model = distiller_of(runner, type(self).__name__)
        if Path(runner.cfg.filename or '').name == STUDENT_FILE:
            raise ValueError(
                f'the config is called {STUDENT_FILE}, as the config of the student alone that '
                'ClassroomHook writes into the work dir: give it another name'
            )
        with same_random_state():
            model.prepare(runner.train_dataloader.dataset)
        self._truncate(Path(runner.work_dir) / FILE, runner.iter)
        self._write_student(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start a new sum, and the epoch's own random numbers."""
        self._total = None
        seed_epoch(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Optional[dict[str, Any]] = None,
    ) -> None:
        """Add the iteration's record, on the device and without waiting for it."""
        record = distiller_of(runner, type(self).__name__).record
        if record is not None:
            record = record.with_losses(outputs or {}).double()
            self._total = record if self._total is None else self._total + record
        interval = interval_of(runner)
        if interval is not None and (runner.iter + 1) % interval == 0:
            self._report(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write the epoch's summary, or that of the iterations that are left."""
        self._report(runner, runner.iter)

    def _report(self, runner: Runner, done: int) -> None:
        if self._total is None:
            return
        total = self._total.reduced()
        iterations = round(self._total.batches.item())
        line = dict(epoch=runner.epoch + 1, iter=done, iterations=iterations, **total.line())
        self._total = None
        self._warn_of_muted(runner, line['mentors'])
        self._write(runner, line, done if interval_of(runner) else line['epoch'])

    def _warn_of_muted(self, runner: Runner, mentors: dict[str, dict[str, Any]]) -> None:
        for name, record in mentors.items():
            if record['muted_batches'] and name not in self._warned:
                self._warned.add(name)
                runner.logger.warning(
                    f'mentor {name!r} gave NaN or infinite outputs and was muted for '
                    f'{record["muted_batches"]:.0f} batches of this epoch'
                )

    @master_only
    def _write(self, runner: Runner, line: dict[str, Any], step: int) -> None:
        with (Path(runner.work_dir) / FILE).open('a') as file:
            file.write(json.dumps(line) + '\n')
        taught = ' | '.join(
            f'{name} {m["active"]:.1%} (tau {m["temperature"]:.2f})'
            for name, m in line['mentors'].items()
        )
        runner.logger.info(f'Lessons taught: {taught or "no mentors"}')
        scalars = {
            f'classroom_epoch/{name}/{key}': value
            for name, mentor in line['mentors'].items()
            for key, value in mentor.items()
        }
        if scalars:
            runner.visualizer.add_scalars(scalars, step=step)

    @master_only
    def _write_student(self, runner: Runner) -> None:
        if is_classroom(runner.cfg.get('model', {})):
            student_config(runner.cfg).dump(str(Path(runner.work_dir) / STUDENT_FILE))

    @master_only
    def _truncate(self, path: Path, done: int) -> None:
        if path.is_file():
            lines = path.read_text().splitlines(keepends=True)
            # A line without its end was cut off by the kill.
            whole = [line for line in lines if line.endswith('\n')]
            path.write_text(''.join(ln for ln in whole if json.loads(ln)['iter'] <= done))
