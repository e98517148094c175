"""Gradients of two losses, balanced and projected, against plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    agreement_odds,
    balance_gradient,
    gradient_agreement,
    gradient_norm,
    project_gradient,
    with_gradient,
)

from .support import quick, seeds

SHAPES = {  # of the maps of one output
    'heatmaps': [(3, 4, 2, 5)],
    'simcc': [(3, 4, 6), (3, 4, 8)],
    'classes': [(3, 7)],
}
kinds = st.sampled_from(sorted(SHAPES))


def gradients(kind, seed, scale=1.0):
    g = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(*shape, generator=g) for shape in SHAPES[kind]]


def norm(values):
    return math.sqrt(sum(v * v for v in values))


def numbers(maps, n=None):
    """All values, or one sample's."""
    return [v for m in maps for v in (m if n is None else m[n]).flatten().tolist()]


def units(tensor):
    """``(place, values)`` of each keypoint of each sample, of classes of each sample."""
    places = [(n, k) for n in range(len(tensor)) for k in range(tensor.shape[1])]
    if tensor.dim() == 2:
        places = [(n,) for n in range(len(tensor))]
    return [(place, tensor[place].flatten().double()) for place in places]


@quick
@given(seeds, kinds, st.sampled_from([0.1, 0.7, 1.0, 30.0]), st.sampled_from(['batch', 'sample']))
def test_a_balanced_lesson_weighs_rho_times_the_task_at_most(seed, kind, rho, per):
    lesson, task = gradients(kind, seed), gradients(kind, seed + 1, 0.3)
    task[0][1] *= 0.01  # one sample has little to learn
    got, ratio = balance_gradient(lesson, task, rho, per)
    for n in range(3):
        who = n if per == 'sample' else None
        heavy, allowed = norm(numbers(lesson, who)), norm(numbers(task, who))
        factor = min(1.0, rho * allowed / heavy)
        for g, before in zip(got, lesson):
            torch.testing.assert_close(g[n], before[n] * factor)
        at = ratio[n if per == 'sample' else 0].item()
        assert at == pytest.approx(heavy / allowed, rel=1e-5)
        assert norm(numbers(got, who)) <= rho * allowed * 1.00001
    assert ratio.shape == ((3,) if per == 'sample' else (1,))


@quick
@given(seeds, kinds)
def test_a_projected_lesson_keeps_what_does_not_contradict(seed, kind):
    lesson, task = gradients(kind, seed), gradients(kind, seed + 1)
    got, against = project_gradient(lesson, task)
    agreement = gradient_agreement(lesson, task)
    for g, before, own, flags, along in zip(got, lesson, task, against, agreement):
        flags, along = flags.flatten().tolist(), along.flatten().tolist()
        rows = zip(units(g), units(before), units(own), flags, along)
        for (_, new), (_, old), (_, label), flag, dot in rows:
            product = sum(a * b for a, b in zip(old.tolist(), label.tolist()))
            assert flag == (product < 0) and (dot < 0) == flag
            assert dot == pytest.approx(product / label.abs().max().item(), rel=1e-3, abs=1e-5)
            want = old - min(product, 0) / (label @ label) * label
            torch.testing.assert_close(new, want, rtol=1e-4, atol=1e-5)
            assert new @ label > -1e-5
        assert g.shape == before.shape
    keypoints = 1 if kind == 'classes' else 4
    assert {each.shape for each in (*against, *agreement)} == {(3, keypoints)}


@pytest.mark.parametrize('per', ['batch', 'sample'])
def test_a_lesson_that_is_light_enough_stays_to_the_bit(per):
    lesson, task = gradients('simcc', 0), gradients('simcc', 1)
    for g, before in zip(balance_gradient(lesson, task, 1e6, per)[0], lesson):
        assert torch.equal(g, before)


def test_each_sample_may_have_its_own_limit():
    lesson, task = gradients('simcc', 0, scale=100.0), gradients('simcc', 1)
    limits = torch.tensor([0.5, 1.0, 2.0])
    got, _ = balance_gradient(lesson, task, limits, 'sample')
    torch.testing.assert_close(gradient_norm(got, 'sample'), limits * gradient_norm(task, 'sample'))


def test_how_a_lesson_weighs_is_told_however_light_it_is():
    lesson, task = [torch.tensor([[0.03], [0.04]])], [torch.tensor([[0.0], [0.5]])]
    assert balance_gradient(lesson, task, 1.0)[1].tolist() == pytest.approx([0.1])
    assert balance_gradient(lesson, task, 1.0, 'sample')[1].tolist() == pytest.approx(
        [math.inf, 0.08]
    )


@pytest.mark.parametrize('per', ['batch', 'sample'])
def test_gradients_of_zero(per):
    lesson, zero = gradients('heatmaps', 0), [torch.zeros(SHAPES['heatmaps'][0])]
    muted, ratio = balance_gradient(lesson, zero, 1.0, per)
    assert (muted[0] == 0).all() and ratio.isinf().all()
    for task in (lesson, zero):
        none, ratio = balance_gradient(zero, task, 1.0, per)
        assert (none[0] == 0).all() and (ratio == 0).all()
    infinite = torch.full((3,) if per == 'sample' else (1,), math.inf)
    assert (balance_gradient(lesson, zero, infinite, per)[0][0] == 0).all()
    assert torch.equal(balance_gradient(lesson, lesson, infinite, per)[0][0], lesson[0])
    projected, against = project_gradient(lesson, zero)
    assert torch.equal(projected[0], lesson[0]) and not against[0].any()
    assert (project_gradient(zero, lesson)[0][0] == 0).all()
    assert (gradient_agreement(lesson, zero)[0] == 0).all()


def test_one_sample_without_a_label_is_one_without_a_lesson():
    lesson, task = gradients('classes', 0), gradients('classes', 1)
    task[0][2] = 0
    alone = balance_gradient(lesson, task, 1.0, 'sample')[0][0]
    assert (alone[2] == 0).all() and (alone[:2] != 0).any()
    together = balance_gradient(lesson, task, 1.0)[0][0]
    assert (together[2] != 0).any()


@pytest.mark.parametrize('scale', [1e-7, 1e-12, 1e-25])
@pytest.mark.parametrize('kind', SHAPES)
def test_tiny_gradients_are_projected_all_the_same(scale, kind):
    """A mean over all places of heatmaps has gradients of 1e-7; a sample's weight makes them less.

    Squares of 1e-25 are 0 in float32.
    """
    lesson, task = gradients(kind, 0), gradients(kind, 1)
    want, flags = project_gradient(lesson, task)
    got, tiny = project_gradient(lesson, [scale * t for t in task])
    for g, w, a, b in zip(got, want, flags, tiny):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-5)
        assert torch.equal(a, b) and a.any() and not a.all()


def test_half_precision_is_reckoned_in_float32():
    """Norms of such values, squared in half precision, would be 0 or infinite."""
    lesson = [torch.full((2, 3, 8, 8), 60000.0, dtype=torch.float16)]
    task = [torch.full((2, 3, 8, 8), 1e-7, dtype=torch.float16)]
    got, ratio = balance_gradient(lesson, task, 1.0)
    assert got[0].dtype is torch.float32 and ratio.isfinite().all()
    torch.testing.assert_close(gradient_norm(got), gradient_norm(task))
    projected, against = project_gradient([-lesson[0]], task)
    assert against[0].all() and projected[0].dtype is torch.float32
    torch.testing.assert_close(projected[0], torch.zeros(2, 3, 8, 8), rtol=0, atol=0.1)
    double = [g.double() for g in lesson]
    assert balance_gradient(double, double, 0.5)[0][0].dtype is torch.float64


def test_a_known_gradient_reaches_every_input_times_what_comes_after():
    inputs = [torch.zeros(2, 3, requires_grad=True), torch.zeros(4, requires_grad=True)]
    gradient = [torch.rand(2, 3), torch.rand(4)]
    loss = with_gradient(torch.tensor(3.0), inputs, gradient)
    (loss / 4).backward(retain_graph=True)
    loss.backward()
    assert loss.item() == 3.0
    for each, g in zip(inputs, gradient):
        torch.testing.assert_close(each.grad, 1.25 * g)


@quick
@given(seeds, kinds)
def test_the_odds_that_a_lesson_agrees_equal_plain_loops(seed, kind):
    lesson, task = gradients(kind, seed), gradients(kind, seed + 1)
    task[0][0] = 0  # a sample, or one of its two maps, without a label
    agreement = gradient_agreement(lesson, task)
    votes = [[v for part in agreement for v in part[n].tolist()] for n in range(3)]

    def odds(values):
        agree, against = sum(v > 0 for v in values), sum(v < 0 for v in values)
        return (agree + 1) / (against + 1)

    assert agreement_odds(agreement, 'sample').tolist() == pytest.approx([odds(v) for v in votes])
    assert agreement_odds(agreement).tolist() == pytest.approx([odds(sum(votes, []))])
    none = [torch.zeros_like(part) for part in agreement]
    assert agreement_odds(none).tolist() == [1]
