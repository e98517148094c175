"""Frozen networks, and what they see of the student's inputs. They know nothing of tasks."""

from .cheap import CheapNetwork
from .checkpoint import load_weights
from .mentor import Mentor, WholeConfig
from .settings import MentorSettings
from .view import Convention, InputView

__all__ = [
    'CheapNetwork',
    'Convention',
    'InputView',
    'Mentor',
    'MentorSettings',
    'WholeConfig',
    'load_weights',
]
