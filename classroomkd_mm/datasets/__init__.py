"""The embedded synthetic pose data set, fixed views of any, and what must be known of others."""

from .colours import colour_order
from .fixed_views import (
    FixedViews,
    InfiniteViewSampler,
    ViewSampler,
    find_fixed_views,
    own_random_numbers,
    view_numbers,
)
from .own_crops import Wanted, cut_own_crops, own_crops
from .synthetic_people import SPLITS, make_synthetic_people
from .wrappers import stated_metainfo

__all__ = [
    'SPLITS',
    'FixedViews',
    'InfiniteViewSampler',
    'ViewSampler',
    'Wanted',
    'colour_order',
    'cut_own_crops',
    'find_fixed_views',
    'make_synthetic_people',
    'own_crops',
    'own_random_numbers',
    'stated_metainfo',
    'view_numbers',
]
