"""Runs on a cluster through submitit: arrays under Slurm, or its local executor."""

from __future__ import annotations

import getpass
import hashlib
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from .jobs import BROKEN, DONE, Job, Outcome, execute
from .local import Tell
from .record import FAILED, failed, read, write

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit.core.core import Job as Submitted
    from submitit.helpers import DelayedSubmission

POLL = 1.0  # seconds
ASK = 30.0  # seconds between two looks at Slurm's queue
DAY = 24 * 60  # minutes: of a run's turn, after which it is queued again
TURNS = 1000  # how often a run may be out of time
QUEUED = 'queued.json'  # which run is which of Slurm's jobs


class Task:
    """A job as submitit runs it: after a time-out or preemption it is queued again and goes on.

    Args:
        job: What to do; those that it waits for must be done.
        needed: Them.
    """

    def __init__(self, job: Job, needed: Sequence[Job]) -> None:
        self.job = job
        self.needed = needed

    def __call__(self) -> str:
        """Do it; its state. What it said is in its work dir."""
        lost = [job.name for job in self.needed if job.state() != DONE]
        if lost:
            failed(self.job.folder, f'not run: it waits for {lost[0]}, which failed')
            return BROKEN
        with _heard(signal.SIGTERM) as told:
            outcome = execute(self.job)
            # Slurm tells all processes that they are about to end: training did, and did not fail.
            while outcome.state == 'busy' or (outcome.state == BROKEN and told):
                told.clear()
                (self.job.folder / FAILED).unlink(missing_ok=True)
                time.sleep(POLL)
                outcome = execute(self.job)
        return outcome.state

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again: the same, which its own checkpoints let go on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@contextmanager
def _heard(number: signal.Signals) -> Iterator[list[int]]:
    """Signals of this kind that came, where somebody handles them, who still does."""
    came: list[int] = []
    before = signal.getsignal(number)

    def hear(given: int, frame: FrameType | None) -> None:
        came.append(given)
        if callable(before):
            before(given, frame)

    if not callable(before):
        yield came
        return
    signal.signal(number, hear)
    try:
        yield came
    finally:
        signal.signal(number, before)


def run_submitit(
    jobs: Mapping[str, Job],
    folder: Path,
    tell: Tell,
    cluster: str = 'slurm',
    settings: Mapping[str, object] | None = None,
) -> dict[str, Outcome]:
    """Submit the jobs, those that wait for the same ones as one array, and wait for them.

    Under Slurm all are submitted at once and depend on each other there; an interruption leaves
    them queued, and they are waited for when the same is asked for again. submitit's local executor
    knows no dependencies: each array waits here.

    Args:
        jobs: By name, each after those that it waits for.
        folder: For submitit's files.
        tell: Called with each outcome as it comes.
        cluster: ``slurm`` or ``local``.
        settings: submitit's parameters, as ``slurm_partition`` or ``timeout_min``.

    Returns:
        How each ended, by name.
    """
    queue = Queue(folder) if cluster == 'slurm' else None
    submitted = {} if queue is None else queue.find(jobs)
    ended: dict[str, Outcome] = {}
    for group in arrays(jobs):
        needs = {need: submitted[need] for need in jobs[group[0]].needs}
        if queue is None:
            _wait(needs, jobs, ended, tell, queue)
        new = [name for name in group if name not in submitted]
        executor = _executor(folder, cluster, settings or {}, list(needs.values()))
        for name in new:
            (jobs[name].folder / FAILED).unlink(missing_ok=True)  # of an earlier turn
        with executor.batch():
            made = [executor.submit(Task(jobs[name], _needed(jobs, name))) for name in new]
        submitted.update(zip(new, made))
        if queue is not None:
            queue.keep({name: jobs[name] for name in new}, submitted)
    _wait(submitted, jobs, ended, tell, queue)
    return ended


def _needed(jobs: Mapping[str, Job], name: str) -> list[Job]:
    return [jobs[need] for need in jobs[name].needs]


class Queue:
    """Slurm's queue, of this user's jobs.

    Of squeue: submitit asks sacct, which a cluster without accounting has not, and where a job was
    cancelled it would be waited for without an end.

    Args:
        folder: Of submitit's files, and of which run is which job.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = time.monotonic()
        self._ids: set[str] | None = None

    def find(self, jobs: Mapping[str, Job]) -> dict[str, Submitted[str]]:
        """Those that an earlier command submitted and that did not end yet."""
        from submitit import SlurmJob

        kept, ids = read(self._folder / QUEUED), in_queue() or ()
        found = {name: kept.get(_mark(job)) for name, job in jobs.items()}
        return {
            name: SlurmJob(folder=self._folder, job_id=str(id_), tasks=[0])
            for name, id_ in found.items()
            if id_ in ids
        }

    def keep(self, jobs: Mapping[str, Job], submitted: Mapping[str, Submitted[str]]) -> None:
        """Remember which jobs these runs are."""
        made = {_mark(job): submitted[name].job_id for name, job in jobs.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        write(self._folder / QUEUED, {**read(self._folder / QUEUED), **made})

    def ended(self, job: Submitted[str]) -> bool:
        """Whether a job has a result, or left the queue without one."""
        if job.paths.result_pickle.is_file():
            return True
        if time.monotonic() - self._asked > ASK:
            self._ids, self._asked = in_queue(), time.monotonic()
        return self._ids is not None and job.job_id not in self._ids


def in_queue() -> set[str] | None:
    """The ids of this user's jobs in Slurm's queue; None where it does not answer."""
    command = ['squeue', '--noheader', '--array', '--format=%i', f'--user={getpass.getuser()}']
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode else set(done.stdout.split())


def _mark(job: Job) -> str:
    """A run's folder and settings, as a key."""
    alone = repr(replace(job, needs=()))  # a later command has none that is done by then
    return f'{job.folder.resolve()} {hashlib.sha256(alone.encode()).hexdigest()[:16]}'


def arrays(jobs: Mapping[str, Job]) -> list[list[str]]:
    """Names of the jobs that wait for the same ones, as Slurm's arrays do.

    >>> arrays({})
    []
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, job in jobs.items():
        groups.setdefault(tuple(sorted(need for need in job.needs if need in jobs)), []).append(
            name
        )
    return list(groups.values())


def _executor(
    folder: Path,
    cluster: str,
    settings: Mapping[str, object],
    needs: Sequence[Submitted[str]],
) -> AutoExecutor:
    from submitit import AutoExecutor

    executor = AutoExecutor(folder, cluster, **{f'{cluster}_max_num_timeout': TURNS})
    made = {'name': 'benchmark', 'timeout_min': DAY, **settings}
    if cluster == 'slurm':
        # Many clusters refuse to queue a job again that does not ask for it.
        more: dict[str, object] = dict(requeue=True)
        if needs:
            # afterany, not afterok: the job itself looks whether what it waits for is there, so
            # that none stays queued for ever behind one that failed.
            more['dependency'] = f'afterany:{":".join(job.job_id for job in needs)}'
        more.update(settings.get('slurm_additional_parameters') or {})  # type: ignore[call-overload]
        made['slurm_additional_parameters'] = more
    executor.update_parameters(**made)
    return executor


def _wait(
    submitted: Mapping[str, Submitted[str]],
    jobs: Mapping[str, Job],
    ended: dict[str, Outcome],
    tell: Tell,
    queue: Queue | None,
) -> None:
    """Wait for submitted jobs; how they ended, their work dirs say."""
    left = [name for name in submitted if name not in ended]
    while left:
        for name in list(left):
            one = submitted[name]
            if one.done() if queue is None else queue.ended(one):
                left.remove(name)
                ended[name] = outcome_of(jobs[name], one.paths.stderr)
                tell(ended[name])
        time.sleep(POLL if left else 0)


def outcome_of(job: Job, log: Path) -> Outcome:
    """How a job ended, as its work dir says.

    Args:
        job: It.
        log: Of submitit, of the errors.
    """
    if job.state() == DONE:
        return Outcome(job.name, DONE, str(job.folder))
    nothing = f'ended without a result (cancelled, or killed?), see {log}'
    return Outcome(job.name, BROKEN, str(read(job.folder / FAILED).get('error', nothing)))
