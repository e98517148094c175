"""What the method must know of a task."""

from typing import Any

from torch import nn

from ..registry import TASKS
from .base import Bridge, NetworkConfig, Samples, Task
from .classification import ClassificationTask
from .pose import PoseTask

__all__ = [
    'Bridge',
    'ClassificationTask',
    'NetworkConfig',
    'PoseTask',
    'Samples',
    'Task',
    'build_task',
]


def build_task(student: nn.Module, sharpness: float = 1.0) -> Task[Any]:
    """The task that a stock model solves: the last one registered that fits it.

    Args:
        student: The model.
        sharpness: What turns its outputs into natural logits for the distillation loss.

    Raises:
        ValueError: Where it is none of those that are known, and the task's own.
        TypeError: For a registered class that is no task.
    """
    for name, task in reversed(TASKS.module_dict.items()):
        if not issubclass(task, Task):
            raise TypeError(
                f'the registered task {name} must derive from classroomkd_mm.tasks.Task'
            )
        if task.fits(student):
            return task(student, sharpness)
    raise ValueError(
        f'student={type(student).__name__} fits none of the tasks {sorted(TASKS.module_dict)}: it '
        "must be one of MMPose's or MMPretrain's models, or its task be registered (custom_imports)"
    )
