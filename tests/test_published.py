"""Real published weights as mentors: they are read as their authors' code reads them.

Their README says what each reaches; the files lie beside the checkout or these tests are skipped.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from classroomkd_mm.analysis.check import check
from classroomkd_mm.analysis.compare import compare
from classroomkd_mm.tasks.pose.keypoints import names_in_config, names_of, published_metainfo

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT.parent / 'shared/data/weights'
pytestmark = pytest.mark.skipif(
    not WEIGHTS.is_dir() or not (WEIGHTS.parent / 'coco_pose').is_dir(),
    reason='the published weights and COCO people are not beside the checkout',
)
AP = dict(pp_tinypose_256x192=0.553, nanxinyu_large=0.567, ultralight_nano=0.460)


@pytest.fixture
def published(monkeypatch, tmp_path):
    """``published(student, mentors)``: a classroom of them, on COCO people."""
    monkeypatch.chdir(ROOT)  # their configs name the data from here
    monkeypatch.syspath_prepend(str(WEIGHTS))

    def make(student, mentors):
        path = WEIGHTS / 'pose'
        cfg = Config.fromfile(path / f'{student}.py')
        codec = cfg.model.head.decoder.to_dict()
        read = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
        cfg.train_dataloader.dataset.pipeline = [
            *read,
            dict(type='TopdownAffine', input_size=codec['input_size']),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs'),
        ]
        cfg.model = dict(
            type='classroomkd_mm.ClassroomDistiller',
            student=cfg.model,
            mentors=[
                dict(
                    name=name, config=str(path / f'{name}.py'), checkpoint=str(path / f'{name}.pth')
                )
                for name in mentors
            ],
            knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
            mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
            distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0),
        )
        cfg.custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
        cfg.optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3))
        cfg.train_cfg = dict(by_epoch=False, max_iters=2, val_interval=5)
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=2, by_epoch=False)
        cfg.train_dataloader.sampler.type = 'InfiniteSampler'
        cfg.work_dir = str(tmp_path / 'run')
        return cfg

    return make


def swapped(names, a, b):
    """Names with two words exchanged."""
    return [name.replace(a, '?').replace(b, a).replace('?', b) for name in names]


def test_a_classroom_of_published_networks_trains(published, train):
    cfg = published('pp_tinypose_128x96', AP)
    cfg.train_dataloader.batch_size = 4
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    train(cfg)
    (line,) = map(json.loads, (Path(cfg.work_dir) / 'classroom.jsonl').read_text().splitlines())
    assert set(line['mentors']) == set(AP)
    # They know the people; a student with random weights does not.
    assert all(m['score'] > line['student_score'] + 0.2 for m in line['mentors'].values())


def small(student):
    """Of the student only the heatmaps' shape matters."""
    student.init_cfg = None
    student.backbone = dict(
        type='ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=1, strides=(1,),
        dilations=(1,), out_indices=(0,),
    )  # fmt: skip
    student.head.in_channels = 8


def test_names_in_a_wrong_order_are_noticed(published):
    """Of one network under three lists of names, and of a random one."""
    cfg = published('pp_tinypose_128x96', ['pp_tinypose_128x96'])
    small(cfg.model.student)
    right = names_in_config(cfg)
    mirrored = swapped(right, 'left', 'right')
    hips = swapped(right, 'shoulder', 'hip')
    legs = swapped(right, 'knee', 'ankle')
    shifted = right[2:] + right[:2]
    lists = dict(
        right=right, mirrored=mirrored, hips=hips, legs=legs, shifted=shifted, random=mirrored
    )
    entry = dict(cfg.model.mentors[0])
    entries = [dict(entry, name=name, keypoints=names) for name, names in lists.items()]
    entries[-1]['checkpoint'] = None
    _, *rows = check(cfg, entries, batch=128)
    assert [row[1] for row in rows] == ['yes', 'NO', 'NO', 'NO', 'NO', 'yes']
    assert rows[1][-1].startswith('mentors[1].keypoints: on the first 128 samples it sees ')
    assert 'left_shoulder where right_shoulder is labelled' in rows[1][-1]
    assert 'left_hip where left_shoulder is labelled' in rows[2][-1]
    assert 'left_knee where left_ankle is labelled' in rows[3][-1]
    assert 'nose where left_ankle is labelled' in rows[4][-1]


def test_names_in_another_data_sets_order_are_noticed(published):
    """Of a network that finds few people, its 14 keypoints in its own order and in AIC's."""
    aic = names_of(published_metainfo('aic'))
    right = [*aic[-2:], *aic[:-2]]
    cfg = published('pp_tinypose_128x96', ['edvardhua_cpm'])
    small(cfg.model.student)
    entry = dict(cfg.model.mentors[0], letterbox=True)
    entries = [dict(entry, name=n, keypoints=k) for n, k in dict(right=right, aic=aic).items()]
    _, *rows = check(cfg, entries, batch=64)
    assert [row[1] for row in rows] == ['yes', 'NO'], rows


@pytest.mark.nightly
@pytest.mark.timeout(1500)
def test_mentors_reach_what_they_are_known_to_reach(published, train, capsys):
    cfg = published('pp_tinypose_256x192', AP)
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.max_iters = 1
    cfg.custom_hooks.append(dict(type='classroomkd_mm.MentorEvalHook'))
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    train(cfg)
    (log,) = Path(cfg.work_dir).glob('*/*.log')
    rows = [line.split() for line in log.read_text().splitlines()]
    head = next(row for row in rows if row[:1] == ['mentor'] and 'coco/AP' in row)
    found = {row[0]: float(row[head.index('coco/AP')]) for row in rows if row[:1] and row[0] in AP}
    assert found == pytest.approx(AP, abs=0.002)


@pytest.mark.timeout(600)
def test_mentors_of_twice_the_size_see_what_stock_inference_sees(published):
    """With crops of their own; what is taught may lose one of two peaks on the coarser grid."""
    cfg = published('pp_tinypose_128x96', AP)
    for mentor in cfg.model.mentors:
        mentor.config = Config.fromfile(mentor.config)
        mentor.own_resolution = True
        if 'unbiased' in mentor.config.model.head.decoder:  # DARK blurs a map before it looks
            mentor.config.model.head.decoder.unbiased = False
    for name, (scored, taught) in compare(cfg, people=6).items():
        assert len(scored) > 40 and (scored <= 0.5).all(), name
        assert np.median(taught) < 0.25 and (taught <= 0.5).mean() > 0.85, (name, taught)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_mentors_see_what_stock_inference_sees(published):
    cfg = published('pp_tinypose_256x192', AP)
    for mentor in cfg.model.mentors:
        mentor.config = Config.fromfile(mentor.config)
        if 'unbiased' in mentor.config.model.head.decoder:  # DARK blurs a map before it looks
            mentor.config.model.head.decoder.unbiased = False
    for name, (scored, taught) in compare(cfg, people=24).items():
        for apart in (scored, taught):
            assert np.median(apart) < 0.4 and (apart <= 0.5).mean() > 0.9, name
