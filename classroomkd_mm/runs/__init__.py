"""What a run needs beside its model: the student's own config, and random numbers that resume."""

from .seeds import same_random_state, seed_epoch
from .student_config import STUDENT_FILE, is_classroom, student_config, with_classroom_hook

__all__ = [
    'STUDENT_FILE',
    'is_classroom',
    'same_random_state',
    'seed_epoch',
    'student_config',
    'with_classroom_hook',
]
