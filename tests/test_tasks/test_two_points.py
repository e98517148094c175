"""Keypoints of the student that are read from two of a mentor's."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from classroomkd_mm.registry import MODELS
from classroomkd_mm.structures import Answer
from classroomkd_mm.tasks.pose.keypoints import Either, Keypoints, Mean, published_metainfo
from classroomkd_mm.tasks.pose.readouts import HeatmapReadout, SimCCReadout
from classroomkd_mm.tasks.pose.two_points import _sureness, shifted, two_points

COCO = dict(
    train_dataloader=dict(
        dataset=dict(metainfo=dict(from_file='configs/_base_/datasets/coco.py'))
    )
)  # fmt: skip
HIPS = ('left_hip', 'right_hip')
HEATMAPS = HeatmapReadout((4.0, 4.0), (24, 32), 'MSRAHeatmap')
CELLS = HeatmapReadout((4.0, 4.0), (24, 32), 'MegviiHeatmap', 1 / 255, 0.5)
BINS = SimCCReadout((0.5, 0.5), (192, 256), 'SimCCLabel', 1.0)
POINTS = torch.tensor([[[20.0, 40.0], [61.0, 82.0]], [[70.0, 100.0], [33.0, 90.0]]])  # input pixels


def maps_of(points, readout):
    """Gaussian maps of points ``(N, K, 2)`` in input pixels."""
    at = points / torch.tensor(readout.scale)
    width, height = readout.size
    if isinstance(readout, SimCCReadout):
        lines = [(torch.arange(n) - at[..., i, None]) / 6 for i, n in enumerate(readout.size)]
        return [8 * torch.exp(-(line**2) / 2) for line in lines]
    x, y = (
        torch.exp(-((torch.arange(n) + readout.offset - at[..., i, None]) ** 2) / 8)
        for i, n in enumerate((width, height))
    )
    return [y[..., :, None] * x[..., None, :] / readout.sharpness]


def test_what_is_shifted_goes_there():
    maps = torch.rand(2, 3, 5, 7)
    by = torch.tensor([[2.0, 1.0], [0.0, 0.0], [-1.0, 3.0]]).expand(2, 3, 2)
    moved = shifted(maps, by)
    for k, (dx, dy) in enumerate(by[0].int().tolist()):
        for y in range(5):
            for x in range(7):
                source = maps[:, k, min(max(y - dy, 0), 4), min(max(x - dx, 0), 6)]
                torch.testing.assert_close(moved[:, k, y, x], source)
    line = shifted(maps[..., 0, :], torch.tensor([0.5, 0.0]).expand(2, 3, 2))
    between = (maps[..., 0, 1:] + maps[..., 0, :-1]) / 2
    torch.testing.assert_close(line[..., 1:], between)


@pytest.mark.parametrize('readout', [HEATMAPS, CELLS, BINS], ids=['heatmaps', 'cells', 'bins'])
def test_the_middle_is_scored_between_both_peaks_and_taught_there(readout):
    theirs = maps_of(POINTS, readout)
    (pair,) = two_points([1, Mean(0, 1), 0])
    ours = [part.index_select(1, torch.tensor([1, 0, 0])) for part in theirs]
    put = pair.put_maps(ours, theirs, readout)
    for before, after, part in zip(ours, put, theirs):
        assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
        # As high as the mentor's other peaks, but for half a pixel between two.
        ratio = after[:, 1].flatten(1).amax(-1) / part.flatten(2).amax(-1).mean(-1)
        assert (ratio > 0.9).all() and (ratio < 1.01).all()
    want = POINTS.mean(1)
    taught = readout.keypoints(put)[:, 1]
    assert ((taught - want).abs() < 0.15 * max(readout.scale[0], 1)).all()
    decoded = readout.keypoints(theirs)
    scored = pair.put_keypoints(readout.keypoints(ours), theirs, readout)
    torch.testing.assert_close(scored[:, 1], decoded.mean(1))
    assert torch.equal(scored[:, [0, 2]], decoded[:, [1, 0]])


@pytest.mark.parametrize('readout', [HEATMAPS, BINS], ids=['heatmaps', 'bins'])
def test_of_two_hands_the_surer_one_is_read_in_each_sample(readout):
    theirs = maps_of(POINTS.repeat(1, 2, 1), readout)  # left 0 and 1, right 2 and 3
    for part in theirs:
        part[0, :2] *= 0.5
        part[1, 2:] *= 0.5
        part[1, 3] *= 1.9  # nearly: all fingers are of one hand
    (pair,) = two_points([Either(0, 2), Either(1, 3)])
    for part, put in zip(theirs, pair.put_maps([p[:, :2] for p in theirs], theirs, readout)):
        assert torch.equal(put[0], part[0, 2:]) and torch.equal(put[1], part[1, :2])


@pytest.mark.parametrize(
    'setting', [{HIPS: 'pelvis', 'nose': 'head_top'}, [((11, 12), 6), (0, 9), ([5, 6], 8)]]
)
def test_what_is_known_of_keypoints_survives_json(setting):
    keypoints = Keypoints.of(setting, COCO, 17, 'm')
    again = Keypoints.from_plain(json.loads(json.dumps(asdict(keypoints))))
    assert again == keypoints
    mpii = published_metainfo('mpii')
    index, known = again.join(mpii, 16)
    assert (index, known) == keypoints.join(mpii, 16)
    assert index[6] == Mean(11, 12) and index[9] == 0 and known[6] and known[9]
    old = asdict(replace(keypoints, midpoints=()))
    del old['midpoints']  # as facts were kept before there were any
    assert Keypoints.from_plain(json.loads(json.dumps(old))).midpoints == ()


def test_both_keep_their_own_names_besides():
    index, known = Keypoints.of({HIPS: 'pelvis'}, COCO, 17, 'm').join(
        published_metainfo('mpii'), 16
    )
    assert (index[2], index[3], index[6]) == (12, 11, Mean(11, 12)) and sum(known) == 13


def test_a_config_file_keeps_a_tuple_of_names(tmp_path):
    cfg = Config(dict(mentors=[dict(keypoints={HIPS: 'pelvis', 'nose': 'head_top'})]))
    cfg.dump(str(tmp_path / 'c.py'))
    setting = Config.fromfile(tmp_path / 'c.py').mentors[0].keypoints
    assert Keypoints.of(setting, COCO, 17, 'm').midpoints == ((HIPS, 'pelvis'),)


@pytest.mark.parametrize(
    'setting, message',
    [
        ({('left_hip', 'tail'): 'pelvis'}, 'must name some of .*or two, for their middle'),
        ({('left_hip', 'left_hip'): 'pelvis'}, 'or two, for their middle'),
        ({('left_hip', 'right_hip', 'nose'): 'pelvis'}, 'or two, for their middle'),
        ({HIPS: 'pelvis', 'nose': 'pelvis'}, 'each for another of ours'),
        ([((11, 17), 6)], 'its places below 17 .two where ours is in their middle.'),
        ([((11, 11), 6)], 'its places below 17'),
        ([((11, 12, 13), 6)], 'its places below 17'),
        ([((11, 12), 6), (0, 6)], 'each of ours once'),
    ],
)  # fmt: skip
def test_wrong_middles_are_refused(setting, message):
    with pytest.raises(ValueError, match=f'mentor m: keypoints.*{message}'):
        Keypoints.of(setting, COCO, 17, 'mentor m')


@pytest.fixture
def bridged(demo_config):
    """A mentor whose eyes' middle is the student's nose, and that has the eyes as well."""
    cfg = demo_config('classroom').model
    pairs = [((1, 2), 0), *((k, k) for k in range(1, 17))]
    theirs = demo_config('mentor_small').model.to_dict()
    cfg.mentors = [dict(name='m', config=theirs, checkpoint=None, keypoints=pairs)]
    model = MODELS.build(cfg).eval()
    ((mentor, bridge),) = model.members
    return model, mentor, bridge.joined(published_metainfo('coco'))


def test_a_mentor_is_read_predicts_and_moves_with_its_middles(bridged, packed):
    model, mentor, bridge = bridged
    assert bridge.known.all() and bridge.adaptations[-1] == '17 of 17 keypoints by place'
    points = torch.rand(3, 17, 2) * torch.tensor([30.0, 44.0]) + 8
    readout = replace(bridge.readout, sharpness=1.0)
    maps = maps_of(points, readout)[0]
    reading = bridge.read(Answer((maps,), torch.tensor(True)))
    want = points.clone()
    want[:, 0] = points[:, 1:3].mean(1)
    torch.testing.assert_close(reading.guess, want, atol=0.1, rtol=0)
    taught = reading.parts[0].unflatten(-1, (32, 24))
    far = bridge.target.keypoints([taught.exp()]) - want
    assert (far.abs() < 1).all()

    data = model.data_preprocessor(packed(), True)
    alone = mentor.network(data['inputs'], packed()['data_samples'], mode='predict')
    ours = bridge.predict(mentor.network, mentor.view(data['inputs']), packed()['data_samples'])
    for a, b in zip(alone, ours):
        its, mine = a.pred_instances, b.pred_instances
        assert mine.keypoints.shape == its.keypoints.shape
        assert np.allclose(mine.keypoints[:, 1:], its.keypoints[:, 1:])
        middle = its.keypoints[:, 1:3].mean(1)
        assert np.allclose(mine.keypoints[:, 0], middle)
        assert np.allclose(mine.keypoint_scores[:, 0], its.keypoint_scores[:, 1:3].min(1))

    moved = bridge.moved(lambda tensor: tensor.to('meta'))
    (pair,) = moved.pairs
    assert pair.ours.is_meta and pair.first.is_meta and pair.second.is_meta


def test_a_lesson_with_a_middle(bridged, packed):
    model, _, _ = bridged
    losses = model(**model.data_preprocessor(packed(), True), mode='loss')
    assert losses['loss_distill'].isfinite() and model.members[0][1].pairs


def test_how_sure_a_side_is_equals_plain_loops():
    maps = [torch.rand(2, 3, 4, 5), torch.rand(2, 3, 6)]
    for n, found in enumerate(_sureness(maps).tolist()):
        peaks = [[part[n, j].max().item() for j in range(3)] for part in maps]
        assert found == pytest.approx(sum(sum(row) / 3 for row in peaks))


@pytest.mark.parametrize('surer', [0, 1])
def test_predictions_are_those_of_the_surer_side(surer):
    scores = np.array([[0.2, 0.9, 0.5, 0.8]])
    scores = scores[:, ::-1] if surer else scores
    theirs = dict(keypoints=np.random.rand(1, 4, 2), keypoint_scores=scores)
    (sides,) = two_points([Either(0, 1), 3, Either(2, 3)])
    ours = {key: np.zeros_like(value[:, :3]) for key, value in theirs.items()}
    put = sides.put_predictions(ours, theirs)
    left = scores[0, [0, 2]].mean() >= scores[0, [1, 3]].mean()
    for key, value in theirs.items():
        np.testing.assert_array_equal(put[key][:, [0, 2]], value[:, [0, 2] if left else [1, 3]])
        assert not put[key][:, 1].any() and not ours[key].any()
    assert left == bool(surer)
