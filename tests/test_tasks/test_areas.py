"""People without a usable area are scored by their boxes."""

import json
import math

import pytest
import torch
from mmengine.dataset import BaseDataset, ConcatDataset

from classroomkd_mm.registry import MODELS
from classroomkd_mm.tasks.pose.areas import area_of, fault, faults

FAULTS = [None, 0, -5.0, math.nan, math.inf, 'absent']


@pytest.mark.parametrize(
    'area, what',
    [
        (None, 'missing'), (0, 'zero or negative'), (-1.5, 'zero or negative'),
        (math.nan, 'not finite'), (math.inf, 'not finite'), (12, None), (0.5, None),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_area(area, what):
    assert fault(area) == what
    box = torch.tensor([4.0, 10.0])
    want = 0.53 * 40 if what else area
    assert area_of(dict(raw_ann_info=dict(area=area)), box) == pytest.approx(want)
    assert area_of(dict(raw_ann_info=None), box) == area_of({}, box) == pytest.approx(0.53 * 40)
    assert (area_of(dict(raw_ann_info=dict(area=area)), None) is None) == (what is not None)


class People(BaseDataset):
    """Annotations alone."""

    def load_data_list(self):
        return [dict(raw_ann_info=each) for each in self.annotations]


def people_of(*annotations):
    made = People(lazy_init=True)
    made.annotations = annotations
    return made


def test_faults_are_counted_over_all_parts_of_a_data_set():
    one = people_of(dict(area=4.0), dict(area=0), dict(), None, dict(area=math.nan))
    other = people_of(dict(area=-1.0), dict(area=9))
    foreign = torch.utils.data.TensorDataset(torch.zeros(3))
    assert faults(one) == ({'zero or negative': 1, 'missing': 2, 'not finite': 1}, 5)
    whole = ConcatDataset([other, one], lazy_init=True)
    assert faults(whole) == ({'zero or negative': 2, 'missing': 2, 'not finite': 1}, 7)
    assert faults(foreign) == ({}, 0)


@pytest.fixture
def spoilt(people, tmp_path):
    """``spoilt(area of every n-th person)``: the training annotations with these areas."""

    def write(areas):
        content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
        for annotation, area in zip(content['annotations'], areas):
            annotation['area'] = area
            if area == 'absent':
                del annotation['area']
        (tmp_path / 'train.json').write_text(json.dumps(content))
        return str(tmp_path / 'train.json')

    return write


def log_of(cfg):
    from pathlib import Path

    return ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))


def test_a_run_on_spoilt_areas_says_so_once_and_equals_one_on_the_boxes(
    demo_config, train, spoilt, people
):
    content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
    boxes = []  # MMPose cuts them off at the last pixel
    for x, y, w, h in (annotation['bbox'] for annotation in content['annotations']):
        boxes.append(0.53 * (min(x + w, 95) - x) * (min(y + h, 127) - y))
    runs = {}
    for name, areas in (('spoilt', FAULTS * 4), ('boxes', boxes)):
        cfg = demo_config('classroom')
        cfg.work_dir += name
        cfg.train_cfg.max_epochs = 1
        cfg.train_dataloader.dataset.ann_file = spoilt(areas)
        runs[name] = train(cfg).model.state_dict(), log_of(cfg)
    said = '24 of 24 people have no usable area (8 missing, 8 not finite, 8 zero or negative)'
    assert runs['spoilt'][1].count(said) == 1 and 'usable area' not in runs['boxes'][1]
    for key, value in runs['boxes'][0].items():
        torch.testing.assert_close(runs['spoilt'][0][key], value)


@pytest.mark.parametrize('fixed', [False, True])
def test_every_part_of_a_combined_set_is_counted_once(demo_config, train, spoilt, fixed):
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    whole = cfg.train_dataloader.dataset.to_dict()
    part = dict(whole, ann_file=spoilt(['absent'] * 5), pipeline=[])
    whole['pipeline'], pipeline = [], whole['pipeline']
    coco = dict(from_file='configs/_base_/datasets/coco.py')
    cfg.train_dataloader.dataset = dict(
        type='CombinedDataset', metainfo=coco, datasets=[whole, part], pipeline=pipeline
    )
    if fixed:
        combined = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(type='classroomkd_mm.FixedViews', dataset=combined)
    train(cfg)
    assert '5 of 48 people have no usable area (5 missing)' in log_of(cfg)


def test_without_sigmas_pck_is_the_default_and_is_said(demo_config):
    cfg = demo_config('classroom').model
    cfg.scorer, cfg.mentors = None, []
    model = MODELS.build(cfg)
    model._join(dict(sigmas=[0.1] * 17, keypoint_id2name={}))
    assert type(model.scorer).__name__ == 'OKSScorer'
    model._join(dict(sigmas=[], keypoint_id2name={}))
    assert type(model.scorer).__name__ == 'PCKScorer'
    cfg.scorer = dict(type='OKSScorer')  # what is set stays
    model = MODELS.build(cfg)
    model._join(dict(sigmas=[], keypoint_id2name={}))
    assert type(model.scorer).__name__ == 'OKSScorer'
