"""Hooks: who taught how much, are the mentors any good, and how a run is told to stop."""

from .classroom_hook import ClassroomHook
from .mentor_eval_hook import MentorEvalHook
from .stop_hook import StopHook

__all__ = ['ClassroomHook', 'MentorEvalHook', 'StopHook']
