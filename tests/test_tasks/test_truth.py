"""What packed samples know of their people, against plain arithmetic."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

from classroomkd_mm.parts import PCKScorer
from classroomkd_mm.tasks.pose.readouts import HeatmapReadout, SimCCReadout
from classroomkd_mm.tasks.pose.truth import ground_truth

K = 3
CPU = torch.device('cpu')
HEATMAPS = HeatmapReadout((4.0, 2.0), (6, 8), 'MSRAHeatmap')
# Of two people: the box, the head, the scale of their crops, the annotated area.
BOXES = [[10.0, 20.0, 40.0, 80.0], [0.0, 5.0, 30.0, 15.0]]
HEADS, SCALES, AREAS = [6.0, 9.0], [[60.0, 80.0], [24.0, 16.0]], [500.0, None]
POINTS = [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]]
WEIGHTS = [[[1.0, 0.0, 0.5]], [[0.0, 1.0, 0.0]]]


def person(i, without=(), **targets):
    sample = PoseDataSample(
        metainfo=dict(
            input_size=(48, 64),
            **({} if 'scale' in without else dict(input_scale=np.array(SCALES[i], np.float32))),
            raw_ann_info=dict(area=AREAS[i]),
        )
    )
    known = dict(
        bboxes=np.array([BOXES[i]], np.float32),
        head_size=np.array([HEADS[i]]),
        transformed_keypoints=torch.tensor([POINTS[i]]),
    )
    sample.gt_instances = InstanceData(**{k: v for k, v in known.items() if k not in without})
    labels = dict(keypoint_weights=torch.tensor(WEIGHTS[i]))
    labels.update({k: v for k, v in targets.items() if k != 'heatmaps'})
    sample.gt_instance_labels = InstanceData(**labels)
    if 'heatmaps' in targets:
        sample.gt_fields = PixelData(heatmaps=targets['heatmaps'])
    return sample


def test_all_is_told_in_the_pixels_of_the_inputs():
    """A person without an annotated area has 0.53 of its box."""
    truth = ground_truth([person(0), person(1)], HEATMAPS, CPU)
    assert truth.keypoints.tolist() == POINTS
    assert truth.labelled.tolist() == [[True, False, True], [False, True, False]]
    ratios = [(48 / w, 64 / h) for w, h in SCALES]
    sizes = [(x2 - x1, y2 - y1) for x1, y1, x2, y2 in BOXES]
    areas = [500.0, 0.53 * sizes[1][0] * sizes[1][1]]
    for i, (x, y) in enumerate(ratios):
        assert truth.area[i].item() == pytest.approx(areas[i] * x * y)
        assert truth.bbox[i].tolist() == pytest.approx([sizes[i][0] * x, sizes[i][1] * y])
        assert truth.head[i].item() == pytest.approx(HEADS[i] * (x + y) / 2)
    for each in (truth.keypoints, truth.area, truth.bbox, truth.head):
        assert each.dtype is torch.float32
    assert (truth.area.shape, truth.bbox.shape, truth.head.shape) == ((2,), (2, 2), (2,))


@pytest.mark.parametrize(
    'without, unknown',
    [
        ('bboxes', {'bbox', 'area'}),
        ('scale', {'area', 'bbox', 'head'}),
    ],
)
def test_what_one_sample_lacks_nobody_has(without, unknown):
    truth = ground_truth([person(0), person(1, [without])], HEATMAPS, CPU)
    found = {name for name in ('area', 'bbox', 'head') if getattr(truth, name) is None}
    assert found == unknown


def test_who_has_no_head_size_among_others_is_judged_by_the_box():
    """As in a combined data set; where nobody has one the scorer says what is missing."""
    truth = ground_truth([person(0), person(1, ['head_size'])], HEATMAPS, CPU)
    assert truth.head[0] > 0 and truth.head[1] == 0
    guess = torch.zeros(1, 2, K, 2)
    got, plain = (PCKScorer(0.5, norm)(guess, truth, {}).values[0, 1] for norm in ('head', 'bbox'))
    assert torch.equal(got, plain)
    nobody = ground_truth([person(i, ['head_size']) for i in range(2)], HEATMAPS, CPU)
    assert nobody.head is None


def test_where_points_come_with_their_visibility_that_is_left_out():
    sample = person(0, ['transformed_keypoints'])
    points = torch.cat([torch.tensor([POINTS[0]]), torch.ones(1, K, 1)], -1)
    sample.gt_instances.transformed_keypoints = points
    assert ground_truth([sample], HEATMAPS, CPU).keypoints.tolist() == POINTS[:1]


def peaks(level=0):
    """Heatmaps (K, 8, 6) of one pixel each; by another level in other places."""
    maps = torch.zeros(K, 8, 6)
    for k in range(K):
        maps[k, k + 2 + level, k + 1] = 1
    return maps


@pytest.mark.parametrize('level', [0, 1, -1])
def test_without_packed_points_they_are_read_from_the_targets_of_the_level(level):
    bare = ['transformed_keypoints']
    one = ground_truth([person(0, bare, heatmaps=peaks().half())], HEATMAPS, CPU, level)
    assert one.keypoints.tolist() == [[[4.0, 4.0], [8.0, 6.0], [12.0, 8.0]]]
    several = person(0, bare)
    weights = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    several.gt_instance_labels.set_field(weights, 'keypoint_weights')
    several.gt_fields = type('Levels', (), dict(heatmaps=[peaks(0), peaks(1)]))()
    truth = ground_truth([several], HEATMAPS, CPU, level)
    y = [4.0, 6.0, 8.0] if level == 0 else [6.0, 8.0, 10.0]
    assert truth.keypoints[0, :, 1].tolist() == y
    assert truth.labelled.tolist() == [[True, False, False] if level == 0 else [False, True, False]]
    last = ground_truth([several], HEATMAPS, CPU)
    assert last.keypoints[0, :, 1].tolist() == [6.0, 8.0, 10.0]


def test_a_simcc_students_targets_are_read_in_its_bins():
    """Where one sample has no points packed, all are read from the targets."""
    bins = SimCCReadout((0.5, 0.25), (12, 16), 'SimCCLabel', 1.0)
    x, y = torch.zeros(1, K, 12), torch.zeros(1, K, 16)
    for k in range(K):
        x[0, k, k + 4] = y[0, k, 2 * k + 1] = 1
    samples = [
        person(i, ['transformed_keypoints'] * i, keypoint_x_labels=x, keypoint_y_labels=y)
        for i in range(2)
    ]
    truth = ground_truth(samples, bins, CPU)
    assert truth.keypoints.tolist() == [[[2.0, 0.25], [2.5, 0.75], [3.0, 1.25]]] * 2
