"""One run: trained as a user would train it, evaluated, its figure kept, never done twice."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Union

from mmengine.config import Config

from ..runs.whole_files import whole_file
from ..shipped import tool
from .configs import as_text, is_written, strings
from .record import METRICS, begin, changed_weights, ended, read, write
from .scalars import best_of, evaluations, last_evaluation, names
from .warm import Warm

TOLD = 'error: '  # as the command line begins it
ENDS = (signal.SIGTERM, signal.SIGINT)
TAIL = 2000  # characters of a failed run's log that its error repeats


Started = Union['subprocess.Popen[bytes]', Warm]
_started: set[Started] = set()


class Busy(RuntimeError):
    """Another process is at this run."""


class Stopped(RuntimeError):
    """Somebody has ended a run by a signal; it goes on the next time."""


@dataclass(frozen=True)
class How:
    """How a run's processes are started.

    Attributes:
        processes: How many, a GPU each.
        environment: Variables that they get beside this process's, of the GPUs that are theirs.
        lock: A file descriptor that they inherit: while they live the run is locked, even where
            this process was killed.
        warm: Whether they are forked from one that has imported all, see :class:`~.warm.Warm`;
            these do not inherit the lock.
    """

    processes: int = 1
    environment: Mapping[str, str] | None = None
    lock: int | None = None
    warm: bool = False

    def command(self, tool: Sequence[str]) -> list[str]:
        """The command line of a tool and its arguments."""
        if self.processes == 1:
            return [sys.executable, *tool]
        started = ['torch.distributed.run', '--standalone', f'--nproc_per_node={self.processes}']
        return [sys.executable, '-m', *started, *tool, '--launcher', 'pytorch']

    def start(self, tool: Sequence[str], log: Path) -> Started:
        """Start a tool; what it prints goes into the log."""
        environment = {'OMP_NUM_THREADS': '1', **os.environ, **(self.environment or {})}
        if self.warm:
            return Warm(tool, log, environment)
        with log.open('w') as file:
            return subprocess.Popen(
                self.command(tool),
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=() if self.lock is None else (self.lock,),
                start_new_session=True,  # Ctrl-C is this process's to hear
            )


def complete(
    cfg: Config,
    folder: Path,
    metric: str,
    quoted: str = 'last',
    facts: Mapping[str, object] | None = None,
    keep: bool = False,
    how: How | None = None,
) -> float:
    """Train and evaluate a run unless it is done; its figure.

    Args:
        cfg: Its whole config, of :func:`~.configs.run_config` or :func:`~.configs.best_config`.
        folder: Its work dir; the config is written beside it.
        metric: Of the evaluation.
        quoted: ``last``; ``best`` of the evaluations; or ``best, test``: the best checkpoint by
            these, evaluated on the test split.
        facts: What is kept of the run beside its figure.
        keep: Whether checkpoints stay.
        how: How its processes are started.

    Raises:
        Busy: Where another process trains it.
        ValueError: Where the folder holds a run of other settings, or the evaluator does not report
            the metric.
        RuntimeError: Where the training fails.
    """
    # Beside the folder: the runner writes a copy with its own work dir and launcher into it.
    config = folder.with_name(f'{folder.name}.py')
    refuse_other(cfg, config, folder)
    if not (folder / METRICS).is_file():
        with only_process(folder) as lock:
            started, how = time.time(), replace(how or How(), lock=lock)
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(config) as part:  # another process may be reading it
                part.write_text(as_text(cfg))
            begin(folder, facts or {}, weights_of(cfg))
            _train_what_is_left(cfg, folder, metric, quoted, how)
            write(folder / METRICS, evaluation(folder, metric, quoted, how))
            ended(folder, started)
    if not keep:  # a run can be repeated by its seed
        _remove_checkpoints(folder)
    return _kept(folder, metric)


def _kept(folder: Path, metric: str) -> float:
    """A run's figure as it was kept.

    Raises:
        ValueError: Where that is another metric.
    """
    path = folder / METRICS
    figures = read(path)
    if metric not in figures:
        raise ValueError(f'metric={metric!r} is not reported in {path}; {names(figures)}')
    return float(str(figures[metric]))


def _train_what_is_left(cfg: Config, folder: Path, metric: str, quoted: str, how: How) -> None:
    """Train, or evaluate only, or neither where the log has the last evaluation already."""
    last, found = int(cfg.train_cfg.max_epochs), evaluations(folder, metric)
    checkpoint = folder / f'epoch_{last}.pth'
    if any(one.get('step') == last for one in found):
        if quoted != 'best, test' or any(folder.glob('best_*.pth')):
            return
    elif checkpoint.is_file():  # it died, or failed, in the evaluation that belongs to it
        _evaluate(cfg, folder, checkpoint, metric, how)
        return
    train(folder.with_name(f'{folder.name}.py'), folder, how)


def _remove_checkpoints(folder: Path) -> None:
    # MMEngine's `last_checkpoint` as well: who resumed from what it names would fail.
    for name in ('epoch_*.pth', 'best_*.pth', 'stopped.pth', 'last_checkpoint'):
        for path in folder.glob(name):
            path.unlink()


def refuse_other(cfg: Config, config: Path, folder: Path) -> None:
    """Refuse a folder with another run in it, or one that learnt from other weights.

    Raises:
        ValueError: Where the config beside it is another one, or a checkpoint that it names is.
    """
    if not folder.is_dir():
        return
    if config.is_file() and not is_written(cfg, config):
        raise ValueError(f'{folder} holds a run of other settings: remove it, or give --work-dir')
    if changed := changed_weights(folder):
        raise ValueError(f'{changed}: remove the folder')


def weights_of(cfg: Config) -> list[str]:
    """The checkpoint files that a config names, of its mentors or to begin with.

    Whatever they are called: of the files that a model names only configs are none.
    """
    named = set(strings([cfg.model.to_dict(), cfg.get('load_from')]))
    return sorted(path for path in named if os.path.isfile(path) and not path.endswith('.py'))


def _evaluate(cfg: Config, folder: Path, checkpoint: Path, metric: str, how: How) -> None:
    """Do a run's own evaluation of its last checkpoint, and leave what the run would have."""
    last, cfg = int(cfg.train_cfg.max_epochs), Config(cfg.to_dict())
    # update() would merge them with the test split's.
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    cfg.test_cfg = cfg.get('test_cfg') or {}
    place = folder / 'evaluated'  # behind the starts, which are called by their time
    (place / 'vis_data').mkdir(parents=True, exist_ok=True)
    (place / 'config.py').write_text(as_text(cfg))
    test(place / 'config.py', checkpoint, place / 'metrics.json', how)
    figures = json.loads((place / 'metrics.json').read_text())
    (place / 'vis_data/scalars.json').write_text(json.dumps(dict(figures, step=last)) + '\n')
    keeps = cfg.get('default_hooks', {}).get('checkpoint', {}).get('save_best')
    if keeps == metric and best_of(evaluations(folder, metric), metric)['step'] == last:
        shutil.copyfile(checkpoint, folder / f'best_{metric.replace("/", "_")}_epoch_{last}.pth')


def evaluation(
    folder: Path,
    metric: str,
    quoted: str,
    how: How | None = None,
) -> dict[str, float]:
    """The figures of the checkpoint that is quoted.

    Raises:
        ValueError: Where the evaluator does not report the metric.
        RuntimeError: Where an evaluation of the best checkpoint fails.
    """
    if quoted != 'best, test':
        last = last_evaluation(folder, metric)
        return dict(last if quoted == 'last' else best_of(evaluations(folder, metric), metric))
    best = sorted(folder.glob('best_*.pth'), key=os.path.getmtime)
    if not best:
        raise ValueError(f'{folder} has no best_*.pth: the run kept no best checkpoint')
    out = folder / 'best.json'
    test(folder.with_name(f'{folder.name}.py'), best[-1], out, how)
    figures = json.loads(out.read_text())
    if metric not in figures:
        raise ValueError(f'metric={metric!r} is not reported in {out}; {names(figures)}')
    return dict(figures)


def train(config: Path, folder: Path, how: How | None = None) -> None:
    """Train a config, or go on with it.

    Raises:
        RuntimeError: Where that fails.
    """
    command = [tool('train.py'), str(config), '--work-dir', str(folder), '--resume']
    call(command, folder / 'train.log', 'training failed', how)


def test(config: Path, checkpoint: Path, out: Path, how: How | None = None) -> None:
    """Evaluate a checkpoint on the test split.

    Raises:
        RuntimeError: Where that fails.
    """
    command = [tool('test.py'), str(config), str(checkpoint), '--work-dir', str(out.parent)]
    call([*command, '--out', str(out)], out.with_name('test.log'), 'evaluation failed', how)


def call(command: Sequence[str], log: Path, what: str, how: How | None = None) -> None:
    """Run one of this project's tools; whatever ends this process's waiting ends it, too.

    Args:
        command: The tool and its arguments.
        log: File for what it prints.
        what: What an error begins with.
        how: How it is started.

    Raises:
        RuntimeError: Where it fails, with the end of its log.
    """
    process = (how or How()).start(command, log)
    _started.add(process)
    try:
        code = process.wait()
    finally:
        stop(process)
        _started.discard(process)
    if code:
        # What was ended by a signal had no last word: its log's last line is of its progress.
        last = f'\nended by {signal.Signals(-code).name}, see {log}' if code < 0 else ''
        stopped = code in {each for told in ENDS for each in (-told, 128 + told)}
        kind = Stopped if stopped else RuntimeError
        raise kind(f'{what}, see {log}:\n{log.read_text()[-TAIL:]}{last}')


def stop(process: Started) -> None:
    """End a process and those that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):  # one that was forked leads no group at first
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what was started, too, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_all() -> None:
    """End all that this process started."""
    for process in list(_started):
        stop(process)


@contextmanager
def only_process(folder: Path) -> Iterator[int]:
    """Hold a run's lock; the file descriptor that holds it.

    The lock is the system's: it goes with the last process that holds the descriptor, so that none
    is left behind by a kill.

    Raises:
        Busy: Where another process holds it.
    """
    path = folder.with_name(f'{folder.name}.lock')
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f'{folder}: another process is at it') from error
        yield file.fileno()


def last_line(error: str) -> str:
    """The line of an error that says what happened.

    The one in which a command told its own; else the last that is no frame of a traceback.
    """
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    own = [line[len(TOLD) :] for line in lines if line.startswith(TOLD)]
    told = [line for line in lines if not re.match(r'(File ".*", line|\[rank|[\^~]+$)', line)]
    return (own or told or lines or ['no message'])[-1]
