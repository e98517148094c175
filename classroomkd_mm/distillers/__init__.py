"""The distiller."""

from .classroom import ClassroomDistiller

__all__ = ['ClassroomDistiller']
