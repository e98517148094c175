"""Numbers of the command line: what is none is refused in words, with the flag."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from contextlib import suppress


def positive(argument: str) -> int:
    """A whole number from 1 on.

    Raises:
        ArgumentTypeError: For anything else.

    >>> positive('8')
    8
    """
    return _whole(argument, 1)


def not_negative(argument: str) -> int:
    """A whole number from 0 on.

    Raises:
        ArgumentTypeError: For anything else.

    >>> not_negative('0')
    0
    """
    return _whole(argument, 0)


def fraction(argument: str) -> float:
    """A number above 0 and at most 1.

    Raises:
        ArgumentTypeError: For anything else.

    >>> fraction('0.1')
    0.1
    """
    return _within(argument, 1.0, 'above 0 and at most 1')


def above_zero(argument: str) -> float:
    """A number above 0.

    Raises:
        ArgumentTypeError: For anything else, infinity as well.

    >>> above_zero('19.5')
    19.5
    """
    return _within(argument, math.inf, 'a number above 0')


def _whole(argument: str, least: int) -> int:
    with suppress(ValueError):
        if int(argument) >= least:
            return int(argument)
    raise ArgumentTypeError(f'{argument} is not a whole number from {least} on')


def _within(argument: str, most: float, words: str) -> float:
    with suppress(ValueError):
        if 0 < float(argument) <= most and math.isfinite(float(argument)):
            return float(argument)
    raise ArgumentTypeError(f'{argument} is not {words}')
