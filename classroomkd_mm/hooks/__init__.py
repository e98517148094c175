"""Hooks: who taught how much, and are the mentors any good?"""

from .classroom_hook import ClassroomHook
from .mentor_eval_hook import MentorEvalHook

__all__ = ['ClassroomHook', 'MentorEvalHook']
