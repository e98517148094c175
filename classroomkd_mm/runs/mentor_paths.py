"""Mentors' files beside the config that names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from ..shipped import config_file
from .student_config import is_classroom


def read_classroom(config: str) -> Config:
    """The config in a file, its mentors' files being looked for beside it as well.

    Args:
        config: A path, or ``library::path``.

    Raises:
        FileNotFoundError: Where there is none.
        ImportError: Where the library is not installed.
        ValueError: For a library that MMEngine does not know.
    """
    return with_mentor_folder(Config.fromfile(config_file(config)))


def with_mentor_folder(cfg: Config) -> Config:
    """The config, its own folder being where mentors' files are looked for as well.

    A mentor's relative ``config`` or ``checkpoint`` starts at the working directory; where that has
    no such file the mentor's ``folder`` is set to the folder of the config's file, so that a copy
    of the config, as MMEngine leaves one in the work dir, means the same. One that is set stays.
    """
    if cfg.filename and is_classroom(cfg.get('model') or {}):
        folder = os.path.dirname(os.path.abspath(cfg.filename))
        for mentor in cfg.model.get('mentors') or ():
            if isinstance(mentor, Mapping) and any(map(_absent, _paths(mentor))):
                mentor.setdefault('folder', folder)  # type: ignore[attr-defined]  # a ConfigDict
    return cfg


def _paths(mentor: Mapping[str, object]) -> list[str]:
    """The paths in a mentor's entry that start somewhere."""
    given = [str(mentor[key]) for key in ('config', 'checkpoint') if _is_path(mentor.get(key))]
    return [path for path in given if not Path(path).expanduser().is_absolute()]


def _is_path(value: object) -> bool:
    return isinstance(value, Path) or (
        isinstance(value, str) and '::' not in value and '://' not in value
    )


def _absent(path: str) -> bool:
    return not Path(path).exists()
