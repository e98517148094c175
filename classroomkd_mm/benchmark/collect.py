"""Take runs that were trained elsewhere, where their dumped configs are the benchmark's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from .configs import choices, plain_text
from .dumped import differences, figures_of, read_dumped
from .jobs import DONE, Job
from .record import METRICS, RUN, read, write
from .scalars import SCALARS, best_of, evaluations, from_its_start, starts


def work_dirs(folder: Path) -> Iterator[Path]:
    """The work dirs of MMEngine's runs in a folder, itself included."""
    found = {path.parents[2] for path in folder.glob(f'**/{SCALARS}')}
    yield from sorted(found)


def dumped_config(folder: Path) -> Path:
    """The config that MMEngine left in a work dir, the newest.

    Raises:
        ValueError: Where there is none.
    """
    # The runner also writes each start's own, TIMESTAMP/vis_data/config.py; student.py is ours.
    own = [path for path in folder.glob('*.py') if path.name != 'student.py']
    own += list(folder.glob('*/vis_data/config.py'))
    if not own:
        raise ValueError(f'{folder} has no dumped config: what was trained there is not known')
    return max(own, key=lambda path: path.stat().st_mtime)


def collect(folder: Path, jobs: Mapping[str, Job]) -> str:
    """Take the run in a work dir as one of the jobs; what was done, in words.

    Args:
        folder: The work dir.
        jobs: Of the benchmark.

    Raises:
        ValueError: Where its config is none of the jobs', it is not at its end, the figure was
            chosen by the split that it is of, or its log does not have it.
    """
    config = dumped_config(folder)
    theirs = from_its_start(read_dumped(config), folder)
    job = _job_of(folder, theirs, jobs)
    if job.state() == DONE:
        return f'{folder}: {job.name} is there already'
    _refuse_chosen(folder, theirs, job)
    record = _figures(folder, theirs, job)
    job.folder.mkdir(parents=True, exist_ok=True)
    job.folder.with_name(f'{job.folder.name}.py').write_text(plain_text(theirs))
    for start in starts(folder):
        kept = job.folder / start.name / 'vis_data'
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(start / 'vis_data/scalars.json', kept / 'scalars.json')
    for log in sorted(folder.glob('*/*.log'))[-1:]:
        shutil.copyfile(log, job.folder / 'train.log')
    commits = read(folder / RUN).get('commits') or []  # where a benchmark has trained it
    write(job.folder / RUN, {**job.facts(), 'from': str(folder.resolve()), 'commits': commits})
    write(job.folder / METRICS, record)
    return f'{folder}: {job.name}, {job.metric} {record[job.metric]:.4f}'


def _job_of(folder: Path, theirs: Mapping[str, object], jobs: Mapping[str, Job]) -> Job:
    """The job whose figure a config makes.

    Raises:
        ValueError: Where none is; says in what the nearest differs.
    """
    nearest: tuple[str, list[str]] = ('', [])
    for name, job in jobs.items():
        if job.makes:
            continue
        evaluated = 'test' if job.quoted == 'best, test' else 'val'
        ours = figures_of(job.config(), job.split)
        found = list(differences(ours, figures_of(theirs, evaluated)))
        if not found:
            return job
        if not nearest[1] or len(found) < len(nearest[1]):
            nearest = (name, found)
    said = '; '.join(nearest[1][:3])
    raise ValueError(f'{folder} holds another config; the nearest is {nearest[0]}: {said}')


def _refuse_chosen(folder: Path, theirs: Mapping[str, object], job: Job) -> None:
    found = choices(theirs, job.split, job.checkpoint)
    if found:
        raise ValueError(f'{folder}: {"; ".join(found)}: its figure cannot enter a table')


def _figures(folder: Path, theirs: Mapping[str, object], job: Job) -> dict[str, float]:
    """The evaluation that is quoted, of MMEngine's scalars.

    Raises:
        ValueError: Where it is not there.
    """
    if job.quoted == 'best, test':
        raise ValueError(f'{folder}: which checkpoint a test was of is not in its log; run it here')
    found = evaluations(folder, job.metric)
    last = theirs['train_cfg']['max_epochs']  # type: ignore[index]
    if not found or found[-1].get('step') != last:
        at = found[-1].get('step') if found else 'none'
        raise ValueError(
            f'{folder} has no {job.metric} of its last epoch, {last}; its last is of {at}'
        )
    return dict(found[-1] if job.checkpoint == 'last' else best_of(found, job.metric))
