"""A run that is told to stop writes a checkpoint first."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional, Union

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner, find_latest_checkpoint
from torch.utils.data import DataLoader

from ..registry import HOOKS
from ..runs.ranks import Agreement
from ..runs.resume import STOPPED, skip_batches, waits_for_update
from ..runs.seeds import random_state
from ..runs.whole_files import point_to, whole_checkpoints
from ..runs.workers import reseed_workers, spare_workers

FILE = f'{STOPPED}.pth'
SIGNALS = (signal.SIGTERM, signal.SIGINT)
Handler = Union[Callable[[int, Optional[FrameType]], Any], int, signal.Handlers, None]


@HOOKS.register_module()
class StopHook(Hook):
    """Ends a run that gets SIGTERM or Ctrl-C after the iteration, with a checkpoint to resume from.

    It is ``stopped.pth`` in the work dir, from which ``--resume`` goes on: by epochs in the midst
    of the epoch, whose first batches are loaded once more and passed over. The exit code is
    ``128 + signal``, as of a program that the signal ended. Validation is finished first, and so is
    what the data workers have begun, who often get the same signal.

    Of several ranks it is enough that one is told: all end after the same iteration, the next one
    or, with ``accumulative_counts``, the next update. There launchers repeat the signal, so
    repetitions are passed over; of one process a second signal ends it at once.

    A signal that the process was started to ignore (``nohup``, a shell's background) stays
    ignored.
    """

    priority = 'LOWEST'  # when all others have done their part of the iteration

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Handler] = {}
        self._told = 0
        self._agreed = 0
        self._ranks = Agreement()
        self._place: dict[str, Any] | None = None
        self._left: dict[str, Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Listen from here on: until now there was nothing to lose."""
        if isinstance(runner.train_dataloader, DataLoader):
            reseed_workers(runner.train_dataloader)
        if threading.current_thread() is not threading.main_thread():
            return
        for each in SIGNALS:
            if signal.getsignal(each) not in (signal.SIG_IGN, None):
                self._before[each] = signal.signal(each, self._listen)
        for loop in (runner.train_loop, runner.val_loop):
            loader = getattr(loop, 'dataloader', None)  # a loop of the user's may have none
            if isinstance(loader, DataLoader):
                spare_workers(loader, SIGNALS)

    def _listen(self, number: int, frame: FrameType | None) -> None:
        self._told = number
        if self._ranks.alone:
            for each in self._before:
                signal.signal(each, signal.SIG_DFL)

    def leave(self) -> None:
        """Let signals do what they did before."""
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Pass over what the epoch had already, in a run that goes on within one."""
        if self._left is not None:
            skip_batches(runner, **self._left)
        self._left = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Stop here, if that was asked."""
        self._agreed = self._agreed or self._ranks.largest(self._told)
        if self._agreed and (self._ranks.alone or not waits_for_update(runner)):
            self._stop(runner, signal.Signals(self._agreed))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep where in its epoch the run stops."""
        if self._place is not None:
            checkpoint[STOPPED] = self._place

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take where a run stopped within an epoch."""
        if runner._resume:
            self._left = checkpoint.get(STOPPED)

    def after_train(self, runner: Runner) -> None:
        """Remove what the run left when it stopped, once it has a later checkpoint."""
        left = Path(runner.work_dir, FILE)
        if is_main_process() and left.is_file():
            last = find_latest_checkpoint(runner.work_dir)
            if last and Path(last).name != FILE:
                left.unlink()

    def _stop(self, runner: Runner, told: signal.Signals) -> None:
        done = runner.iter + 1
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            batches = done - runner.epoch * len(runner.train_dataloader)
            self._place = dict(batches=batches, random=self._ranks.of_all(random_state()))
        meta = dict(epoch=runner.epoch, iter=done)
        runner.save_checkpoint(runner.work_dir, FILE, meta=meta, by_epoch=False)
        point_to(runner, str(Path(runner.work_dir) / FILE))
        self._ranks.of_all(None)  # a launcher ends the others as soon as one has left
        runner.logger.warning(
            f'{told.name}: the run stops after iteration {done}; --resume goes on from {FILE}'
        )
        runner.visualizer.close()
        raise SystemExit(128 + told)


def train(runner: Runner) -> None:
    """Train; SIGTERM and Ctrl-C end the run with a checkpoint, see :class:`StopHook`.

    Checkpoints are written whole, see :func:`~classroomkd_mm.runs.whole_checkpoints`.

    Raises:
        SystemExit: Where a signal ended it, ``128 + signal``.
    """
    whole_checkpoints(runner)
    hook = StopHook()
    runner.register_hook(hook)
    try:
        runner.train()
    finally:
        hook.leave()
