"""Who taught how much: one line per epoch in the log and in ``classroom.jsonl``."""

import json
from itertools import count
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..datasets import FixedViews
from ..distiller import ClassroomDistiller
from ..kinds import Closed
from ..mentors.memory import plan
from ..record import LessonRecord, warnings_of
from ..registry import HOOKS
from ..runs import (
    STUDENT_FILE,
    Setup,
    cut_later_crops,
    dropped_hooks,
    is_classroom,
    other_mentors,
    other_settings,
    same_random_state,
    seed_epoch,
    setup_of,
    short_lines,
    student_config,
    take_what_fits,
    trains_from_load_from,
    whole_checkpoints,
)
from ..runs.compiled import compile_student
from ..runs.faults import refuse_no_batches
from ..runs.resume import STOPPED, on_cpu, pending_gradients, put_back_gradients
from ..runs.seeds import interval_of, seed_iteration
from ..runs.views import (
    refuse_other_recipes,
    reseed_sampler,
    sampler_of,
    take_views,
)
from ..runs.whole_files import whole_file
from ..runs.workers import reseed_workers

FILE = 'classroom.jsonl'
KEPT = 'classroom'  # in a checkpoint, beside the student


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


def _names(model: ClassroomDistiller) -> list[str]:
    return [mentor.name for mentor in model.mentors]


@HOOKS.register_module()
class ClassroomHook(Closed, Hook):
    """Summarises each epoch's lessons; of training by iterations, each ``val_interval``'s.

    The scalars of each iteration are logged by MMEngine itself (``train/classroom/*``). This hook
    adds the epoch's means: a log line, ``classroom_epoch/*`` scalars for the visualisation
    backends, and a JSON line in ``classroom.jsonl`` in the work dir. Before training it writes
    ``student.py`` there, the config of the student alone, for the stock library. It also shows the
    distiller the training data, seeds each epoch by itself, and warns once of each mentor whose
    output is not finite. ``tools/train.py`` adds it where a config does not list it.

    Where the training data are :class:`FixedViews` it makes the sampler draw views, and seeds each
    iteration. Its part of a checkpoint is what a resume to the same bits needs and MMEngine
    forgets: gradients that wait for others, an unfinished summary, the sampler's seed, how well
    everybody has done so far; and what
    mentors and settings the run has, which a resume with others is warned of. Of a ``load_from``
    file a training takes what fits (:func:`~classroomkd_mm.runs.take_what_fits`).
    """

    priority = 'ABOVE_NORMAL'  # it completes a checkpoint before EMAHook takes averages from it

    def __init__(self) -> None:
        self._total: Optional[LessonRecord] = None
        self._warned: set[object] = set()
        self._fixed = False
        self._kept: dict[str, Any] = {}
        self._setup: Optional[Setup] = None

    def before_run(self, runner: Runner) -> None:
        """Compile the student where the config asks for it."""
        compile_student(runner, distiller_of(runner, type(self).__name__))

    def before_train(self, runner: Runner) -> None:
        """Look at the data before the first iteration; forget lines that a resumed run rewrites.

        Raises:
            ValueError: Where the data set lacks what the scorer needs, or the run's config has the
                name of the file that this hook writes.
        """
        model = distiller_of(runner, type(self).__name__)
        whole_checkpoints(runner)
        short_lines(runner)
        refuse_no_batches(runner.train_dataloader)
        if Path(runner.cfg.filename or '').name == STUDENT_FILE:
            raise ValueError(
                f'the config is called {STUDENT_FILE}, as the config of the student alone that '
                'ClassroomHook writes into the work dir: give it another name'
            )
        if model.memories:
            refuse_other_recipes(runner.hooks)
        with same_random_state():
            model.prepare(runner.train_dataloader.dataset)
            cut_later_crops(runner, model)
            model.try_mentors(runner.train_dataloader.dataset)
        fixed = take_views(runner)
        self._fixed = fixed is not None
        if fixed is not None:
            self._say_plan(runner, model, fixed)
            reseed_sampler(runner, self._kept.pop('sampler_seed', None))
        reseed_workers(runner.train_dataloader)
        put_back_gradients(runner, self._kept.pop('gradients', {}))
        self._put_back_standing(model)
        if not runner.iter:
            self._keep_aside(runner, Path(runner.work_dir) / FILE)
        elif self._truncate(Path(runner.work_dir) / FILE, runner.iter):
            self._kept.pop('total', None)  # the run had ended, and told its unfinished sum
        self._compare_setup(runner, model)
        self._write_student(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take what was kept for a resume, until training begins; of ``load_from`` what fits.

        Raises:
            RuntimeError: Where less than half of the backbone's parameters fit.
        """
        if runner._resume:  # of load_from the weights alone are wanted
            self._kept = checkpoint.get(KEPT, {})
            if interval_of(runner) is None and STOPPED not in checkpoint:
                self._kept.pop('total', None)  # MMEngine begins the epoch anew
        elif trains_from_load_from(runner):
            model = distiller_of(runner, type(self).__name__)
            take_what_fits(model, checkpoint, runner._load_from)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep what a resume needs, or compares, beside the student."""
        kept: dict[str, Any] = {} if self._setup is None else dict(setup=self._setup)
        gradients = pending_gradients(runner)
        if gradients:
            kept.update(gradients=gradients)
        # Of several ranks only the first's sum is here.
        if self._total is not None and get_world_size() == 1:
            kept.update(total=on_cpu(vars(self._total)))
        if self._fixed:
            kept.update(sampler_seed=getattr(sampler_of(runner.train_dataloader), 'seed', None))
        model = distiller_of(runner, type(self).__name__)
        if model.standing.sums is not None:
            kept.update(standing=(_names(model), model.standing.sums.cpu()))
        if kept:
            checkpoint[KEPT] = kept

    def _put_back_standing(self, model: ClassroomDistiller) -> None:
        names, sums = self._kept.pop('standing', (None, None))
        model.standing.sums = sums if names == _names(model) else None  # others begin anew

    def before_train_epoch(self, runner: Runner) -> None:
        """Start a new sum, or go on with a resumed run's, and the epoch's own random numbers."""
        total = self._kept.pop('total', None)
        self._total = None if total is None else LessonRecord(**total)
        seed_epoch(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Start the iteration's own random numbers, where all else is fixed."""
        if self._fixed:
            seed_iteration(runner)

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
        self._warn(runner, line)
        self._write(runner, line, done if interval_of(runner) else line['epoch'])

    def _warn_of_muted(self, runner: Runner, mentors: dict[str, dict[str, Any]]) -> None:
        for name, record in mentors.items():
            if record['muted_batches'] and name not in self._warned:
                self._warned.add(name)
                runner.logger.warning(
                    f'mentor {name!r} gave NaN or infinite outputs for samples of '
                    f'{record["muted_batches"]:.0f} batches of this epoch, and was muted for those'
                )

    def _warn(self, runner: Runner, line: dict[str, Any]) -> None:
        """Say once what this epoch's lessons ask to be changed."""
        for about, words in warnings_of(line).items():
            if ('lessons', about) not in self._warned:
                self._warned.add(('lessons', about))
                runner.logger.warning(f'in epoch {line["epoch"]} {words}')

    @master_only
    def _write(self, runner: Runner, line: dict[str, Any], step: int) -> None:
        with (Path(runner.work_dir) / FILE).open('a') as file:
            file.write(json.dumps(line) + '\n')
        taught = ' | '.join(
            f'{name} {m["active"]:.1%} (weight {m["weight"]:.2f}, tau {m["temperature"]:.2f})'
            for name, m in line['mentors'].items()
        )
        blanks = line.get('unlabelled')
        told = f' | {blanks} samples had no label' if blanks else ''
        runner.logger.info(f'Lessons taught: {taught or "no mentors"}{told}')
        scalars = {
            f'classroom_epoch/{name}/{key}': value
            for name, mentor in line['mentors'].items()
            for key, value in mentor.items()
        }
        if blanks:
            scalars['classroom_epoch/unlabelled'] = blanks
        if scalars:
            runner.visualizer.add_scalars(scalars, step=step)

    @master_only
    def _compare_setup(self, runner: Runner, model: ClassroomDistiller) -> None:
        """Warn of mentors and settings that the resumed run did not have, and of lost hooks."""
        self._setup = setup_of(model, runner.cfg)
        before = self._kept.pop('setup', None)
        if before is not None:
            whom, what = other_mentors(before, self._setup), other_settings(before, self._setup)
            begin = 'the run goes on with other {} than those of the checkpoint: {}'
            for kind, found in (('mentors', whom), ('settings', what)):
                if found:
                    runner.logger.warning(begin.format(kind, '; '.join(found)))
        lost = dropped_hooks(runner.cfg)
        if lost:
            runner.logger.warning(
                f"the config's custom_hooks replace those of its base, which also has "
                f'{", ".join(lost)}: leave custom_hooks out, or write '
                'custom_hooks = [*_base_.custom_hooks, ...], where they should run'
            )

    @master_only
    def _say_plan(self, runner: Runner, model: ClassroomDistiller, fixed: FixedViews) -> None:
        """Say what a memory holds, takes and saves."""
        if model.memories:
            epochs = None if interval_of(runner) else runner.max_epochs
            planned = plan(model.memories, len(fixed), fixed.views or 1, epochs)
            runner.logger.info(f'memory: {planned}')

    @master_only
    def _keep_aside(self, runner: Runner, path: Path) -> None:
        """Leave the lines of an earlier run, which this one does not resume, under another name."""
        if not path.is_file() or not path.stat().st_size:
            return
        names = (path.with_name(f'{path.stem}.{number}{path.suffix}') for number in count(1))
        aside = next(name for name in names if not name.exists())
        path.rename(aside)
        runner.logger.warning(
            f'{path} holds the lines of an earlier run, which this one does not resume: they are '
            f'kept in {aside.name}'
        )

    @master_only
    def _write_student(self, runner: Runner) -> None:
        if is_classroom(runner.cfg.get('model', {})):
            student_config(runner.cfg).dump(str(Path(runner.work_dir) / STUDENT_FILE))

    @master_only
    def _truncate(self, path: Path, done: int) -> bool:
        """Forget what was told later; whether something was told just then."""
        if not path.is_file():
            return False
        lines = path.read_text().splitlines(keepends=True)
        # A line without its end was cut off by the kill.
        whole = [line for line in lines if line.endswith('\n')]
        told = [_iteration(path, number, line) for number, line in enumerate(whole, 1)]
        kept = [line for line, iteration in zip(whole, told) if iteration <= done]
        if kept != lines:
            with whole_file(path) as part:
                part.write_text(''.join(kept))
        return done in told


def _iteration(path: Path, number: int, line: str) -> int:
    """After how many iterations a line was told."""
    try:
        return int(json.loads(line)['iter'])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}, line {number} is none of ClassroomHook: {line[:80]!r}: mend it, or move the '
            'file away'
        ) from error
