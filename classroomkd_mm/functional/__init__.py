"""Pure tensor functions of the method; torch is all they import."""

from .gradients import (
    agreement_odds,
    balance_gradient,
    gradient_agreement,
    gradient_norm,
    project_gradient,
    with_gradient,
)
from .grids import Scale, decode_heatmaps, resample_heatmaps
from .losses import dist_distill, dkd_distill, kl_distill, mse_distill
from .ranks import active_mentors, batch_score, member_ranks, ordinal_positions, sample_score
from .scores import keypoint_pck, keypoint_similarity, target_among, true_class_probability
from .simcc import decode_simcc, heatmap_marginals, product_heatmap, resample_bins
from .temperatures import adaptive_temperature, dynamic_temperatures
from .weights import confidence_weights, entropy_weights

__all__ = [
    'Scale',
    'active_mentors',
    'adaptive_temperature',
    'agreement_odds',
    'balance_gradient',
    'batch_score',
    'confidence_weights',
    'decode_heatmaps',
    'decode_simcc',
    'dist_distill',
    'dkd_distill',
    'dynamic_temperatures',
    'entropy_weights',
    'gradient_agreement',
    'gradient_norm',
    'heatmap_marginals',
    'keypoint_pck',
    'keypoint_similarity',
    'kl_distill',
    'member_ranks',
    'mse_distill',
    'ordinal_positions',
    'product_heatmap',
    'project_gradient',
    'resample_bins',
    'resample_heatmaps',
    'sample_score',
    'target_among',
    'true_class_probability',
    'with_gradient',
]
