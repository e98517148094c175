"""What a run needs beside its model: the student's config, random numbers and views that resume."""

from .bases import dropped_hooks
from .load_from import take_what_fits, trains_from_load_from
from .mentor_paths import with_mentor_folder
from .own_crops import cut_later_crops, cutting_own_crops
from .ranks import ranks
from .seeds import same_random_state, seed_epoch
from .setup import Setup, other_mentors, other_settings, setup_of
from .student_config import STUDENT_FILE, is_classroom, student_config, with_classroom_hook
from .views import with_view_sampler

__all__ = [
    'STUDENT_FILE',
    'Setup',
    'cut_later_crops',
    'cutting_own_crops',
    'dropped_hooks',
    'is_classroom',
    'other_mentors',
    'other_settings',
    'ranks',
    'same_random_state',
    'seed_epoch',
    'setup_of',
    'student_config',
    'take_what_fits',
    'trains_from_load_from',
    'with_classroom_hook',
    'with_mentor_folder',
    'with_view_sampler',
]
