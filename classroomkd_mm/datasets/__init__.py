"""The embedded synthetic pose data set."""

from .synthetic_people import make_synthetic_people

__all__ = ['make_synthetic_people']
