"""What the method must know of a task."""

from torch import nn

from .base import Task
from .classification import ClassificationTask, is_classifier
from .pose import PoseTask

__all__ = ['ClassificationTask', 'PoseTask', 'Task', 'build_task']


def build_task(student: nn.Module) -> Task:
    """The task that a stock model solves.

    Raises:
        ValueError: Where it is none of those that are known.
    """
    return ClassificationTask(student) if is_classifier(student) else PoseTask(student)
