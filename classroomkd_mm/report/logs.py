"""What work dirs say by themselves: lessons, evaluations, times, config, checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from ..benchmark.dumped import figures_of, read_dumped
from ..benchmark.scalars import SCALARS, TRAINING, evaluated, from_its_start, records
from ..runs import last_checkpoint, no_folder

LESSONS = 'classroom.jsonl'
Points = dict[float, float]  # a value by its step
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Steps:
    """What a run's training steps took, by its own log.

    Attributes:
        seconds: Of a step, the median of what was logged.
        waiting: Which share of it the step waited for data.
        memory: Most GPU memory in MB; None where the run had no GPU.
    """

    seconds: float
    waiting: float
    memory: float | None


@dataclass(frozen=True)
class WorkDir:
    """One run.

    Attributes:
        path: Its work dir.
        lessons: The lines of its ``classroom.jsonl``; none where a student was trained alone.
        evaluations: Values by step, by metric; the student's.
        steps: What a step took; None where its log does not say.
        cfg: Its whole config as it was dumped; None where that cannot be read.
        fault: Why it cannot.
        checkpoint: The last one; None where there is none.
    """

    path: Path
    lessons: tuple[Line, ...]
    evaluations: Mapping[str, Points]
    steps: Steps | None
    cfg: Mapping[str, Any] | None
    fault: str
    checkpoint: Path | None

    @property
    def seed(self) -> str:
        """As its folder or its config calls it; empty where neither does."""
        named = re.fullmatch(r'seed_?(\d+)', self.path.name)
        if named:
            return named[1]
        seed = ((self.cfg or {}).get('randomness') or {}).get('seed')
        return '' if seed is None else str(seed)

    @property
    def mentors(self) -> tuple[str, ...]:
        """Names, in the order of the last line."""
        return tuple(self.lessons[-1]['mentors']) if self.lessons else ()

    @property
    def recipe(self) -> object:
        """What runs of one method, evaluated on the same data, share whatever their seeds."""
        if self.cfg is None:
            return str(self.path)
        return {k: v for k, v in figures_of(self.cfg, 'val').items() if k != 'randomness'}


def read_work_dir(folder: str) -> WorkDir:
    """A run by its work dir.

    Raises:
        ValueError: Where it is not one, or its lessons cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f'WORK_DIR {folder}: {no_folder(path)}')
    if not any(path.glob(SCALARS)) and not (path / LESSONS).is_file():
        raise ValueError(
            f'WORK_DIR {folder}: it has neither {LESSONS} nor {SCALARS}; give the work_dir of a run'
        )
    scalars = records(path)
    cfg, fault = _config(path)
    return WorkDir(
        path=path,
        lessons=tuple(_lessons(path / LESSONS)),
        evaluations=_evaluations(scalars),
        steps=_steps(scalars),
        cfg=cfg,
        fault=fault,
        checkpoint=_checkpoint(path),
    )


def _lessons(path: Path) -> Iterator[Line]:
    if not path.is_file():
        return
    for line in _records(path):
        if not isinstance(line.get('mentors'), dict) or 'student_score' not in line:
            raise ValueError(f'{path}: a line is none of ClassroomHook: {str(line)[:80]}')
        yield line


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file; the last may have been cut off by a kill."""
    lines = path.read_text(errors='replace').splitlines()
    for number, text in enumerate(lines, 1):
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise ValueError(f'{path}, line {number} is not JSON: {error}') from error
            continue
        if isinstance(record, dict):
            yield record


def _evaluations(scalars: list[dict[str, Any]]) -> dict[str, Points]:
    found: dict[str, Points] = {}
    for record in scalars:
        for key, value in evaluated(record).items() if 'step' in record else ():
            found.setdefault(key, {})[record['step']] = value
    return found


def _steps(scalars: list[dict[str, Any]]) -> Steps | None:
    logged = [each for each in scalars if TRAINING & set(each) and each.get('time')]
    if not logged:
        return None
    waiting = mean(each.get('data_time', 0) / each['time'] for each in logged)
    memory = [each['memory'] for each in logged if 'memory' in each]
    return Steps(median(each['time'] for each in logged), waiting, max(memory, default=None))


def _config(path: Path) -> tuple[Mapping[str, Any] | None, str]:
    """The config that was trained, and why there is none.

    A test of the student writes its own config beside the run's: of several, one with mentors is
    the run's.
    """
    newest = sorted(path.glob('*/vis_data/config.py'), reverse=True)
    own = [each for each in sorted(path.glob('*.py')) if each.name != 'student.py']
    found, fault = [], 'its work dir holds no config'
    for file in (*newest, *own):
        try:
            found.append(_as_begun(read_dumped(file), path))
        except ValueError as error:
            fault = str(error)
    taught = [cfg for cfg in found if 'mentors' in (cfg.get('model') or {})]  # type: ignore
    return next(iter((*taught, *found)), None), fault


def _as_begun(cfg: Mapping[str, object], path: Path) -> Mapping[str, object]:
    try:
        return from_its_start(cfg, path)
    except ValueError:  # its load_from, what it was resumed from, tells it apart from others
        return cfg


def _checkpoint(path: Path) -> Path | None:
    """The file that MMEngine says is the last, wherever the work dir lies now; else the newest."""
    last = last_checkpoint(path)
    if last is not None and last.is_file():
        return last
    files = [*path.glob('epoch_*.pth'), *path.glob('iter_*.pth')]
    return max(files, key=_number, default=None)


def _number(file: Path) -> int:
    digits = re.search(r'(\d+)$', file.stem)
    return int(digits[1]) if digits else 0
