"""Scores against the libraries that they are named after."""

import math

import numpy as np
import pytest
import torch

from classroomkd_mm.functional import (
    keypoint_pck,
    keypoint_similarity,
    sample_score,
    target_among,
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

    if not COCOeval.__module__.startswith('xtcocotools'):
        pytest.skip('xtcocotools does not import with this numpy: faster-coco-eval stands in')

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


def test_where_a_person_has_no_area_similarity_falls_as_in_coco():
    """COCO adds the spacing of its numbers to the area, which is all that is left of it here."""
    guess, sigmas = torch.tensor([[[0.0, 0.0], [1e-3, 0.0]]]), torch.tensor([1.0, 1.0])
    got = keypoint_similarity(guess, torch.zeros(1, 2, 2), torch.zeros(1), sigmas)
    want = math.exp(-1e-6 / (2 * torch.finfo(torch.float32).eps * 4))
    assert got[0].tolist() == [1.0, pytest.approx(want, rel=1e-5)]


def test_where_a_class_is_among_some_equals_a_plain_look_up():
    target = torch.tensor([[4, 1, 0], [7, -1, 2]])
    places = [1, 4, 7]
    got = target_among(target, torch.tensor(places))
    want = [[places.index(t) if t in places else -1 for t in row] for row in target.tolist()]
    assert got.tolist() == want


def test_a_keypoint_just_at_the_length_is_right_also_for_the_smallest_person():
    guess = torch.tensor([[[3.0, 4.0]], [[3.0, 4.1]], [[0.0, 0.25]]])
    right = keypoint_pck(guess, torch.zeros(3, 1, 2), torch.tensor([10.0, 10.0, 0.5]), 0.5)
    assert right.flatten().tolist() == [1.0, 0.0, 1.0]
