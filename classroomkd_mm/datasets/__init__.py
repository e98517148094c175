"""The embedded synthetic pose data set, fixed views of any, and what must be known of others."""

from .colours import colour_order
from .fixed_views import FixedViews, InfiniteViewSampler, ViewSampler
from .synthetic_people import make_synthetic_people

__all__ = [
    'FixedViews',
    'InfiniteViewSampler',
    'ViewSampler',
    'colour_order',
    'make_synthetic_people',
]
