"""What a run needs beside its model: the student's config, random numbers and views that resume."""

from .amp import CpuAmpOptimWrapper
from .bases import dropped_hooks
from .faults import explained
from .load_from import take_what_fits, trains_from_load_from
from .mentor_paths import read_classroom, with_mentor_folder
from .own_crops import cut_later_crops, cutting_own_crops
from .ranks import ranks
from .safe_loading import loading_safely
from .seeds import same_random_state, seed_epoch
from .setup import Setup, other_mentors, other_settings, setup_of
from .short_lines import short_lines
from .student_config import STUDENT_FILE, is_classroom, student_config, with_classroom_hook
from .views import with_view_sampler
from .whole_files import whole_checkpoints
from .work_dir import alone_in, last_checkpoint, no_folder, own_file

__all__ = [
    'STUDENT_FILE',
    'CpuAmpOptimWrapper',
    'Setup',
    'alone_in',
    'cut_later_crops',
    'cutting_own_crops',
    'dropped_hooks',
    'explained',
    'is_classroom',
    'last_checkpoint',
    'loading_safely',
    'no_folder',
    'other_mentors',
    'other_settings',
    'own_file',
    'ranks',
    'read_classroom',
    'same_random_state',
    'seed_epoch',
    'setup_of',
    'short_lines',
    'student_config',
    'take_what_fits',
    'trains_from_load_from',
    'whole_checkpoints',
    'with_classroom_hook',
    'with_mentor_folder',
    'with_view_sampler',
]
