"""What a run needs beside its model: the student's config, random numbers and views that resume."""

from .seeds import same_random_state, seed_epoch
from .student_config import STUDENT_FILE, is_classroom, student_config, with_classroom_hook
from .views import with_view_sampler

__all__ = [
    'STUDENT_FILE',
    'is_classroom',
    'same_random_state',
    'seed_epoch',
    'student_config',
    'with_classroom_hook',
    'with_view_sampler',
]
