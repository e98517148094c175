"""Top-down pose estimation."""

from .bridge import PoseBridge
from .task import PoseTask

__all__ = ['PoseBridge', 'PoseTask']
