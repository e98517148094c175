"""Pure tensor functions of the method; torch is all they import."""

from .distillation import kl_distill, mse_distill
from .heatmaps import decode_heatmaps, resample_heatmaps
from .ranks import active_mentors, batch_score, member_ranks, sample_score
from .scores import keypoint_pck, keypoint_similarity
from .temperatures import adaptive_temperature

__all__ = [
    'active_mentors',
    'adaptive_temperature',
    'batch_score',
    'decode_heatmaps',
    'keypoint_pck',
    'keypoint_similarity',
    'kl_distill',
    'member_ranks',
    'mse_distill',
    'resample_heatmaps',
    'sample_score',
]
