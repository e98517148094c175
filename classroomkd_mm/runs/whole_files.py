"""Checkpoints that a full disk or a kill leaves whole: the new one first, then the old one goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend, LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

LAST = 'last_checkpoint'
MIB = 2**20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write into, which takes the place of ``path`` when it is whole, or is removed.

    Raises:
        OSError: Where it cannot be written, with what is left to go on from.
    """
    part = path.with_name(f'{path.name}.part')
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, _not_written(path, error)) from error
    finally:
        part.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> str:
    last = path.with_name(LAST)
    kept = Path(last.read_text().strip()).name if last.is_file() else ''
    free = shutil.disk_usage(path.parent).free / MIB if path.parent.is_dir() else 0
    after = f'{kept} is whole, and --resume goes on from it' if kept else 'there is none before it'
    return (
        f'{path} cannot be written ({error.strerror or error}; {free:.0f} MiB are '
        f'free there): {after}. Make room, or keep fewer (default_hooks.checkpoint.max_keep_ckpts)'
    )


def whole_checkpoints(runner: Runner) -> None:
    """Let a run write its checkpoints beside their names first, and remove old ones last.

    MMEngine opens the file itself and writes into it, and of those beyond ``max_keep_ckpts`` it
    removes the oldest before that: on a full disk the only checkpoint would be lost, and
    ``last_checkpoint`` empty. A checkpoint hook of one's own class stays as it is, and so do
    storage that is no local disk and MMEngine's FlexibleRunner, whose strategies write folders and
    parts of each rank.
    """
    if not isinstance(runner, Runner) or 'save_checkpoint' in vars(runner):
        return
    runner.save_checkpoint = _written_whole(runner.save_checkpoint)
    for hook in runner.hooks:
        if type(hook) is CheckpointHook:
            # MMEngine's runner holds it already, with what a config set.
            hook.__class__ = WholeCheckpointHook


def _written_whole(save: Callable[..., None]) -> Callable[..., None]:
    @wraps(save)
    def whole(out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        if '://' in out_dir or not is_main_process():
            return save(out_dir, filename, *args, **kwargs)
        with whole_file(Path(out_dir) / filename) as part:
            save(out_dir, part.name, *args, **kwargs)

    return whole


class WholeCheckpointHook(CheckpointHook):
    """MMEngine's, in another order: write, say so in ``last_checkpoint``, remove what is old."""

    file_backend: BaseStorageBackend

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, int]) -> None:
        if not isinstance(self.file_backend, LocalBackend):
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        kept = self._counted(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = os.path.join(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            point_to(runner, self.last_ckpt)
            for old in kept:
                Path(self.out_dir, self.filename_tmpl.format(old)).unlink(missing_ok=True)

    def _counted(self, runner: Runner, step: int) -> list[int]:
        """Count a checkpoint among those that are kept; which are then too many."""
        if self.max_keep_ckpts <= 0:
            return []
        steps = [one for one in self.keep_ckpt_ids if one != step]
        many = max(len(steps) + 1 - self.max_keep_ckpts, 0)
        self.keep_ckpt_ids.clear()
        self.keep_ckpt_ids.extend([*steps[many:], step])
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return steps[:many]

    def _save_best_checkpoint(self, runner: Runner, metrics: Mapping[str, float]) -> None:
        """As MMEngine's, which removes the best one so far before it has written a better."""
        if not isinstance(self.file_backend, LocalBackend):
            super()._save_best_checkpoint(runner, metrics)
            return
        stock, later = self.file_backend, _RemovesLater()
        self.file_backend = later
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = stock
        for path in later.removed - set(self._best()):
            Path(path).unlink(missing_ok=True)

    def _best(self) -> list[str]:
        found = [getattr(self, 'best_ckpt_path', None)]
        found += getattr(self, 'best_ckpt_path_dict', {}).values()
        return [str(path) for path in found if path]


class _RemovesLater(LocalBackend):
    """Local files, of which none is removed yet."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: set[str] = set()

    def remove(self, filepath: str | Path) -> None:
        self.removed.add(str(filepath))


def point_to(runner: Runner, checkpoint: str) -> None:
    """Say in ``last_checkpoint`` from which file ``--resume`` goes on."""
    with whole_file(Path(runner.work_dir) / LAST) as part:
        part.write_text(checkpoint)
