"""What is kept of a run beside its figure: commit, seed, time, and why it failed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

RUN, METRICS, FAILED = 'run.json', 'metrics.json', 'failed.json'


@lru_cache(maxsize=8)
def commit(folder: str = '.') -> str | None:
    """The commit that is checked out, with ``+`` where files differ from it; None outside git."""
    asked = (['rev-parse', 'HEAD'], ['status', '--porcelain', '--untracked-files=no'])
    said = []
    for words in asked:
        try:
            done = subprocess.run(['git', '-C', folder, *words], capture_output=True, text=True)
        except FileNotFoundError:  # no git on this machine
            return None
        if done.returncode:
            return None
        said.append(done.stdout.strip())
    return said[0] + ('+' if said[1] else '')


def begin(folder: Path, facts: Mapping[str, object], weights: Iterable[str] = ()) -> None:
    """Keep who runs what, before it runs; a resumed run keeps the commits of its other parts.

    Args:
        folder: The run's work dir.
        facts: What else is kept.
        weights: Checkpoint files that it learns from or begins with.
    """
    before = read(folder / RUN)
    commits = list(before.get('commits') or [])  # type: ignore[call-overload]
    here = commit()
    commits += [here] if here and here not in commits else []
    kept = dict(
        facts,
        commits=commits,
        weights={path: digest(path) for path in weights},
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        seconds=before.get('seconds', 0.0),
    )
    write(folder / RUN, kept)
    (folder / FAILED).unlink(missing_ok=True)


def ended(folder: Path, started: float) -> None:
    """Keep how long it took, all its parts together."""
    kept = read(folder / RUN)
    kept['seconds'] = float(str(kept.get('seconds', 0.0))) + time.time() - started
    write(folder / RUN, kept)


def failed(folder: Path, error: str) -> None:
    """Keep why it failed."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / FAILED, dict(error=error))


def digest(path: str) -> str:
    """Of a file's bytes, the beginning of their SHA-256."""
    about = os.stat(path)
    return _digest(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=1024)
def _digest(path: str, changed: int, size: int) -> str:
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()[:16]


def changed_weights(folder: Path) -> str:
    """Which checkpoint has changed since a run learnt from it, in words; empty where none has."""
    kept: Any = read(folder / RUN).get('weights') or {}
    for path, was in kept.items():
        if os.path.isfile(path) and digest(path) != was:
            return f'{folder} was trained with another {path} than there is now'
    return ''


def read(path: Path) -> dict[str, object]:
    """A JSON file's mapping, empty where there is none.

    Raises:
        ValueError: Where it is damaged.
    """
    try:
        return dict(json.loads(path.read_text())) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} is damaged ({error}): remove it') from error


def write(path: Path, value: Mapping[str, object]) -> None:
    """Write a JSON file, whole or not at all."""
    part = path.with_name(f'{path.name}.part')
    part.write_text(json.dumps(value, indent=1))
    part.replace(path)
