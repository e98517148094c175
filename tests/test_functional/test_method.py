"""Scores, ranks, temperatures and losses against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    active_mentors,
    adaptive_temperature,
    batch_score,
    keypoint_pck,
    keypoint_similarity,
    kl_distill,
    member_ranks,
    mse_distill,
    sample_score,
)

seeds = st.integers(0, 2**16)
quick = settings(max_examples=25, deadline=None)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@quick
@given(seeds, st.integers(1, 4), st.integers(0, 5), st.sampled_from([None, 2]))
def test_ranks_activity_and_temperature_equal_plain_loops(seed, mentors, samples, decimals):
    w = rand(1 + mentors, samples, 3, seed=seed)
    w[:, : samples // 2] = 0
    ranks = member_ranks(w, decimals)
    active = active_mentors(ranks)
    strict = active_mentors(ranks, strict=True)
    tau = adaptive_temperature(ranks, active, alpha=3.0)
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
                want = 1 + 3 * (r[m + 1] - r[0]) / max(r[m + 1], r[0]) if teaches else 1
                assert tau[m, n, k].item() == pytest.approx(want, rel=1e-5)


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


def test_oks_equals_xtcocotools():
    from xtcocotools.cocoeval import COCOeval

    rng = np.random.default_rng(0)
    sigmas = rng.uniform(0.02, 0.1, 17)
    for _ in range(20):
        truth = rng.uniform(10, 90, (17, 2))
        guess = truth + rng.normal(0, 4, (17, 2))
        visible, area = rng.integers(0, 3, 17), rng.uniform(200, 4000)
        visible[0] = 2
        evaluator = COCOeval(iouType='keypoints', sigmas=sigmas, use_area=True)
        evaluator.params.useCats, evaluator.params.maxDets = 1, [20]
        evaluator._gts[0, 1] = [
            dict(
                keypoints=np.c_[truth, visible].reshape(-1).tolist(), bbox=[0, 0, 90, 90], area=area
            )
        ]
        evaluator._dts[0, 1] = [
            dict(keypoints=np.c_[guess, np.ones(17)].reshape(-1).tolist(), score=1.0)
        ]
        want = evaluator.computeOks(0, 1).item()
        similarity = keypoint_similarity(
            torch.tensor(guess)[None],
            torch.tensor(truth)[None],
            torch.tensor([area]).double(),
            torch.tensor(sigmas),
        )
        got = sample_score(similarity[None], torch.tensor(visible > 0)[None]).item()
        assert got == pytest.approx(want, abs=1e-7)


def test_pck_equals_mmpose():
    from mmpose.evaluation.functional import keypoint_pck_accuracy

    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 90, (8, 16, 2)).astype(np.float32)
    guess = truth + rng.normal(0, 6, truth.shape).astype(np.float32)
    labelled = rng.random((8, 16)) > 0.3
    head = rng.uniform(8, 20, 8).astype(np.float32)
    _, want, _ = keypoint_pck_accuracy(guess, truth, labelled, 0.5, np.repeat(head[:, None], 2, 1))
    right = keypoint_pck(torch.tensor(guess), torch.tensor(truth), torch.tensor(head), 0.5)
    per_joint = [right[labelled[:, k], k].mean().item() for k in range(16)]
    assert np.mean(per_joint) == pytest.approx(want, abs=1e-6)
    assert keypoint_pck(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1), 0.5).sum() == 0


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


def test_without_a_filter_a_mentor_behind_the_student_teaches_at_temperature_one():
    ranks = torch.tensor([0.9, 0.1, 1.0])[:, None, None]
    everyone = torch.ones(2, 1, 1, dtype=torch.bool)
    tau = adaptive_temperature(ranks, everyone, alpha=12.0).flatten()
    torch.testing.assert_close(tau, torch.tensor([1.0, 1 + 12 * 0.1]))
