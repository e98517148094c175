"""Statistics against plain loops and books."""

import itertools
import math
import random

import pytest

from classroomkd_mm.benchmark.statistics import gaps, holm, interval, p_value


def tail(ratio, free):
    """Two-sided tail of Student's t by a sum, no library."""
    steps = 200_000
    density = [
        (1 + (ratio * (i + 0.5) / steps) ** 2 / free) ** (-(free + 1) / 2) for i in range(steps)
    ]
    scale = math.exp(math.lgamma((free + 1) / 2) - math.lgamma(free / 2)) / math.sqrt(
        free * math.pi
    )
    return 1 - 2 * ratio * scale * sum(density) / steps


@pytest.mark.parametrize('seeds', [2, 3, 5, 9])
def test_p_is_students_tail_of_the_paired_gaps(seeds):
    rng = random.Random(seeds)
    found = [rng.gauss(0.5, 1) for _ in range(seeds)]
    middle = sum(found) / seeds
    error = math.sqrt(sum((gap - middle) ** 2 for gap in found) / (seeds - 1) / seeds)
    assert p_value(found) == pytest.approx(tail(abs(middle) / error, seeds - 1), abs=1e-6)


def test_gaps_without_spread_are_certain_or_nothing():
    assert p_value([0.0, 0.0, 0.0]) == 1.0 and p_value([0.5, 0.5]) == 0.0


def test_holm_by_hand():
    # Smallest first times 4, 3, 2, 1, never below the one before, at most 1.
    given = {('a', ''): 0.01, ('b', ''): 0.04, ('c', ''): 0.03, ('d', ''): 0.9}
    want = {('a', ''): 0.04, ('b', ''): 0.09, ('c', ''): 0.09, ('d', ''): 0.9}
    assert holm(given) == pytest.approx(want) and holm({}) == {}


def test_bootstrap_of_few_seeds_goes_through_all_draws():
    values = [0.1, 0.5, 0.6]
    means = sorted(sum(drawn) / 3 for drawn in itertools.product(values, repeat=3))

    def quantile(share):  # linear between the sorted values
        at = share * (len(means) - 1)
        low = int(at)
        return means[low] + (at - low) * (means[min(low + 1, len(means) - 1)] - means[low])

    assert interval(values, 'bootstrap') == pytest.approx((quantile(0.025), quantile(0.975)))


def test_bootstrap_of_many_seeds_is_near_the_normal_interval_and_repeats():
    rng = random.Random(0)
    values = [rng.gauss(0, 1) for _ in range(60)]
    low, high = interval(values, 'bootstrap')
    assert (low, high) == interval(values, 'bootstrap')
    assert (low, high) == pytest.approx(interval(values, 't'), abs=0.05)


def test_gaps_are_of_the_seeds_that_both_have():
    assert gaps({0: 1.0, 2: 5.0, 1: 2.0}, {2: 1.0, 0: 0.5, 7: 0.0}) == [0.5, 4.0]
