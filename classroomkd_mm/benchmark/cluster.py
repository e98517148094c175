"""Runs on a cluster through submitit: arrays under Slurm, or its local executor."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .jobs import BROKEN, DONE, Job, Outcome, execute
from .local import Tell
from .record import FAILED, failed, read

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit.core.core import Job as Submitted
    from submitit.helpers import DelayedSubmission

POLL = 1.0  # seconds
DAY = 24 * 60  # minutes: of a run's turn, after which it is queued again


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
        outcome = execute(self.job)
        while outcome.state == 'busy':
            time.sleep(POLL)
            outcome = execute(self.job)
        return outcome.state

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again: the same, which its own checkpoints let go on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_submitit(
    jobs: Mapping[str, Job],
    folder: Path,
    tell: Tell,
    cluster: str = 'slurm',
    settings: Mapping[str, object] | None = None,
) -> dict[str, Outcome]:
    """Submit the jobs, those that wait for the same ones as one array, and wait for them.

    Under Slurm all are submitted at once and depend on each other there; an interruption leaves
    them queued. submitit's local executor knows no dependencies: each array waits here.

    Args:
        jobs: By name, each after those that it waits for.
        folder: For submitit's files.
        tell: Called with each outcome as it comes.
        cluster: ``slurm`` or ``local``.
        settings: submitit's parameters, as ``slurm_partition`` or ``timeout_min``.

    Returns:
        How each ended, by name.
    """
    submitted: dict[str, Submitted[str]] = {}
    ended: dict[str, Outcome] = {}
    for group in arrays(jobs):
        needs = [submitted[need] for need in jobs[group[0]].needs]
        if cluster == 'local':
            _wait({need: submitted[need] for need in jobs[group[0]].needs}, jobs, ended, tell)
        executor = _executor(folder, cluster, settings or {}, needs)
        tasks = [Task(jobs[name], [jobs[n] for n in jobs[name].needs]) for name in group]
        with executor.batch():
            made = [executor.submit(task) for task in tasks]
        submitted.update(zip(group, made))
    _wait(submitted, jobs, ended, tell)
    return ended


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

    executor = AutoExecutor(folder=folder, cluster=cluster)
    more = {}
    if needs and cluster == 'slurm':
        # afterany, not afterok: the job itself looks whether what it waits for is there, so that
        # none stays queued for ever behind one that failed.
        ids = ':'.join(job.job_id for job in needs)
        more = dict(slurm_additional_parameters=dict(dependency=f'afterany:{ids}'))
    executor.update_parameters(**{'name': 'benchmark', 'timeout_min': DAY, **settings, **more})
    return executor


def _wait(
    submitted: Mapping[str, Submitted[str]],
    jobs: Mapping[str, Job],
    ended: dict[str, Outcome],
    tell: Tell,
) -> None:
    """Wait for submitted jobs; how they ended, their work dirs say."""
    left = [name for name in submitted if name not in ended]
    while left:
        for name in [name for name in left if submitted[name].done()]:
            left.remove(name)
            ended[name] = outcome_of(jobs[name])
            tell(ended[name])
        time.sleep(POLL if left else 0)


def outcome_of(job: Job) -> Outcome:
    """How a job ended, as its work dir says."""
    if job.state() == DONE:
        return Outcome(job.name, DONE, str(job.folder))
    said = read(job.folder / FAILED).get('error', 'ended without a result, see its submitit log')
    return Outcome(job.name, BROKEN, str(said))
