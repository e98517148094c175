"""What the method must know of a task."""

from .heatmap import HeatmapTask

__all__ = ['HeatmapTask']
