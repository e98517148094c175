"""The weights of other multi-teacher methods against plain loops, written from their papers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classroomkd_mm.functional import confidence_weights, entropy_weights

from .support import M, N, draw, quick, rand, seeds, softmax

FORMS = ('softmax', 'share')


@quick
@given(seeds)
def test_confidence_and_entropy_weights_equal_plain_loops(seed):
    _, mentors, _, _, target = draw(seed)
    scores = torch.stack([z[:, 0].softmax(-1).gather(-1, target) for z in mentors])
    confident, sure = confidence_weights(scores), entropy_weights(mentors)
    for n in range(N):
        p = [softmax(z[n, 0].tolist()) for z in mentors]
        ce = [-math.log(v[target[n, 0]]) for v in p]
        entropy = [-sum(v * math.log(v) for v in row) for row in p]
        for m in range(M):
            for got, values in ((confident, ce), (sure, entropy)):
                want = (1 - math.exp(values[m]) / sum(map(math.exp, values))) / (M - 1)
                assert got[m, n, 0].item() == pytest.approx(want, rel=1e-3, abs=1e-6)


def test_weights_sum_to_one_and_a_single_mentor_has_all():
    scores = torch.rand(3, 4, 1)
    scores[0, 0] = 0
    torch.testing.assert_close(confidence_weights(scores).sum(0), torch.ones(4, 1))
    assert (confidence_weights(scores[:1]) == 1).all()
    assert (entropy_weights([torch.randn(4, 1, 5)]) == 1).all()


def entropies(mentors, n):
    rows = [softmax(z[n, 0].tolist()) for z in mentors]
    return [-sum(p * math.log(p) for p in row) for row in rows]


def loop(values, form):
    """The weights of mentors with these cross-entropies or entropies."""
    if len(values) == 1:
        return [1.0]
    if form == 'share':
        return [1 - v / sum(values) for v in values]
    total = sum(math.exp(v) for v in values)
    return [(1 - math.exp(v) / total) / (len(values) - 1) for v in values]


@quick
@given(seeds)
def test_the_share_form_equals_plain_loops_and_sums_to_one_less_than_the_mentors(seed):
    mentors = [3 * rand(N, 1, 5, seed=seed + m) for m in range(3)]
    got = entropy_weights(mentors, form='share')
    for n in range(N):
        want = loop(entropies(mentors, n), 'share')
        assert got[:, n, 0].tolist() == pytest.approx(want, rel=1e-4)
    torch.testing.assert_close(got.sum(0), torch.full((N, 1), 2.0))


def test_the_share_form_of_one_mentor_and_of_mentors_that_are_all_sure():
    sure = torch.tensor([[[1e4, 0.0]]])
    assert entropy_weights([sure], form='share').item() == 1
    assert entropy_weights([torch.randn(4, 1, 5)], form='share').flatten().tolist() == [1.0] * 4
    assert entropy_weights([sure, sure], form='share').flatten().tolist() == [0.5, 0.5]


@pytest.mark.parametrize('counts', [None, torch.tensor([True, False, True])[:, None, None]])
def test_shares_of_mentors_that_are_almost_sure(counts):
    """However small the entropies, their shares are those of plain loops."""
    mentors = [torch.tensor([[[height, 0.0, 0.0]]]) for height in (6.0, 5.0, 7.0)]
    got = entropy_weights(mentors, counts, 'share').flatten().tolist()
    there = [0, 1, 2] if counts is None else [0, 2]
    values = [entropies(mentors, 0)[m] for m in there]
    assert sum(values) < 0.2
    assert [got[m] for m in there] == pytest.approx(loop(values, 'share'), rel=1e-4)


@pytest.mark.parametrize('form', FORMS)
def test_the_entropies_of_few_classes_count_as_those_of_the_most(form):
    sizes = (5, 2, 3, 5)
    mentors = [3 * rand(N, 1, size, seed=m) for m, size in enumerate(sizes)]
    got = entropy_weights(mentors, form=form)
    for n in range(N):
        own = [math.log(5) / math.log(size) for size in sizes]
        values = [h * more for h, more in zip(entropies(mentors, n), own)]
        assert got[:, n, 0].tolist() == pytest.approx(loop(values, form), rel=1e-4)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form='shares'.*'softmax', 'share'"):
        entropy_weights([torch.randn(1, 1, 2)], form='shares')


@quick
@given(seeds, st.integers(1, 4), st.sampled_from(['confidence', *FORMS]))
def test_the_weights_are_those_of_a_classroom_without_the_mentors_that_do_not_count(
    seed, mentors, kind
):
    logits = [3 * rand(6, 1, 5, seed=seed + m) for m in range(mentors)]
    scores = rand(mentors, 6, 1, seed=seed + 9)
    counts = rand(mentors, 6, 1, seed=seed + 10) > 0.4
    counts[:, 0], counts[:, 1], counts[1:, 1] = False, True, False  # nobody; one alone
    for m in range(mentors):
        scores[m][~counts[m]] = math.nan
        logits[m][~counts[m][..., 0]] = math.nan
    if kind == 'confidence':
        got = confidence_weights(scores, counts)
    else:
        got = entropy_weights(logits, counts, kind)
    assert got.shape == counts.shape and not got[~counts].any()
    for n in range(6):
        there = [m for m in range(mentors) if counts[m, n]]
        if kind == 'confidence':
            values = [-math.log(scores[m, n, 0]) for m in there]
        else:
            values = entropies([logits[m] for m in there], n)
        want = loop(values, 'share' if kind == 'share' else 'softmax')
        assert got[there, n, 0].tolist() == pytest.approx(want, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize('form', FORMS)
def test_where_all_mentors_count_the_weights_are_those_without_a_mask(form):
    logits = [torch.randn(4, 2, 5) for _ in range(3)]
    everyone = torch.ones(3, 1, 1, dtype=torch.bool)  # one column for all samples and keypoints
    torch.testing.assert_close(
        entropy_weights(logits, everyone, form), entropy_weights(logits, form=form)
    )
    scores = torch.rand(3, 4, 2)
    torch.testing.assert_close(confidence_weights(scores, everyone), confidence_weights(scores))
