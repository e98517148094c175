"""Mentoring rules: they give each lesson its temperature."""

from collections.abc import Sequence
from typing import Optional

from torch import Tensor

from ..functional import adaptive_temperature, dynamic_temperatures
from ..registry import MODELS
from ..structures import Lesson
from .base import Mentoring


@MODELS.register_module()
class AdaptiveMentoring(Mentoring):
    """The further a mentor is ahead, the gentler it teaches (ClassroomKD).

    Args:
        alpha: The temperature's range, ``tau = 1 + alpha * gap``, not negative.

    Raises:
        ValueError: If alpha is negative.
    """

    def __init__(self, alpha: float) -> None:
        if alpha < 0:
            raise ValueError(
                f'mentoring.alpha={alpha} is negative: a temperature would fall below 1'
            )
        self.alpha = alpha

    def forward(
        self, lesson: Lesson, student: Optional[Tensor] = None, mentors: Sequence[Tensor] = ()
    ) -> Tensor:
        """Temperatures ``(M, N, K')``."""
        return adaptive_temperature(lesson.ranks, lesson.active, self.alpha, lesson.rival)


@MODELS.register_module()
class FixedMentoring(Mentoring):
    """One temperature for all lessons.

    Args:
        tau: The temperature, positive.

    Raises:
        ValueError: If tau is not positive.
    """

    def __init__(self, tau: float) -> None:
        self.tau = _positive(tau)

    def forward(
        self, lesson: Lesson, student: Optional[Tensor] = None, mentors: Sequence[Tensor] = ()
    ) -> Tensor:
        """Temperatures ``(M, N, K')``."""
        return lesson.ranks.new_full(lesson.active.shape, self.tau)


@MODELS.register_module()
class DTKDMentoring(Mentoring):
    """Dynamic temperatures from the largest logits, one for each side (DTKD).

    Args:
        tau: The reference temperature, positive.

    Raises:
        ValueError: If tau is not positive.
    """

    def __init__(self, tau: float) -> None:
        self.tau = _positive(tau)

    def forward(
        self, lesson: Lesson, student: Tensor, mentors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The mentors' and the student's temperatures, each ``(M, N, K)``.

        Args:
            lesson: Whose mentors may know only some classes.
            student: Logits ``(N, K, D)``.
            mentors: M logits ``(N, K, D)``, or of ``lesson.places`` alone.
        """
        return dynamic_temperatures(student, mentors, self.tau, lesson.places)


def _positive(tau: float) -> float:
    if tau <= 0:
        raise ValueError(f'mentoring.tau={tau} is not positive')
    return tau
