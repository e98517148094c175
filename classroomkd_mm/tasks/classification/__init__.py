"""Image classification."""

from .bridge import ClassBridge
from .networks import is_classifier
from .task import ClassificationTask

__all__ = ['ClassBridge', 'ClassificationTask', 'is_classifier']
