"""Runs on this machine: several at once, each when those that it waits for are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import Queue

from rich.console import Console
from rich.progress import TextColumn

from ..progress import progress_bar
from .jobs import BROKEN, DONE, Job, Outcome, execute
from .runs import stop_all

WAIT = 1.0  # seconds until a run that another process is at is looked at again
Tell = Callable[[Outcome], None]


def run_local(
    jobs: Mapping[str, Job], slots: Sequence[Mapping[str, str]], tell: Tell
) -> dict[str, Outcome]:
    """Do the jobs, as many at once as there are slots.

    One that fails stops those that wait for it and no others.

    Args:
        jobs: By name, each after those that it waits for.
        slots: What each worker's processes get as environment: a GPU of their own.
        tell: Called with each outcome as it comes.

    Returns:
        How each ended, by name.
    """
    free: Queue[Mapping[str, str]] = Queue()
    for slot in slots:
        free.put(slot)
    ended: dict[str, Outcome] = {}
    left = dict(jobs)
    running: dict[Future[Outcome], str] = {}
    with _stopping(ThreadPoolExecutor(len(slots))) as pool:
        while left or running:
            for outcome in _hopeless(left, ended):
                ended[outcome.name] = outcome
                tell(outcome)
            for name in _ready(left, ended, running)[: len(slots) - len(running)]:
                running[pool.submit(_in_slot, left[name], free)] = name
            for future in wait(running, WAIT, FIRST_COMPLETED).done:
                outcome, name = future.result(), running.pop(future)
                if outcome.state == 'busy':
                    left[name] = left.pop(name)  # after the others
                    continue
                left.pop(name)
                ended[name] = outcome
                tell(outcome)
    return ended


def _in_slot(job: Job, free: Queue[Mapping[str, str]]) -> Outcome:
    slot = free.get()
    try:
        outcome = execute(job, slot)
        if outcome.state == 'busy':
            time.sleep(WAIT)
        return outcome
    finally:
        free.put(slot)


@contextmanager
def _stopping(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """A pool whose processes end with an interruption: its threads would wait for them."""
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop_all()
        raise
    finally:
        pool.shutdown()


def _hopeless(left: dict[str, Job], ended: Mapping[str, Outcome]) -> list[Outcome]:
    """Take out the jobs that wait for one that failed."""
    found = []
    for name, job in list(left.items()):
        lost = [need for need in job.needs if need in ended and ended[need].state != DONE]
        if lost:
            left.pop(name)
            found.append(Outcome(name, BROKEN, f'not run: it waits for {lost[0]}, which failed'))
    return found


def _ready(
    left: Mapping[str, Job], ended: Mapping[str, Outcome], running: Mapping[Future[Outcome], str]
) -> list[str]:
    busy = set(running.values())
    return [
        name
        for name, job in left.items()
        if name not in busy and all(n in ended for n in job.needs)
    ]


def slots_for(workers: int, gpus: Sequence[str], each: int = 1) -> list[dict[str, str]]:
    """What each worker's processes get as environment.

    Args:
        workers: How many, where no GPU is named.
        gpus: Their numbers.
        each: How many of them a worker has.

    Raises:
        ValueError: Where they are not enough for one worker.

    >>> slots_for(1, ['0', '1', '2', '3'], each=2)
    [{'CUDA_VISIBLE_DEVICES': '0,1'}, {'CUDA_VISIBLE_DEVICES': '2,3'}]
    """
    if gpus and len(gpus) < each:
        raise ValueError(f'a run takes {each} GPUs, --gpus has {len(gpus)}: set --processes')
    if gpus:
        shares = [gpus[i : i + each] for i in range(0, len(gpus) - each + 1, each)]
        return [{'CUDA_VISIBLE_DEVICES': ','.join(share)} for share in shares]
    return [{} for _ in range(workers)]


@contextmanager
def progress(total: int, console: Console) -> Iterator[Tell]:
    """A progress bar with the time left; what it yields tells of one more outcome."""
    with progress_bar(TextColumn('left'), console=console) as bar:
        task = bar.add_task('runs', total=total)

        def tell(outcome: Outcome) -> None:
            bar.console.print(
                f'{outcome.name}: {outcome.state}: {outcome.told}', markup=False, highlight=False
            )
            bar.advance(task)

        yield tell
