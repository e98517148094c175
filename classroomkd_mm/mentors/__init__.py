"""Frozen networks and what adapts them to the student's inputs."""

from .checkpoint import load_weights
from .mentor import Classroom, Mentor, as_float, build_mentor

__all__ = ['Classroom', 'Mentor', 'as_float', 'build_mentor', 'load_weights']
