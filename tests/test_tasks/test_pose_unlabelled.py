"""People without any label among others: rows chosen, and truth spread over the batch."""

from dataclasses import dataclass

import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from classroomkd_mm.structures import PoseTruth
from classroomkd_mm.tasks.pose.unlabelled import labelled_ones, rows_of, spread

CPU = torch.device('cpu')


def person(instances=True, weights=True):
    sample = PoseDataSample()
    if instances:
        sample.gt_instances = InstanceData(bboxes=torch.zeros(1, 4))
    if weights is not None:
        named = 'keypoint_weights' if weights else 'other'
        sample.gt_instance_labels = InstanceData(**{named: torch.ones(1, 3)})
    return sample


def test_who_has_targets():
    people = [person(weights=None), person(), person(instances=False), person(weights=False)]
    assert labelled_ones([*people, person()]) == [1, 4]
    assert labelled_ones([]) == []


@dataclass(frozen=True)
class Pair:
    first: object
    second: object


def test_rows_are_of_every_tensor_within():
    x, y = torch.arange(8.0).view(4, 2), torch.arange(4)
    given = Pair((x, [y, None]), Pair(x.requires_grad_(), 'words'))
    found = rows_of(given, [3, 0])
    assert isinstance(found, Pair) and isinstance(found.first, tuple)
    assert isinstance(found.first[1], list) and isinstance(found.second, Pair)
    assert found.first[0].tolist() == [[6.0, 7.0], [0.0, 1.0]] == found.second.first.tolist()
    assert found.first[1][0].tolist() == [3, 0] and found.first[1][1] is None
    assert found.second.second == 'words' and rows_of(Pair, [0]) is Pair
    found.second.first.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize('lacking', [None, 'area', 'bbox', 'head'])
def test_truth_is_spread_over_the_batch(lacking):
    fields = dict(
        area=torch.tensor([5.0, 7.0]), bbox=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        head=torch.tensor([8.0, 9.0]),
    )  # fmt: skip
    fields.pop(lacking, None)
    keypoints, labelled = torch.rand(2, 3, 2) + 1, torch.tensor([[True, False, True], [True] * 3])
    truth = spread(PoseTruth(keypoints, labelled, **fields), [2, 0], 4, 3, CPU)
    rows = {0: 1, 2: 0}
    told = dict(keypoints=keypoints, labelled=labelled, **fields)
    for name, whole in told.items():
        found = getattr(truth, name)
        assert found.dtype is whole.dtype and found.shape == (4, *whole.shape[1:])
        for i in range(4):
            want = whole[rows[i]] if i in rows else torch.zeros_like(whole[0])
            assert torch.equal(found[i], want), (name, i)
    assert lacking is None or getattr(truth, lacking) is None


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_where_nobody_has_a_label_all_is_nothing(device):
    truth = spread(None, [], 4, 3, torch.device(device))
    shapes = dict(keypoints=(4, 3, 2), labelled=(4, 3), area=(4,), bbox=(4, 2), head=(4,))
    for name, shape in shapes.items():
        found = getattr(truth, name)
        assert found.shape == shape and found.device.type == device
        assert found.dtype is (torch.bool if name == 'labelled' else torch.float32)
        assert device == 'meta' or not found.any()
