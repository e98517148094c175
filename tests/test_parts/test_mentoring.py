"""Temperatures as a lesson asks for them."""

import re
from dataclasses import replace

import pytest
import torch

from classroomkd_mm.functional import adaptive_temperature, dynamic_temperatures
from classroomkd_mm.parts import AdaptiveMentoring, DTKDMentoring, FixedMentoring
from classroomkd_mm.structures import Lesson

M, N, K, D = 2, 3, 4, 5


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def lesson(**fields):
    active = rand(M, N, K, seed=1) > 0.3
    return Lesson(active, active.float(), rand(1 + M, N, K, seed=2), **fields)


@pytest.mark.parametrize('rival', [None, rand(M, N, K, seed=3)], ids=['of all', 'of some'])
def test_the_further_ahead_the_gentler(rival):
    plan = lesson(rival=rival)
    want = adaptive_temperature(plan.ranks, plan.active, 3.0, rival)
    assert torch.equal(AdaptiveMentoring(3.0)(plan), want) and (want > 1).any()
    assert (AdaptiveMentoring(0)(plan) == 1).all()


def test_one_temperature_is_of_the_ranks_kind():
    plan = lesson()
    tau = FixedMentoring(0.5)(plan)
    assert torch.equal(tau, torch.full((M, N, K), 0.5))
    double = FixedMentoring(2.0)(replace(plan, ranks=plan.ranks.double()))
    assert double.dtype is torch.float64


@pytest.mark.parametrize('places', [None, (torch.tensor([3, 1]), None)], ids=['all', 'some'])
def test_dynamic_temperatures_are_of_the_classes_that_a_mentor_knows(places):
    student, plan = rand(N, K, D, seed=4), lesson(places=places)
    mentors = [rand(N, K, 2 if places else D, seed=5), rand(N, K, D, seed=6)]
    got = DTKDMentoring(3.0)(plan, student, mentors)
    assert all(map(torch.equal, got, dynamic_temperatures(student, mentors, 3.0, places)))


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda: AdaptiveMentoring(-1), 'alpha=-1 is negative: a temperature would fall below 1'),
        (lambda: FixedMentoring(0), 'tau=0 is not positive'),
        (lambda: DTKDMentoring(-1), 'tau=-1 is not positive'),
    ],
)
def test_wrong_settings_are_told_in_full(make, words):
    with pytest.raises(ValueError, match=f'^mentoring.{re.escape(words)}$'):
        make()
