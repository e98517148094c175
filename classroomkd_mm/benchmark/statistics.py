"""Figures over seeds: intervals of paired differences, and how many of them chance would find."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

import numpy as np
from scipy.stats import t as student_t

CONFIDENCE = 0.95
DRAWS = 20_000  # of a bootstrap of more samples than can be gone through
WHOLE = 6  # samples of which all ways to draw them are: 6^6 are 46,656


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the confidence interval of a mean, ``t sd / sqrt(n)``, by Student's t.

    Args:
        values: At least two samples.
        confidence: Of the two-sided interval.
    """
    quantile = student_t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile) * stdev(values) / len(values) ** 0.5


def interval(
    values: Sequence[float], kind: str = 't', confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """A confidence interval of a mean.

    Args:
        values: At least two samples.
        kind: ``t``, or ``bootstrap``: the percentiles of the means of all ways to draw as many
            samples with replacement (of 20,000 random ones where there are more than 6 samples). Of
            few samples it is narrower than it says: the samples' own range bounds it.
        confidence: Of the two-sided interval.
    """
    if kind == 't':
        half = half_width(values, confidence)
        return mean(values) - half, mean(values) + half
    if len(values) <= WHOLE:
        means = [mean(drawn) for drawn in itertools.product(values, repeat=len(values))]
    else:
        rng = np.random.default_rng(0)
        means = list(rng.choice(values, (DRAWS, len(values))).mean(1))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def p_value(gaps: Sequence[float]) -> float:
    """Of a paired t-test, two-sided: how often chance alone makes a mean gap as large.

    Args:
        gaps: At least two paired differences.
    """
    middle, spread = mean(gaps), stdev(gaps)
    if spread == 0:
        return 1.0 if middle == 0 else 0.0
    ratio = abs(middle) / (spread / math.sqrt(len(gaps)))
    return float(2 * student_t.sf(ratio, len(gaps) - 1))


def holm(p_values: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The p values of one table, corrected for their number by Holm's step-down method."""
    if not p_values:
        return {}
    from statsmodels.stats.multitest import multipletests  # late: studies do without

    corrected = multipletests(list(p_values.values()), method='holm')[1]
    return dict(zip(p_values, map(float, corrected)))


def gaps(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Differences of the seeds that both have."""
    return [value - theirs[seed] for seed, value in sorted(ours.items()) if seed in theirs]
