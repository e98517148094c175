"""The parts of other methods against plain loops, written from their papers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    confidence_weights,
    dist_distill,
    dkd_distill,
    dynamic_temperatures,
    entropy_weights,
    kl_distill,
    ordinal_positions,
    true_class_probability,
)

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**16)
M, N, K, D = 2, 4, 1, 5


def draw(seed):
    g = torch.Generator().manual_seed(seed)
    student = 3 * torch.randn(N, K, D, generator=g)
    mentors = [3 * torch.randn(N, K, D, generator=g) for _ in range(M)]
    weight = torch.rand(M, N, K, generator=g)
    weight[0, 0] = 0
    tau = 1 + 3 * torch.rand(M, N, K, generator=g)
    target = torch.randint(0, D, (N, K), generator=g)
    return student.requires_grad_(), mentors, weight, tau, target


def softmax(z, tau=1.0):
    e = [math.exp(v / tau) for v in z]
    return [v / sum(e) for v in e]


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


def pearson(a, b, w):
    mean_a, mean_b = (sum(x * y for x, y in zip(w, v)) for v in (a, b))
    cov = sum(x * (y - mean_a) * (z - mean_b) for x, y, z in zip(w, a, b))
    var_a = sum(x * (y - mean_a) ** 2 for x, y in zip(w, a))
    var_b = sum(x * (y - mean_b) ** 2 for x, y in zip(w, b))
    return cov / math.sqrt(var_a * var_b)


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


def test_dynamic_temperatures():
    student = torch.tensor([[[6.0, 1.0]], [[-1.0, -2.0]]])
    mentors = [torch.tensor([[[2.0, 0.0]], [[3.0, 0.0]]])]
    tau, tau_s = dynamic_temperatures(student, mentors, 4.0)
    assert tau[0].flatten().tolist() == [2.0, 4.0]  # 2 * 4 * 2 / 8; the second is not positive
    assert tau_s[0].flatten().tolist() == [6.0, 4.0]
    assert dynamic_temperatures(student, [], 4.0)[0].shape == (0, 2, 1)


def test_ordinal_positions_share_the_higher_place_and_zero_earns_none():
    scores = torch.tensor([0.3, 0.9, 0.3, 0.0])[:, None, None]
    assert ordinal_positions(scores).flatten().tolist() == [3.0, 4.0, 3.0, 0.0]


def test_true_class_probability_hard_and_soft():
    logits = torch.randn(2, 3, 4)
    p = logits.softmax(-1)
    label = torch.tensor([1, 0, 3])
    want = torch.stack([p[:, n, label[n]] for n in range(3)], -1)
    torch.testing.assert_close(true_class_probability(logits, label), want)
    one_hot = torch.eye(4)[label]
    torch.testing.assert_close(true_class_probability(logits, one_hot), want)
    soft = torch.tensor([[0.25, 0.75, 0, 0]]).expand(3, -1)
    want = p[..., 0] ** 0.25 * p[..., 1] ** 0.75
    torch.testing.assert_close(true_class_probability(logits, soft), want)
    extreme = torch.tensor([[[1e4, 0.0, -1e4, -math.inf]]])
    assert true_class_probability(extreme, torch.tensor([[1.0, 0, 0, 0]])).item() == 1.0
