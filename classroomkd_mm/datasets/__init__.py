"""The embedded synthetic pose data set, and what must be known of others."""

from .colours import colour_order
from .synthetic_people import make_synthetic_people

__all__ = ['colour_order', 'make_synthetic_people']
