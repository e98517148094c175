"""Temperatures against plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    active_mentors,
    adaptive_temperature,
    dynamic_temperatures,
    member_ranks,
)

from .support import quick, rand, seeds


@quick
@given(seeds, st.integers(1, 4), st.integers(0, 5), st.sampled_from([None, 2]))
def test_adaptive_temperatures_equal_plain_loops(seed, mentors, samples, decimals):
    w = rand(1 + mentors, samples, 3, seed=seed)
    w[:, : samples // 2] = 0
    ranks = member_ranks(w, decimals)
    active = active_mentors(ranks)
    tau = adaptive_temperature(ranks, active, alpha=3.0)
    for n in range(samples):
        for k in range(3):
            r = ranks[:, n, k].tolist()
            for m in range(mentors):
                teaches = active[m, n, k].item()
                want = 1 + 3 * (r[m + 1] - r[0]) / max(r[m + 1], r[0]) if teaches else 1
                assert tau[m, n, k].item() == pytest.approx(want, rel=1e-5)


@quick
@given(seeds)
def test_the_gap_is_that_to_the_students_rank_against_the_mentor(seed):
    ranks, student = rand(4, 5, 2, seed=seed), rand(3, 5, 2, seed=seed + 1)
    ranks[2, 1] = student[1, 1] = 0
    active = rand(3, 5, 2, seed=seed + 2) > 0.3  # some of them behind the student
    tau = adaptive_temperature(ranks, active, 12.0, student)
    for m in range(3):
        for n in range(5):
            for k in range(2):
                r, s = ranks[m + 1, n, k].item(), student[m, n, k].item()
                want = 1 + 12 * (r - s) / r if active[m, n, k] and r > s else 1
                assert tau[m, n, k].item() == pytest.approx(want, rel=1e-5)
    same = ranks[:1].expand(3, -1, -1)
    want = adaptive_temperature(ranks, active, 12.0)
    assert torch.equal(adaptive_temperature(ranks, active, 12.0, same), want)


def test_without_a_filter_a_mentor_behind_the_student_teaches_at_temperature_one():
    ranks = torch.tensor([0.9, 0.1, 1.0])[:, None, None]
    everyone = torch.ones(2, 1, 1, dtype=torch.bool)
    tau = adaptive_temperature(ranks, everyone, alpha=12.0).flatten()
    torch.testing.assert_close(tau, torch.tensor([1.0, 1 + 12 * 0.1]))


def test_dynamic_temperatures():
    student = torch.tensor([[[6.0, 1.0]], [[-1.0, -2.0]]])
    mentors = [torch.tensor([[[2.0, 0.0]], [[3.0, 0.0]]])]
    tau, tau_s = dynamic_temperatures(student, mentors, 4.0)
    assert tau[0].flatten().tolist() == [2.0, 4.0]  # 2 * 4 * 2 / 8; the second is not positive
    assert tau_s[0].flatten().tolist() == [6.0, 4.0]
    assert dynamic_temperatures(student, [], 4.0)[0].shape == (0, 2, 1)


@quick
@given(seeds, st.floats(1e-3, 1e3))
def test_dynamic_temperatures_look_at_what_a_mentor_knows_and_equal_plain_loops(seed, scale):
    student = scale * (rand(4, 3, 6, seed=seed) - 0.2)
    places = [None, torch.tensor([4, 1]), torch.tensor([0, 2, 5])]
    sizes = [6 if each is None else len(each) for each in places]
    mentors = [rand(4, 3, size, seed=seed + 1 + m) - 0.2 for m, size in enumerate(sizes)]
    tau, tau_s = dynamic_temperatures(student, mentors, 3.0, places)
    assert tau.shape == tau_s.shape == (3, 4, 3)
    for m, each in enumerate(places):
        for n in range(4):
            for k in range(3):
                row = student[n, k].tolist()
                x = max(row if each is None else [row[d] for d in each.tolist()])
                y = max(mentors[m][n, k].tolist())
                theirs, ours = (6 * y / (x + y), 6 * x / (x + y)) if min(x, y) > 0 else (3, 3)
                assert tau[m, n, k].item() == pytest.approx(theirs, rel=1e-4)
                assert tau_s[m, n, k].item() == pytest.approx(ours, rel=1e-4)
    whole = dynamic_temperatures(student, mentors[:1], 3.0, [None])
    assert all(map(torch.equal, whole, dynamic_temperatures(student, mentors[:1], 3.0)))


@pytest.mark.parametrize('x, y', [(0.0, 0.0), (1e4, 1e-4), (1e-4, 1e4), (-1.0, -3.0)])
def test_where_the_largest_logits_say_nothing_both_temperatures_are_the_reference(x, y):
    tau, tau_s = dynamic_temperatures(
        torch.tensor([[[x, x - 1]]]), [torch.tensor([[[y, y - 1]]])], 4.0
    )
    assert tau.item() == tau_s.item() == 4.0
