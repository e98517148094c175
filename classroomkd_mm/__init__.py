"""Classroom knowledge distillation (arXiv 2409.20237) inside OpenMMLab's runner."""

from . import (
    backbones,  # noqa: F401  (registers them)
    compat,  # noqa: F401  (first: it is what lets MMPose import)
    shipped,  # noqa: F401  (makes classroomkd_mm::PATH known)
)
from .distiller import ClassroomDistiller
from .hooks import ClassroomHook, MentorEvalHook
from .parts import (
    AdaptiveMentoring,
    ConfidenceFilter,
    DISTDistillLoss,
    DKDDistillLoss,
    DTKDMentoring,
    EntropyFilter,
    FixedMentoring,
    KLDistillLoss,
    KnowledgeFilter,
    LabelKLLoss,
    MSEDistillLoss,
    OKSScorer,
    PCKScorer,
    TrueClassScorer,
    UniformFilter,
)
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
    'LabelKLLoss',
    'MSEDistillLoss',
    'MentorEvalHook',
    'OKSScorer',
    'PCKScorer',
    'TrueClassScorer',
    'UniformFilter',
    '__version__',
]
