"""What a run's work dir holds of its student, and of the mentors that it had."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from ..mentors import MentorSettings
from ..mentors.checkpoint import load_matching, read_checkpoint, read_state_dict
from ..runs import (
    STUDENT_FILE,
    is_classroom,
    last_checkpoint,
    no_folder,
    student_config,
    with_mentor_folder,
)

STEP = re.compile(r'(?:epoch|iter)_(\d+)$')  # in a checkpoint's name, by MMEngine's hook
ENTRY = ('name', 'zoo', 'config', 'folder')  # of a mentor's, what its network is made of


@dataclass(frozen=True)
class Source:
    """A run's student.

    Attributes:
        folder: The work dir.
        cfg: The student's config, for the stock library.
        checkpoint: The file of its weights.
        weights: These, by name.
        mentors: The entries of the run's mentors; none where it was no classroom.
        classes: The data set's as the checkpoint names them; none where it does not.
    """

    folder: Path
    cfg: Config
    checkpoint: Path
    weights: Mapping[str, Tensor]
    mentors: Sequence[Mapping[str, Any]]
    classes: tuple[str, ...] = ()

    @property
    def step(self) -> int | None:
        """The epoch or iteration of the run that its weights are of; None of other weights."""
        last, here = last_checkpoint(self.folder), self.checkpoint.resolve().parent
        found = STEP.search(self.checkpoint.stem)
        own = here == self.folder.resolve() or self.checkpoint == last
        return int(found[1]) if found and own else None

    def student(self) -> nn.Module:
        """The student with its weights, for evaluation.

        Raises:
            ValueError: Where they do not fit.
        """
        network, _ = MentorSettings('student', self.cfg, None).build()
        load_matching(network, self.weights, f'checkpoint={str(self.checkpoint)!r}')
        return network.eval()

    def networks(self) -> dict[str, nn.Module]:
        """The mentors' networks by name, with random weights: what they cost is the same."""
        made = {}
        for position, entry in enumerate(self.mentors):
            kept = {key: entry[key] for key in ENTRY if key in entry}
            settings = MentorSettings.of({**kept, 'checkpoint': None}, position)
            made[settings.name] = settings.build()[0].eval()
        return made


def read_source(folder: Path, checkpoint: str | None = None, trusted: bool = False) -> Source:
    """Read a work dir.

    Args:
        folder: The work dir.
        checkpoint: The student's weights; by default the best by its evaluations where one is
            kept, else the last.
        trusted: Read it with all that pickle allows, running the code that it may carry.

    Raises:
        FileNotFoundError: Where config or checkpoint is missing.
        ValueError: Where there are several configs and none is a classroom's.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'WORK_DIR {folder}: {no_folder(folder)}')
    run = _run_config(folder)
    own = folder / STUDENT_FILE
    cfg = student_config(Config.fromfile(own) if own.is_file() else run)
    path = _given(folder, checkpoint) if checkpoint else _checkpoint(folder)
    mentors = (run.get('model') or {}).get('mentors') or ()
    weights = read_state_dict(path, 'checkpoint', trusted)
    return Source(folder, cfg, path, weights, mentors, _classes(path, trusted))


def _classes(path: Path, trusted: bool) -> tuple[str, ...]:
    """Names that MMEngine keeps in a checkpoint, such as those of a data set's folders."""
    content: Any = read_checkpoint(path, 'checkpoint', trusted)
    for key in ('meta', 'dataset_meta', 'classes'):
        content = content.get(key) if isinstance(content, Mapping) else None
    names = content if isinstance(content, (list, tuple)) else ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _run_config(folder: Path) -> Config:
    """The config that the run was of, its mentors' files being looked for beside it."""
    paths = [path for path in sorted(folder.glob('*.py')) if path.name != STUDENT_FILE]
    if not paths and (folder / STUDENT_FILE).is_file():
        paths = [folder / STUDENT_FILE]
    if not paths:
        raise FileNotFoundError(f'{folder} is no work dir: it holds no config (*.py)')
    read = [with_mentor_folder(Config.fromfile(path)) for path in paths]
    rooms = [cfg for cfg in read if is_classroom(cfg.get('model') or {})]
    if not rooms and len({repr(cfg.get('model')) for cfg in read}) > 1:
        names = ', '.join(path.name for path in paths)
        raise ValueError(f'{folder} holds several configs of different models: {names}')
    return (rooms or read)[0]


def _checkpoint(folder: Path) -> Path:
    best = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    if best:
        return best[-1]
    last = last_checkpoint(folder)
    if last is None:
        raise FileNotFoundError(f'{folder} holds no checkpoint: give --checkpoint FILE')
    if not last.is_file():
        raise FileNotFoundError(f'{folder}: its last_checkpoint names {last}, which is not there')
    return last


def _given(folder: Path, checkpoint: str) -> Path:
    """A checkpoint that was asked for: the work dir's of that name first."""
    for path in (folder / checkpoint, Path(checkpoint)):
        if path.is_file():
            return path
    raise FileNotFoundError(f'checkpoint={checkpoint!r} does not exist, nor in {folder}')
