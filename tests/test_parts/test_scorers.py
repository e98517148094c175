"""Scorers: what of a batch they judge, and what they ask of the data."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from classroomkd_mm.functional import (
    keypoint_pck,
    keypoint_similarity,
    sample_score,
    true_class_probability,
)
from classroomkd_mm.parts import OKSScorer, PCKScorer
from classroomkd_mm.parts.scorers import TrueClassScorer
from classroomkd_mm.structures import ClassTruth, PoseTruth

N, K = 3, 4


def says(words):
    return pytest.raises(ValueError, match=f'^{re.escape(words)}$')


LOGITS = torch.tensor(
    [
        [[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 1.0, 1.0]],
        [[5.0, 1.0, 0.0], [4.0, 3.0, 1.0], [1.0, 0.0, 2.0]],
        [[0.0, 1.0, 0.0], [0.0, 3.0, 9.0], [1.0, 0.0, 2.0]],
    ]
)


@pytest.mark.parametrize('soft', [False, True])
def test_classes_are_scored_by_the_true_ones_probability(soft):
    """The last sample has no label."""
    label = torch.tensor([0, 2, -1])
    mixed = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.2, 0.8], [0.0, 0.0, 0.0]])
    scores = TrueClassScorer()(LOGITS, ClassTruth(mixed if soft else label), {})
    p = LOGITS.softmax(-1)
    if soft:
        want = p[:, 0, 0] ** 0.7 * p[:, 0, 1] ** 0.3, p[:, 1, 1] ** 0.2 * p[:, 1, 2] ** 0.8
    else:
        want = p[:, 0, 0], p[:, 1, 2]
    assert scores.values.shape == (3, 3, 1)
    torch.testing.assert_close(scores.values[:, :2, 0], torch.stack(want, 1))
    assert scores.labelled.tolist() == [[True], [True], [False]]
    assert scores.target.tolist() == [[0], [2], [-1]]
    assert scores.correct[:, :2].tolist() == [[True, False], [False, True]]
    assert scores.geometric and scores.known is None
    assert torch.equal(
        scores.values[..., 0], true_class_probability(LOGITS, mixed if soft else label.clamp(min=0))
    )


def test_a_hard_label_has_no_sample_without_one_beside_minus_one():
    scores = TrueClassScorer()(LOGITS, ClassTruth(torch.tensor([0, 1, 2])))
    assert scores.labelled.all() and scores.target.flatten().tolist() == [0, 1, 2]


def people(**fields):
    keypoints = 20 * torch.rand(N, K, 2, generator=torch.Generator().manual_seed(0))
    labelled = torch.rand(N, K, generator=torch.Generator().manual_seed(1)) > 0.3
    return PoseTruth(keypoints, labelled, **fields)


def guesses():
    shift = torch.randn(2, N, K, 2, generator=torch.Generator().manual_seed(2))
    return people().keypoints + 3 * shift


SIGMAS = [0.05, 0.1, 0.2, 0.4]


@pytest.mark.parametrize('own', [None, SIGMAS[::-1]])
def test_similarities_take_the_scorers_own_constants_or_the_data_sets(own):
    truth, seen = people(area=torch.tensor([100.0, 400.0, 900.0])), guesses()
    scores = OKSScorer(own)(seen, truth, dict(sigmas=SIGMAS))
    sigmas = torch.tensor(own or SIGMAS)
    own = own and np.array(own)
    want = keypoint_similarity(seen, truth.keypoints, truth.area, sigmas)
    assert torch.equal(scores.values, want) and scores.labelled is truth.labelled
    assert not scores.geometric and scores.correct is None
    arrays = OKSScorer(own)(seen, truth, dict(sigmas=np.array(SIGMAS))).values
    assert torch.equal(arrays, want) and arrays.dtype is torch.float32
    double = OKSScorer(own)(seen.double(), truth, dict(sigmas=SIGMAS)).values
    assert double.dtype is torch.float64
    torch.testing.assert_close(double.float(), want)


def test_on_another_device_the_constants_are_there_too():
    here = people(area=torch.ones(N))
    there = PoseTruth(*(t.to('meta') for t in (here.keypoints, here.labelled, here.area)))
    scores = OKSScorer(SIGMAS)(guesses().to('meta'), there, {})
    assert scores.values.device.type == 'meta'


def test_what_a_similarity_lacks_is_told_in_full():
    with says(
        "scorer=OKSScorer needs each person's area or box, and the samples have neither (no "
        "'area' in its annotations; meta_keys without raw_ann_info, input_size or input_scale); "
        "use scorer=dict(type='PCKScorer', ...)"
    ):
        OKSScorer(SIGMAS)(guesses(), people(), {})
    truth = people(area=torch.ones(N))
    told = 'scorer=OKSScorer needs 4 sigmas and the data set has {}; set scorer.sigmas or use '
    with says(told.format(0) + 'PCKScorer'):
        OKSScorer()(guesses(), truth, dict(classes=['person']))
    with says(told.format(3) + 'PCKScorer'):
        OKSScorer()(guesses(), truth, dict(sigmas=SIGMAS[:3]))
    hook = '; ClassroomHook hands over what the data set says, add it to custom_hooks'
    with says(told.format(0) + 'PCKScorer' + hook):
        OKSScorer()(guesses(), truth, {})
    with says('scorer.sigmas=[-0.1] must not be negative'):
        OKSScorer([-0.1])


NAMES = dict(keypoint_name2id=dict(nose=0, left_shoulder=1, right_hip=3))


@pytest.mark.parametrize('norm', ['bbox', 'head', 'torso'])
def test_lengths_are_the_boxs_longer_side_the_head_or_the_trunk(norm):
    fields = dict(bbox=torch.tensor([[4.0, 9.0], [8.0, 3.0], [6.0, 6.0]]), head=torch.ones(N) * 5)
    truth, seen = people(**fields), guesses()
    scores = PCKScorer(0.5, norm)(seen, truth, NAMES)
    length = []
    for n in range(N):
        if norm == 'torso':
            trunk = (truth.keypoints[n, 1] - truth.keypoints[n, 3]).norm().item()
            both = truth.labelled[n, 1] and truth.labelled[n, 3]
            length.append(trunk if both else max(truth.bbox[n].tolist()))
        else:
            length.append(5.0 if norm == 'head' else max(truth.bbox[n].tolist()))
    want = keypoint_pck(seen, truth.keypoints, torch.tensor(length), 0.5)
    assert torch.equal(scores.values, want) and scores.labelled is truth.labelled
    assert 0 < sample_score(scores.values, scores.labelled).mean() < 1


@pytest.mark.parametrize('labelled', [(True, True), (True, False), (False, True)])
def test_a_trunk_needs_both_of_its_ends(labelled):
    ends = torch.tensor([[labelled[0], True, labelled[1]]])
    truth = PoseTruth(torch.tensor([[[0.0, 0.0], [1.0, 1.0], [30.0, 40.0]]]), ends)
    names = dict(keypoint_name2id=dict(left_shoulder=0, right_hip=2))
    assert PCKScorer._torso_length(truth, names).tolist() == [50.0 if all(labelled) else 0.0]


@pytest.mark.parametrize('norm', ['head', 'torso'])
def test_who_has_no_such_length_is_judged_by_the_box(norm):
    """Else all members would be wrong, and neither mentors nor labels teach the sample."""
    fields = dict(bbox=torch.tensor([[4.0, 9.0], [8.0, 3.0], [6.0, 6.0]]), head=torch.zeros(N))
    truth, seen = people(**fields), guesses()
    truth = replace(truth, labelled=truth.labelled & torch.tensor([True, False, True, True]))
    got, box = (PCKScorer(5.0, each)(seen, truth, NAMES).values for each in (norm, 'bbox'))
    assert torch.equal(got, box) and got.any()


def test_what_a_length_lacks_is_told_in_full():
    with says("scorer.norm='bbox' needs bounding boxes and the data set has none"):
        PCKScorer()(guesses(), people(), {})
    with says(
        "scorer.norm='head' needs head sizes and the data set has none (set its headbox_file, or "
        "use norm='bbox')"
    ):
        PCKScorer(norm='head')(guesses(), people(), {})
    told = "scorer.norm='torso' needs keypoints named left_shoulder and right_hip; the data set has"
    for names in (dict(right_hip=1, nose=0), dict(nose=0, left_shoulder=1)):
        with says(f'{told} {sorted(names)}'):
            PCKScorer(norm='torso')(guesses(), people(), dict(keypoint_name2id=names))
    hook = '; ClassroomHook hands over what the data set says, add it to custom_hooks'
    with says(f'{told} []{hook}'):
        PCKScorer(norm='torso')(guesses(), people(), {})
    with says("scorer.norm='hip' is unknown; choose one of ('bbox', 'torso', 'head')"):
        PCKScorer(norm='hip')
    with says('scorer.thr=-0.1 must not be negative'):
        PCKScorer(-0.1)
    assert (PCKScorer().thr, PCKScorer().norm) == (0.2, 'bbox')
