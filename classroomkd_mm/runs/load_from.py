"""What a run takes of the file that ``load_from`` names."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from ..distiller import ClassroomDistiller
from ..loading import what_fits


def trains_from_load_from(runner: Runner) -> bool:
    """Whether what is loaded is what a new training begins from: not a resume, and no test."""
    return not runner._resume and isinstance(runner._train_loop, BaseLoop)


def take_what_fits(model: ClassroomDistiller, checkpoint: dict[str, Any], source: str) -> None:
    """Make a checkpoint one of the whole student: what it lacks is as the student has it now.

    So the model's own loading stays strict, and averages (``EMAHook``) take the same weights.
    What does not fit is told in one warning. It is loaded into a copy first, which knows what the
    student's layers rename and convert in old files.

    Args:
        model: The student in its classroom, initialised.
        checkpoint: As it was read, with or without ``state_dict``; changed in place.
        source: The file, for the log and for errors.

    Raises:
        RuntimeError: Where less than half of the backbone's parameters fit.
    """
    trial = model.export()
    with what_fits(trial, f'load_from={source!r}', getattr(trial, 'backbone', trial)):
        trial.load_state_dict(_weights(checkpoint), strict=False)
    checkpoint['state_dict'] = trial.state_dict()


def _weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The weights as MMEngine's loader names them."""
    weights = checkpoint.get('state_dict', checkpoint)
    named = OrderedDict((re.sub(r'^module\.', '', key), value) for key, value in weights.items())
    # Layers' versions, by which torch and MMPose know what to convert.
    named._metadata = getattr(weights, '_metadata', {})  # type: ignore[attr-defined]
    return named
