"""Frozen networks and what adapts them to the student's inputs."""

from .checkpoint import load_weights
from .mentor import Classroom, Mentor, build_mentor

__all__ = ['Classroom', 'Mentor', 'build_mentor', 'load_weights']
