"""A work dir belongs to one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.config import Config

from .whole_files import LAST

LOCK = '.running'
RANK = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
# So long the workers of a run that was killed may take to notice, and hold what they inherited.
PATIENCE_S = 6.0


def no_folder(path: Path) -> str:
    """Why a path that is no folder is no work dir, in words."""
    if path.is_file():
        return f'is a file: give the work dir that it lies in, {path.parent}'
    return f'there is no such folder in {Path.cwd()}'


def own_file(folder: Path, named: str | Path) -> Path:
    """A work dir's file of that name; where it has none, the one that is named.

    Paths in a work dir are those of the run, from which it may have been moved or copied since:
    what they name may be another run's by now.
    """
    own = folder / Path(named).name
    return own if own.is_file() else Path(named)


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that a work dir says is its last; None where it says none."""
    said = folder / LAST
    named = said.read_text().strip() if said.is_file() else ''
    return own_file(folder, named) if named else None


@contextmanager
def alone_in(cfg: Config) -> Iterator[None]:
    """Keep a training's work dir from others; the kernel lets go of it however the process ends.

    Two runs would write over each other's checkpoints. Of several ranks the first one holds it.

    Args:
        cfg: The run's config, with ``work_dir`` and ``launcher``.

    Raises:
        RuntimeError: Where another process trains there.
        OSError: Where it cannot be made or written.
    """
    if int(os.environ.get(RANK.get(cfg.get('launcher', 'none'), ''), 0)):
        yield
        return
    lock = FileLock(Path(cfg.work_dir) / LOCK)
    _take(lock, cfg.work_dir)
    try:
        yield
    finally:
        lock.release()


def _take(lock: FileLock, work_dir: str) -> None:
    try:
        os.makedirs(work_dir, exist_ok=True)
        lock.acquire(timeout=PATIENCE_S)
    except Timeout as error:
        raise RuntimeError(
            f"another run trains in work_dir={work_dir!r}: two would write over each other's "
            'checkpoints; name another folder with --work-dir, or wait until it has ended'
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f'work_dir={work_dir!r} cannot be written ({error.strerror or error}): name a folder '
            'that can with --work-dir',
        ) from error
