"""What a lesson is made of: scorer, filter, mentoring rule and loss, each a registered class."""

from .base import DistillLoss, Filter, Mentoring, Metainfo, Part, Scorer
from .build import build_part, check_scores, rehearse
from .filters import ConfidenceFilter, EntropyFilter, KnowledgeFilter, UniformFilter
from .label_loss import LabelKLLoss
from .losses import DISTDistillLoss, DKDDistillLoss, KLDistillLoss, MSEDistillLoss
from .mentoring import AdaptiveMentoring, DTKDMentoring, FixedMentoring
from .scorers import OKSScorer, PCKScorer, TrueClassScorer

__all__ = [
    'AdaptiveMentoring',
    'ConfidenceFilter',
    'DISTDistillLoss',
    'DKDDistillLoss',
    'DTKDMentoring',
    'DistillLoss',
    'EntropyFilter',
    'Filter',
    'FixedMentoring',
    'KLDistillLoss',
    'KnowledgeFilter',
    'LabelKLLoss',
    'MSEDistillLoss',
    'Mentoring',
    'Metainfo',
    'OKSScorer',
    'PCKScorer',
    'Part',
    'Scorer',
    'TrueClassScorer',
    'UniformFilter',
    'build_part',
    'check_scores',
    'rehearse',
]
