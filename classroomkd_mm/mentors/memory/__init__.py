"""Mentors' answers, kept: a mentor is frozen, and is asked once for each view of each sample."""

from .codec import KEEP, Codec
from .facts import data_facts
from .plan import Plan, plan, size
from .records import Records
from .remembered import RememberedMentor
from .store import Answered, Memory, MentorMemory, open_memories

__all__ = [
    'KEEP',
    'Answered',
    'Codec',
    'Memory',
    'MentorMemory',
    'Plan',
    'Records',
    'RememberedMentor',
    'data_facts',
    'open_memories',
    'plan',
    'size',
]
