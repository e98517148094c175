"""A run's classroom, built anew from its dumped config and its last checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed
from mmengine.utils import import_modules_from_strings

from ..analysis.check import build_classroom, training_set
from ..datasets import FixedViews, find_fixed_views
from ..distiller import ClassroomDistiller
from ..mentors.checkpoint import read_state_dict
from .costs import ROUNDS, Cost, measured, remembered
from .lessons import RIGHT, Looked, fixed_numbers, look
from .logs import WorkDir

BATCH = 16


@dataclass(frozen=True)
class Asked:
    """What was asked of a run's classroom.

    Attributes:
        looked: The samples.
        cost: What a step costs.
        metainfo: The data set's.
        checkpoint: The student's.
    """

    looked: Looked
    cost: Cost
    metainfo: Mapping[str, Any]
    checkpoint: Path


@dataclass(frozen=True)
class How:
    """How a classroom is asked.

    Attributes:
        samples: How many training samples.
        right: From which score on a pose counts as right.
        device: Where it runs.
        advance: Told of each piece of work that is done.
    """

    samples: int = 64
    right: float = RIGHT
    device: str = 'cpu'
    advance: Callable[[int], None] = lambda done: None

    @property
    def work(self) -> int:
        """How many pieces of work there are, about: samples, and turns of the clock."""
        return self.samples + 1 + ROUNDS


def ask(run: WorkDir, how: How) -> Asked:
    """Look at samples with a run's classroom as it is at its end, and time it.

    Args:
        run: It.
        how: How it is asked.

    Raises:
        ValueError: Where the run left no config or checkpoint, or the parts do not fit.
        FileNotFoundError: Where a file of a mentor is missing.
    """
    if run.cfg is None:
        raise ValueError(run.fault)
    if run.checkpoint is None:
        raise ValueError(f'{run.path} holds no checkpoint (epoch_N.pth, iter_N.pth)')
    cfg = Config(copy.deepcopy(dict(run.cfg)))
    custom = cfg.get('custom_imports') or {}
    import_modules_from_strings(custom.get('imports'), custom.get('allow_failed_imports', False))
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        set_random_seed((cfg.get('randomness') or {}).get('seed') or 0)
        model, dataset = rebuilt(cfg, run.checkpoint, how.device)
        numbers = fixed_numbers(dataset, how.samples)
        kept = remembered(model, numbers)
        looked = look(model, dataset, numbers, batch_size(cfg, model), how.right, how.advance)
        cost = measured(model, dataset, numbers, kept, how.advance)
    return Asked(looked, cost, model.task.metainfo, run.checkpoint)


def rebuilt(cfg: Config, checkpoint: Path, device: str) -> tuple[ClassroomDistiller, FixedViews]:
    """The classroom with a checkpoint's student, prepared, and its training data.

    A memory is used where there is one; none is begun. Data that are not of fixed views get one
    view of each sample: two pages of one run show the same crops.
    """
    memory = cfg.model.get('memory')
    if memory is not None and not Path(memory.dir).expanduser().is_dir():
        memory = None
    model = build_classroom(cfg, memory=memory)
    model.load_state_dict(dict(read_state_dict(checkpoint, 'the student')))
    found = training_set(cfg, 'the gallery')
    fixed = find_fixed_views(found)
    dataset = FixedViews(found, views=1) if fixed is None else fixed
    model.to(device).prepare(dataset)
    return model, dataset


def batch_size(cfg: Config, model: ClassroomDistiller) -> int:
    """How many samples are asked at once: a run's own batches where these are ranked as a whole."""
    whole = getattr(model.knowledge_filter, 'granularity', '') == 'batch'
    own = int(cfg.train_dataloader.get('batch_size') or BATCH)
    return own if whole else min(own, BATCH)
