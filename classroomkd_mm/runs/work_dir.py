"""A work dir belongs to one run at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.config import Config

LOCK = '.running'
RANK = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
# So long the workers of a run that was killed may take to notice, and hold what they inherited.
PATIENCE_S = 6.0


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
