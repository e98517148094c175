"""Classroom knowledge distillation (arXiv 2409.20237) inside OpenMMLab's runner."""

from . import compat  # noqa: F401  (first: it is what lets MMPose import)
from .distillers import ClassroomDistiller
from .filters import KnowledgeFilter, UniformFilter
from .hooks import ClassroomHook, MentorEvalHook
from .losses import KLDistillLoss, MSEDistillLoss
from .mentoring import AdaptiveMentoring, FixedMentoring
from .scorers import OKSScorer, PCKScorer
from .version import __version__

__all__ = [
    'AdaptiveMentoring',
    'ClassroomDistiller',
    'ClassroomHook',
    'FixedMentoring',
    'KLDistillLoss',
    'KnowledgeFilter',
    'MSEDistillLoss',
    'MentorEvalHook',
    'OKSScorer',
    'PCKScorer',
    'UniformFilter',
    '__version__',
]
