"""Scores against the libraries that they are named after."""

import math

import numpy as np
import pytest
import torch

from classroomkd_mm.functional import (
    keypoint_pck,
    keypoint_similarity,
    sample_score,
    true_class_probability,
)


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
