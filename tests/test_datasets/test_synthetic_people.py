"""The embedded data set, read and evaluated by MMPose's own classes."""

import json
import time

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets import CocoDataset, MpiiDataset
from mmpose.evaluation import CocoMetric, MpiiPCKAccuracy
from mmpose.structures import PoseDataSample

from classroomkd_mm.datasets import make_synthetic_people
from classroomkd_mm.datasets.synthetic_people import COCO_NAMES, make_scene


def files(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob('*.png'))} | {
        p.relative_to(root): p.read_text() for p in sorted(root.rglob('*.json'))
    }


def make(path, seed=0, **splits):
    return make_synthetic_people(str(path), splits, seed, progress=False)


def test_same_seed_same_files_another_seed_others(tmp_path):
    a, b = make(tmp_path / 'a', train=5, val=2), make(tmp_path / 'b', train=5, val=2)
    assert files(a) == files(b)
    c = files(make(tmp_path / 'c', seed=1, train=5, val=2))
    assert all(c[name] != data for name, data in files(a).items())
    more = make(tmp_path / 'd', train=7)
    first = 'train/000001.png'
    assert (more / first).read_bytes() == (a / first).read_bytes()


def test_it_is_made_once_and_an_interrupted_one_anew(tmp_path, capsys):
    root = make(tmp_path / 'a', train=3)
    stamp = (root / 'train/000001.png').stat().st_mtime_ns
    assert (make(root, train=3) / 'train/000001.png').stat().st_mtime_ns == stamp
    assert len(list((make_synthetic_people(str(root), dict(train=2)) / 'train').iterdir())) == 2
    told = ''.join(capsys.readouterr().err.split())
    assert f'{root}wasmadewith{{"splits":{{"train":3}}' in told and 'drawnanewwith' in told
    (tmp_path / 'b.partial/train').mkdir(parents=True)
    assert len(list((make(tmp_path / 'b', train=3) / 'train').iterdir())) == 3
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/photo.png').touch()
    with pytest.raises(FileExistsError, match='holds files that are not this data set'):
        make(tmp_path / 'mine', train=3)


def test_two_thousand_pictures_take_well_under_a_minute(tmp_path):
    started = time.process_time()
    make(tmp_path / 'a', train=200)
    assert time.process_time() - started < 4


def test_coco_dataset_reads_it_and_the_truth_scores_one(people):
    file = str(people / 'annotations/person_keypoints_test.json')
    data_set = CocoDataset(
        ann_file=file, data_prefix=dict(img=str(people / 'test')), test_mode=True
    )
    metric = CocoMetric(ann_file=file)
    metric.dataset_meta = data_set.metainfo
    assert len(data_set) == 8
    for info in (data_set.get_data_info(i) for i in range(len(data_set))):
        assert cv2.imread(info['img_path']).shape == (128, 96, 3)
        sample = dict(
            id=info['id'],
            img_id=info['img_id'],
            category_id=1,
            gt_instances=dict(bbox_scales=np.array([[90.0, 120.0]])),
            pred_instances=dict(
                keypoints=info['keypoints'],
                keypoint_scores=np.ones((1, 17)),
                bbox_scores=np.ones(1),
            ),
        )
        metric.process([], [sample])
    assert metric.evaluate(len(data_set))['coco/AP'] == pytest.approx(1)


def test_mpii_dataset_reads_it_and_the_truth_scores_a_hundred(people):
    data_set = MpiiDataset(
        ann_file=str(people / 'annotations/mpii_test.json'),
        test_mode=True,
        headbox_file=f'{people}/annotations/mpii_gt_test.mat',
        data_prefix=dict(img=str(people / 'test')),
    )
    metric = MpiiPCKAccuracy(thr=0.5, norm_item='head')
    metric.dataset_meta = data_set.metainfo
    for info in (data_set.get_data_info(i) for i in range(len(data_set))):
        truth = InstanceData(
            keypoints=info['keypoints'],
            head_size=info['head_size'],
            keypoints_visible=info['keypoints_visible'],
            bboxes=info['bbox'],
        )
        sample = PoseDataSample(
            gt_instances=truth, pred_instances=InstanceData(keypoints=info['keypoints'])
        )
        metric.process([], [sample.to_dict()])
    assert metric.evaluate(len(data_set))['PCK'] == pytest.approx(100, abs=1e-3)


def test_left_is_left_from_the_front_and_right_from_behind():
    for seed in range(20):
        for yaw, sign in ((0, 1), (180, -1)):
            scene = make_scene(np.random.default_rng(seed), (96, 128), yaw)
            gap = scene.points['left_shoulder'][0] - scene.points['right_shoulder'][0]
            assert sign * gap > 0


def test_flags_say_outside_hidden_or_seen(people):
    flags = set()
    content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
    for record in content['annotations']:
        points = np.array(record['keypoints']).reshape(17, 3)
        flags |= set(points[:, 2].tolist())
        inside = (points[:, :2] >= 0).all() and (points[:, :2] < [96, 128]).all()
        assert inside and (points[points[:, 2] == 0] == 0).all()
        assert record['num_keypoints'] == (points[:, 2] > 0).sum() and record['area'] > 0
    assert flags == {0, 1, 2}
    behind = make_scene(np.random.default_rng(3), (96, 128), yaw=180)
    assert behind.visibility['nose'] != 2, 'the face cannot be seen from behind'


def test_every_joint_is_seen_somewhere():
    seen = {
        n
        for seed in range(60)
        for n, f in make_scene(np.random.default_rng(seed), (96, 128)).visibility.items()
        if f == 2
    }
    assert set(COCO_NAMES) <= seen
