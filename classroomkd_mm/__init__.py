"""Classroom knowledge distillation (arXiv 2409.20237) inside OpenMMLab's runner."""

from . import (
    backbones,  # noqa: F401  (registers them)
    compat,  # noqa: F401  (first: it is what lets MMPose import)
)
from .distillers import ClassroomDistiller
from .filters import ConfidenceFilter, EntropyFilter, KnowledgeFilter, UniformFilter
from .hooks import ClassroomHook, MentorEvalHook
from .losses import DISTDistillLoss, DKDDistillLoss, KLDistillLoss, MSEDistillLoss
from .mentoring import AdaptiveMentoring, DTKDMentoring, FixedMentoring
from .scorers import OKSScorer, PCKScorer, TrueClassScorer
from .version import __version__

__all__ = [
    'AdaptiveMentoring',
    'ClassroomDistiller',
    'ClassroomHook',
    'ConfidenceFilter',
    'DISTDistillLoss',
    'DKDDistillLoss',
    'DTKDMentoring',
    'EntropyFilter',
    'FixedMentoring',
    'KLDistillLoss',
    'KnowledgeFilter',
    'MSEDistillLoss',
    'MentorEvalHook',
    'OKSScorer',
    'PCKScorer',
    'TrueClassScorer',
    'UniformFilter',
    '__version__',
]
