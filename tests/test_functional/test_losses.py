"""Distillation losses against plain loops, written from their papers."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from classroomkd_mm.functional import dist_distill, dkd_distill, kl_distill, mse_distill

from .support import D, M, N, draw, quick, rand, seeds, softmax


def slow_kl(student, mentors, weight, temperature):
    loss = student.new_zeros(())
    for m, logits in enumerate(mentors):
        for n in range(student.shape[0]):
            for k in range(student.shape[1]):
                tau = temperature[m, n, k]
                p = (logits[n, k] / tau).softmax(0)
                q = (student[n, k] / tau).log_softmax(0)
                loss = loss + weight[m, n, k] * tau**2 * (p * (p.log() - q)).sum()
    return loss


@quick
@given(seeds, st.integers(0, 3), st.integers(0, 3))
def test_kl_and_its_gradient_equal_autograd_through_plain_loops(seed, mentors, samples):
    student = (4 * rand(samples, 2, 6, seed=seed)).double().requires_grad_()
    others = [4 * rand(samples, 2, 6, seed=seed + 1 + m).double() for m in range(mentors)]
    weight = rand(mentors, samples, 2, seed=seed + 9).double()
    weight[weight < 0.3] = 0
    tau = 1 + 3 * rand(mentors, samples, 2, seed=seed + 10).double()
    got = kl_distill(student, others, weight, tau)
    want = slow_kl(student, others, weight, tau)
    torch.testing.assert_close(got, want)
    if mentors and samples:
        grads = [torch.autograd.grad(loss, student)[0] for loss in (got, want)]
        torch.testing.assert_close(*grads)


@quick
@given(seeds)
def test_kl_with_two_temperatures_and_its_gradient(seed):
    student, mentors, weight, tau, _ = draw(seed)
    tau_s = tau.flip(0) + 0.5
    value = kl_distill(student, mentors, weight, tau, tau_s)
    value.backward()
    got, student.grad = student.grad, None
    want = 0.0
    for m in range(M):
        p = (mentors[m] / tau[m][..., None]).softmax(-1)
        log_q = (student / tau_s[m][..., None]).log_softmax(-1)
        want = want + (weight[m] * tau[m] * tau_s[m] * (p * (p.log() - log_q)).sum(-1)).sum()
    want.backward()
    torch.testing.assert_close(value, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got, student.grad, rtol=1e-4, atol=1e-5)


def test_mse_and_its_gradient_equal_autograd():
    student = rand(2, 3, 6).requires_grad_()
    others, weight = [rand(2, 3, 6, seed=1), rand(2, 3, 6, seed=2)], rand(2, 2, 3, seed=3)
    want = sum((w[..., None] * (student - o) ** 2).sum() / 6 for o, w in zip(others, weight))
    got = mse_distill(student, others, weight)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(*[torch.autograd.grad(x, student)[0] for x in (got, want)])


@pytest.mark.parametrize('scale', [0.0, 1e4, 1e30])
def test_extreme_logits_stay_finite(scale):
    student = (scale * torch.tensor([[[1.0, -1.0, 0.0]]])).requires_grad_()
    mentor = scale * torch.tensor([[[-1.0, 1.0, 0.0]]])
    loss = kl_distill(student, [mentor], torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()


@pytest.mark.parametrize('loss', [lambda s, m, w: kl_distill(s, m, w, w + 1), mse_distill])
def test_a_muted_lesson_is_exactly_zero_even_with_nan(loss):
    student = rand(2, 3, 6).requires_grad_()
    value = loss(student, [torch.full((2, 3, 6), math.nan)], torch.zeros(1, 2, 3))
    value.backward()
    assert value.item() == 0 and (student.grad == 0).all()


@pytest.mark.parametrize('loss', ['dkd', 'dist'])
def test_a_muted_lesson_is_zero_even_with_nan(loss):
    student, mentors, weight, tau, target = draw(0)
    mentors[1].fill_(math.nan)
    weight[1] = 0
    call = {
        'dkd': lambda ms, w, t: dkd_distill(student, ms, w, t, target, 1.0, 8.0),
        'dist': lambda ms, w, t: dist_distill(student, ms, w, t, 1.0, 1.0),
    }[loss]
    torch.testing.assert_close(call(mentors, weight, tau), call(mentors[:1], weight[:1], tau[:1]))
    assert call([], weight[:0], tau[:0]).item() == 0
    assert call(mentors, weight * 0, tau).item() == 0


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q))


@quick
@given(seeds)
def test_dkd_equals_its_paper(seed):
    student, mentors, weight, tau, target = draw(seed)
    want = 0.0
    for m in range(M):
        for n in range(N):
            t, temperature = target[n, 0].item(), tau[m, n, 0].item()
            p = softmax(mentors[m][n, 0].tolist(), temperature)
            q = softmax(student[n, 0].tolist(), temperature)
            tckd = kl([p[t], 1 - p[t]], [q[t], 1 - q[t]])
            rest_p = [v / (1 - p[t]) for i, v in enumerate(p) if i != t]
            rest_q = [v / (1 - q[t]) for i, v in enumerate(q) if i != t]
            value = 1.5 * tckd + 8 * kl(rest_p, rest_q)
            want += weight[m, n, 0].item() * temperature**2 * value
    got = dkd_distill(student, mentors, weight, tau, target, alpha=1.5, beta=8.0)
    assert got.item() == pytest.approx(want, rel=1e-3)
    got.backward()
    assert student.grad.isfinite().all()


def test_where_the_true_class_is_not_known_dkd_teaches_nothing():
    student, mentors, weight, tau, target = draw(0)
    target[2] = -1
    got = dkd_distill(student, mentors, weight, tau, target, alpha=1.5, beta=8.0)
    weight[:, 2] = 0
    known = dkd_distill(student, mentors, weight, tau, target.clamp(min=0), alpha=1.5, beta=8.0)
    torch.testing.assert_close(got, known)
    assert not torch.autograd.grad(got, student)[0][2].any()


def test_of_two_classes_dkd_has_the_true_class_alone():
    student, mentor = (torch.randn(4, 1, 2).requires_grad_() for _ in range(2))
    one, target = torch.ones(1, 4, 1), torch.tensor([[0], [1], [1], [0]])
    nothing = dkd_distill(student, [mentor.detach()], one, one, target, alpha=0.0, beta=8.0)
    (grad,) = torch.autograd.grad(nothing, student)
    assert nothing.item() == 0 and (grad == 0).all()
    value = dkd_distill(student, [mentor.detach()], one, one, target, alpha=1.0, beta=8.0)
    torch.testing.assert_close(value, kl_distill(student, [mentor.detach()], one, one))


def pearson(a, b, w):
    mean_a, mean_b = (sum(x * y for x, y in zip(w, v)) for v in (a, b))
    cov = sum(x * (y - mean_a) * (z - mean_b) for x, y, z in zip(w, a, b))
    var_a = sum(x * (y - mean_a) ** 2 for x, y in zip(w, a))
    var_b = sum(x * (y - mean_b) ** 2 for x, y in zip(w, b))
    return cov / math.sqrt(var_a * var_b)


def test_dist_of_several_keypoints_is_the_sum_of_each():
    g = torch.Generator().manual_seed(0)
    student, mentor = (torch.randn(5, 3, 7, generator=g) for _ in range(2))
    weight, tau = (0.1 + torch.rand(1, 5, 3, generator=g) for _ in range(2))
    got = dist_distill(student, [mentor], weight, tau, beta=2.0, gamma=0.5)
    each = [
        dist_distill(*(student[:, k], [mentor[:, k]], weight[..., k], tau[..., k]), 2.0, 0.5)
        for k in (slice(0, 1), slice(1, 2), slice(2, 3))
    ]
    torch.testing.assert_close(got, sum(each))


def test_a_muted_sample_hides_no_difference_between_the_others():
    """It is certain of a class of which the others say next to nothing."""
    student, mentor = torch.randn(2, 5, 1, 4, generator=torch.Generator().manual_seed(0))
    student[:, :, 0] -= 150
    mentor[:, :, 0] -= 150
    weight = 0.2 * torch.ones(1, 5, 1)
    want = dist(student[1:], mentor[1:], weight[:, 1:])
    student[0, 0, 0] = mentor[0, 0, 0] = 150
    weight[0, 0] = 0
    torch.testing.assert_close(dist(student, mentor, weight), want)


@quick
@given(seeds)
def test_dist_equals_its_paper_with_weighted_samples(seed):
    student, mentors, weight, tau, _ = draw(seed)
    want = 0.0
    for m in range(M):
        p = [softmax(mentors[m][n, 0].tolist(), tau[m, n, 0].item()) for n in range(N)]
        q = [softmax(student[n, 0].tolist(), tau[m, n, 0].item()) for n in range(N)]
        w = [weight[m, n, 0].item() * tau[m, n, 0].item() ** 2 for n in range(N)]
        for n in range(N):
            want += w[n] * 2.0 * (1 - pearson(p[n], q[n], [1 / D] * D))
        share = [v / sum(w) for v in w]
        intra = [1 - pearson([row[d] for row in p], [row[d] for row in q], share) for d in range(D)]
        want += sum(w) * 0.5 * sum(intra) / D
    got = dist_distill(student, mentors, weight, tau, beta=2.0, gamma=0.5)
    assert got.item() == pytest.approx(want, rel=1e-3)
    got.backward()
    assert student.grad.isfinite().all()


def dist(student, mentor, weight=None, tau=1.0, beta=1.0, gamma=1.0):
    """DIST with one mentor; each sample weighs 1 / N."""
    if weight is None:
        weight = student.new_full((1, *student.shape[:2]), 1 / len(student))
    return dist_distill(student, [mentor], weight, torch.full_like(weight, tau), beta, gamma)


def people_heatmaps(samples=4, seed=0):
    """Gaussian peaks of height 1 on a 64x48 grid, as heatmap networks give them."""
    centre = torch.tensor([64.0, 48.0]) * rand(samples, 2, seed=seed)
    y, x = torch.arange(64.0)[:, None], torch.arange(48.0)
    square = (y - centre[:, :1, None]) ** 2 + (x - centre[:, 1:, None]) ** 2
    return (-square / 8).exp().flatten(1)[:, None]


LOGITS = {
    'heatmaps at natural scale': lambda g: people_heatmaps(),
    'heatmaps times 30': lambda g: 30 * people_heatmaps(),
    '1000 classes, nearly flat': lambda g: 0.05 * torch.randn(8, 1, 1000, generator=g),
    '1000 classes, flatter': lambda g: 1e-4 * torch.randn(8, 1, 1000, generator=g),
    '10000 classes': lambda g: torch.randn(4, 1, 10000, generator=g),
    'two classes': lambda g: torch.randn(8, 1, 2, generator=g),
    'two samples': lambda g: torch.randn(2, 1, 10, generator=g),
    'several keypoints': lambda g: torch.randn(4, 3, 20, generator=g),
    'sharp': lambda g: 100 * torch.randn(8, 1, 10, generator=g),
    'sharp, 1000 classes': lambda g: 100 * torch.randn(8, 1, 1000, generator=g),
}


@pytest.mark.parametrize('tau', [1.0, 4.0])
@pytest.mark.parametrize('kind', LOGITS)
def test_dist_of_a_network_with_itself_is_zero(kind, tau):
    student = LOGITS[kind](torch.Generator().manual_seed(0)).requires_grad_()
    loss = dist(student, student.detach(), tau=tau)
    loss.backward()
    assert abs(loss.item()) < 1e-5 * tau**2 * student.shape[1]
    assert student.grad.isfinite().all()


def least_spread(student, tau=1.0):
    """How much the steadiest class's probability varies over the samples, as a share of itself."""
    log_p = (student / tau).log_softmax(-1)
    return -(log_p.amin(0) - log_p.amax(0)).expm1().max().item()


@quick
@given(seeds, st.floats(1e-3, 100), st.floats(0.5, 20), st.sampled_from([2, 3, 50]))
def test_dist_with_itself_is_zero_at_any_scale(seed, scale, tau, classes):
    g = torch.Generator().manual_seed(seed)
    student = (scale * torch.randn(5, 1, classes, generator=g)).requires_grad_()
    # A class that is certain in all samples is constant to single precision.
    assume(least_spread(student, tau) > 1e-5)
    loss = dist(student, student.detach(), tau=tau)
    loss.backward()
    assert abs(loss.item()) < 1e-5 * tau**2 and student.grad.isfinite().all()


def exp_pearson(log_a, log_b, w):
    """The correlation of probabilities that may be 0 in plain floats: each side by its largest."""
    return pearson(*([math.exp(v - max(side)) for v in side] for side in (log_a, log_b)), w)


@quick
@given(seeds, st.floats(0.05, 100), st.sampled_from([2, 10, 300]))
def test_the_classes_relation_equals_the_plain_correlation_at_any_scale(seed, scale, classes):
    g = torch.Generator().manual_seed(seed)
    a, b = (scale * torch.randn(4, 1, classes, generator=g).double() for _ in range(2))
    b += scale * a
    weight = torch.rand(1, 4, 1, generator=g).double()
    rows = zip(weight.flatten().tolist(), a[:, 0].tolist(), b[:, 0].tolist())
    want = sum(w * (1 - exp_pearson(x, y, [1 / classes] * classes)) for w, x, y in rows)
    assert dist(a, b, weight, gamma=0.0).item() == pytest.approx(want, abs=1e-9)
    single = dist(a.float(), b.float(), weight.float(), gamma=0.0).item()
    assert single == pytest.approx(want, abs=1e-3 if scale > 10 else 1e-5)


@quick
@given(seeds, st.floats(0.05, 3), st.sampled_from([3, 10, 300]))
def test_the_samples_relation_equals_the_plain_correlation_at_any_scale(seed, scale, classes):
    g = torch.Generator().manual_seed(seed)
    a, b = (scale * torch.randn(4, 1, classes, generator=g).double() for _ in range(2))
    b += a
    assume(min(least_spread(a), least_spread(b)) > 1e-2)
    weight = torch.rand(1, 4, 1, generator=g).double() + 0.1
    share = (weight / weight.sum()).flatten().tolist()
    columns = zip(*(z[:, 0].log_softmax(-1).T.tolist() for z in (a, b)))
    intra = [1 - exp_pearson(x, y, share) for x, y in columns]
    want = weight.sum().item() * sum(intra) / classes
    assert dist(a, b, weight, beta=0.0).item() == pytest.approx(want, abs=1e-9)
    single = dist(a.float(), b.float(), weight.float(), beta=0.0).item()
    assert single == pytest.approx(want, abs=5e-5)


def test_the_relations_of_nearly_flat_networks_are_those_of_their_logits():
    a, b = torch.randn(1, 1, 1000), torch.randn(1, 1, 1000)
    b += a
    want = 1 - torch.corrcoef(torch.cat([a, b]).squeeze(1))[0, 1].item()
    assert dist(1e-3 * a, 1e-3 * b, gamma=0.0).item() == pytest.approx(want, abs=2e-3)


FLAT = torch.full((4, 1, 10), 0.3)
ROWS = torch.randn(1, 1, 10, generator=torch.Generator().manual_seed(1)).expand(4, 1, 10)


@pytest.mark.parametrize('student', [FLAT, ROWS, 0 * FLAT], ids=['flat', 'equal rows', 'zero'])
@pytest.mark.parametrize('mentor', [FLAT, ROWS, None], ids=['flat', 'equal rows', 'any'])
def test_with_a_constant_side_there_is_no_relation_and_the_gradient_is_finite(student, mentor):
    mentor = torch.randn(4, 1, 10) if mentor is None else mentor
    for a, b in ((student, mentor), (mentor, student)):
        a = a.clone().requires_grad_()
        loss = dist(a, b, beta=0.0)
        loss.backward()
        assert loss.item() == pytest.approx(1.0) and (a.grad == 0).all()
        loss = dist(a, b)
        loss.backward()
        assert loss.isfinite() and a.grad.isfinite().all()
    loss = dist(FLAT, mentor, gamma=0.0)
    assert loss.item() == pytest.approx(1.0)


def test_a_batch_of_one_has_the_classes_relation_alone():
    student, mentor = torch.randn(1, 1, 10).requires_grad_(), torch.randn(1, 1, 10)
    loss = dist(student, mentor)
    torch.testing.assert_close(loss, dist(student, mentor, gamma=0.0) + 1)
    loss.backward()
    assert student.grad.isfinite().all() and student.grad.any()
    assert dist(student, student.detach()).item() == pytest.approx(1.0, abs=1e-5)


def test_dist_of_no_samples_is_zero():
    student = torch.randn(0, 3, 10).requires_grad_()
    loss = dist_distill(student, [student.detach()], *torch.ones(2, 1, 0, 3), beta=1.0, gamma=1.0)
    loss.backward()
    assert loss.item() == 0


@quick
@given(seeds, st.floats(-12, 30), st.floats(-12, 30), st.floats(-38, 0))
def test_dist_is_bounded_and_its_gradient_finite_whatever_the_scales(seed, here, there, light):
    g = torch.Generator().manual_seed(seed)
    student = (10**here * torch.randn(4, 1, 6, generator=g)).requires_grad_()
    mentor = 10**there * torch.randn(4, 1, 6, generator=g)
    weight = torch.rand(1, 4, 1, generator=g)
    weight[0, 0], weight[0, 1] = 0, 10**light
    mentor[0] = math.nan
    loss = dist(student, mentor, weight)
    loss.backward()
    assert 0 <= loss.item() + 1e-5 and loss.item() <= 4 * weight.sum().item() + 1e-5
    assert student.grad.isfinite().all() and (student.grad[0] == 0).all()


@pytest.mark.parametrize('samples', [1, 4])
def test_the_gradients_of_dkd_and_dist_equal_finite_differences(samples):
    g = torch.Generator().manual_seed(0)
    student, mentor = (torch.randn(samples, 1, 4, generator=g).double() for _ in range(2))
    weight, tau = (0.5 + torch.rand(1, samples, 1, generator=g).double() for _ in range(2))
    target = torch.randint(0, 4, (samples, 1), generator=g)
    student.requires_grad_()
    for loss in (
        lambda z: dist_distill(z, [mentor], weight, tau, beta=2.0, gamma=0.5),
        lambda z: dkd_distill(z, [mentor], weight, tau, target, alpha=1.0, beta=8.0),
    ):
        assert torch.autograd.gradcheck(loss, student)
