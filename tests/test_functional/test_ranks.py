"""Knowledge filtering against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    active_mentors,
    batch_score,
    member_ranks,
    ordinal_positions,
    sample_score,
)

from .support import chosen, quick, rand, seeds


@quick
@given(seeds, st.integers(1, 4), st.integers(0, 5), st.sampled_from([None, 2]))
def test_ranks_and_activity_equal_plain_loops(seed, mentors, samples, decimals):
    w = rand(1 + mentors, samples, 3, seed=seed)
    w[:, : samples // 2] = 0
    ranks = member_ranks(w, decimals)
    active = active_mentors(ranks)
    strict = active_mentors(ranks, strict=True)
    for n in range(samples):
        for k in range(3):
            total = sum(w[c, n, k].item() for c in range(1 + mentors))
            r = [w[c, n, k].item() / total if total else 0.0 for c in range(1 + mentors)]
            r = [mentors * (v if decimals is None else round(v, decimals)) for v in r]
            np.testing.assert_allclose(ranks[:, n, k], r, atol=1e-5 if decimals is None else 0.011)
            r = ranks[:, n, k].tolist()
            for m in range(mentors):
                teaches = r[m + 1] >= r[0] and r[m + 1] > 0
                assert active[m, n, k].item() == teaches
                assert strict[m, n, k].item() == (r[m + 1] > r[0] and r[m + 1] > 0)


@quick
@given(seeds, st.floats(0.1, 0.9))
def test_ranks_do_not_change_with_the_scale_and_follow_a_permutation(seed, factor):
    w = rand(4, 5, 1, seed=seed)
    torch.testing.assert_close(member_ranks(w * factor), member_ranks(w))
    order = [0, 3, 1, 2]
    torch.testing.assert_close(member_ranks(w[order]), member_ranks(w)[order])


def test_sample_and_batch_scores_equal_plain_loops():
    w, labelled = rand(3, 4, 5), rand(4, 5, seed=1) > 0.5
    labelled[0] = False
    got = sample_score(w, labelled)
    assert (got[:, 0] == 0).all()
    for c in range(3):
        for n in range(1, 4):
            values = [w[c, n, k].item() for k in range(5) if labelled[n, k]]
            assert got[c, n, 0].item() == pytest.approx(sum(values) / max(len(values), 1))
    probs = rand(2, 4, 1)
    geometric = batch_score(probs, geometric=True)
    for c in range(2):
        want = math.exp(sum(math.log(p) for p in probs[c, :, 0].tolist()) / 4)
        assert geometric[c].tolist() == [[pytest.approx(want)]] * 4
    assert batch_score(probs, geometric=False)[1, 2, 0] == pytest.approx(probs[1].mean().item())


def test_ordinal_positions_share_the_higher_place_and_zero_earns_none():
    scores = torch.tensor([0.3, 0.9, 0.3, 0.0])[:, None, None]
    assert ordinal_positions(scores).flatten().tolist() == [3.0, 4.0, 3.0, 0.0]


@quick
@given(seeds)
def test_the_sample_score_of_members_that_know_different_keypoints(seed):
    w, labelled = rand(3, 4, 5, seed=seed), rand(3, 4, 5, seed=seed + 1) > 0.4
    labelled[1, 2] = False
    w[~labelled] = math.nan  # what nobody labelled is not looked at
    got = sample_score(w, labelled)
    assert got.shape == (3, 4, 1) and got[1, 2] == 0
    for c in range(3):
        for n in range(4):
            values = [w[c, n, k].item() for k in range(5) if labelled[c, n, k]]
            assert got[c, n, 0].item() == pytest.approx(sum(values) / max(len(values), 1))


def test_one_mask_for_all_members_is_the_same_mask_for_each():
    w, labelled = rand(3, 4, 5), rand(4, 5, seed=1) > 0.5
    assert torch.equal(sample_score(w, labelled), sample_score(w, labelled.expand(3, 4, 5)))


@quick
@given(seeds, st.booleans())
def test_the_batch_score_of_the_samples_that_count(seed, geometric):
    w, counts = rand(3, 5, 1, seed=seed), rand(3, 5, 1, seed=seed + 1) > 0.4
    counts[2] = False
    w[~counts] = math.nan
    got = batch_score(w, geometric, counts)
    assert got.shape == w.shape
    for c in range(3):
        values = [v for v, counted in zip(w[c].flatten().tolist(), counts[c].flatten()) if counted]
        want = sum(math.log(v) if geometric else v for v in values) / max(len(values), 1)
        want = (math.exp(want) if geometric else want) if values else 0.0
        assert got[c].flatten().tolist() == [pytest.approx(want, rel=1e-5)] * 5


@pytest.mark.parametrize('geometric', [False, True])
def test_the_batch_score_where_all_samples_count_is_that_without_a_mask(geometric):
    w = rand(3, 5, 1)
    masked = batch_score(w, geometric, torch.ones_like(w, dtype=torch.bool))
    torch.testing.assert_close(masked, batch_score(w, geometric))
    assert batch_score(w[:, :0], geometric, w[:, :0] > 0).shape == (3, 0, 1)


@quick
@given(seeds, st.sampled_from([None, 2]), st.booleans())
def test_ranks_and_places_are_those_of_a_classroom_without_the_mentors_that_do_not_count(
    seed, decimals, ordinal
):
    w, counts = rand(4, 6, 2, seed=seed), rand(3, 6, 2, seed=seed + 1) > 0.4
    w[1:][~counts] = 0
    w[0, :, 0] = 0.3
    w[1, :, 0] = torch.where(counts[0, :, 0], 0.3, 0)  # equal to the student
    scores = ordinal_positions(w, counts) if ordinal else w
    got = member_ranks(scores, decimals, counts.sum(0))
    assert torch.equal(got, member_ranks(scores, decimals, counts.sum(0, keepdim=True)))
    for n in range(6):
        for k in range(2):
            there = counts[:, n, k].tolist()
            alone = torch.stack(chosen(w[:, n, k], there))
            want = member_ranks(ordinal_positions(alone) if ordinal else alone, decimals)
            torch.testing.assert_close(torch.stack(chosen(got[:, n, k], there)), want)
            assert not got[1:, n, k][~counts[:, n, k]].any()


def test_who_does_not_count_has_no_place_however_high_the_score():
    w = torch.tensor([[0.3, 0.3], [0.9, 0.0], [0.4, 0.9]])
    counts = torch.tensor([[False, True], [True, False]])
    assert ordinal_positions(w, counts).tolist() == [[1.0, 2.0], [0.0, 0.0], [2.0, 0.0]]


def test_where_all_count_ranks_and_places_are_those_without_a_mask():
    w = rand(4, 6, 2)
    everyone = torch.ones(3, 6, 2, dtype=torch.bool)
    assert torch.equal(member_ranks(w, count=everyone.sum(0)), member_ranks(w))
    assert torch.equal(ordinal_positions(w, everyone), ordinal_positions(w))
    assert torch.equal(ordinal_positions(w, everyone[:, :1, :1]), ordinal_positions(w))
    assert ordinal_positions(w[:1], everyone[:0]).unique().tolist() == [1.0]


def test_who_counts_is_the_same_in_each_of_several_classes():
    w, counts = rand(4, 3, 6, 2), rand(3, 6, 2, seed=1) > 0.4
    got = ordinal_positions(w, counts)
    for i in range(3):
        assert torch.equal(got[:, i], ordinal_positions(w[:, i], counts))


@quick
@given(seeds, st.booleans())
def test_a_mentor_is_compared_with_the_students_rank_against_it(seed, strict):
    ranks, student = rand(4, 5, 2, seed=seed), rand(3, 5, 2, seed=seed + 1)
    ranks[1, 0] = student[0, 0] = 0.5
    ranks[2, 1] = student[1, 1] = 0
    got = active_mentors(ranks, strict, student)
    for m in range(3):
        for n in range(5):
            for k in range(2):
                r, s = ranks[m + 1, n, k].item(), student[m, n, k].item()
                assert got[m, n, k].item() == ((r > s if strict else r >= s) and r > 0)
    same = ranks[:1].expand(3, -1, -1)
    assert torch.equal(active_mentors(ranks, strict, same), active_mentors(ranks, strict))
