"""RTMPose's and RTMW's published configs as students: their data, stages, averages and metrics."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS as MMPOSE_DATASETS

from classroomkd_mm.runs import with_classroom_hook

CONFIGS = Path(__file__).parents[1] / 'configs/pose'
BODY = 'mmpose::body_2d_keypoint/rtmpose'
WHOLE = 'mmpose::wholebody_2d_keypoint/rtmpose'
# A student's config, its number of keypoints, and what its own metric reports.
STUDENTS = {
    'coco-t': (f'{BODY}/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 17, 'coco/AP'),
    'coco-s': (f'{BODY}/coco/rtmpose-s_8xb256-420e_coco-256x192.py', 17, 'coco/AP'),
    'coco-m': (f'{BODY}/coco/rtmpose-m_8xb256-420e_coco-256x192.py', 17, 'coco/AP'),
    'body8-t': (f'{BODY}/body8/rtmpose-t_8xb256-420e_body8-256x192.py', 17, 'coco/AP'),
    'body8-s': (f'{BODY}/body8/rtmpose-s_8xb256-420e_body8-256x192.py', 17, 'coco/AP'),
    'body8-m': (f'{BODY}/body8/rtmpose-m_8xb256-420e_body8-256x192.py', 17, 'coco/AP'),
    'halpe26-t': (f'{BODY}/body8/rtmpose-t_8xb1024-700e_body8-halpe26-256x192.py', 26, 'AUC'),
    'halpe26-s': (f'{BODY}/body8/rtmpose-s_8xb1024-700e_body8-halpe26-256x192.py', 26, 'AUC'),
    'halpe26-m': (f'{BODY}/body8/rtmpose-m_8xb512-700e_body8-halpe26-256x192.py', 26, 'AUC'),
    'ubody-t': (
        f'{WHOLE}/ubody/rtmpose-t_8xb64-270e_coco-ubody-wholebody-256x192.py',
        133,
        'coco-wholebody/AP',
    ),
    'whole-m': (
        f'{WHOLE}/coco-wholebody/rtmpose-m_8xb64-270e_coco-wholebody-256x192.py',
        133,
        'coco-wholebody/AP',
    ),
    'rtmw-m': (
        f'{WHOLE}/cocktail14/rtmw-m_8xb1024-270e_cocktail14-256x192.py',
        133,
        'coco-wholebody/AP',
    ),
}
QUICK = ('coco-t', 'halpe26-t', 'ubody-t')  # one of each kind; the others differ in width
PARTS = dict(foot_kpts=(15, 6), face_kpts=(0, 68), lefthand_kpts=(9, 21), righthand_kpts=(10, 21))
SMALL = 'configs/demo/mentor_small.py'


@pytest.fixture(scope='module')
def whole_people(people):
    """The people with feet, face and hands: as many points at an ankle, the nose, the wrists."""
    for split in ('train', 'val'):
        folder = people / 'annotations'
        content = json.loads((folder / f'person_keypoints_{split}.json').read_text())
        for person in content['annotations']:
            for part, (joint, count) in PARTS.items():
                person[part] = person['keypoints'][3 * joint : 3 * joint + 3] * count
                person[part.replace('kpts', 'valid')] = True
            person.setdefault('segmentation', [])
        (folder / f'whole_{split}.json').write_text(json.dumps(content))
    return people


def on_people(dataset, people, split):
    """A config's data set, or of a combined one its first part, on the people."""
    if dataset.type == 'CombinedDataset':
        dataset.datasets = dataset.datasets[:1]
        on_people(dataset.datasets[0], people, split)
        return
    whole = 'WholeBody' in dataset.type
    dataset.update(
        data_root=f'{people}/',
        ann_file=f'annotations/{"whole" if whole else "person_keypoints"}_{split}.json',
        data_prefix=dict(img=f'{split}/'),
        indices=4,
    )
    dataset.pop('bbox_file', None)


def student_config(name, people, root):
    """The published config for two epochs of one iteration, the second in its second stage."""
    cfg = get_config(STUDENTS[name][0])
    cfg.model.backbone.pop('init_cfg')  # weights from the net
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        on_people(loader.dataset, people, split)
    if 'ann_file' in cfg.val_evaluator:
        kind = 'whole' if 'WholeBody' in cfg.val_evaluator.type else 'person_keypoints'
        cfg.val_evaluator.ann_file = f'{people}/annotations/{kind}_val.json'
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    hook = [hook for hook in cfg.custom_hooks if hook.type == 'mmdet.PipelineSwitchHook'][0]
    hook.switch_epoch = 1
    student, mentor = cfg.model, dict(name='small', config=f'{root}/{SMALL}', checkpoint=None)
    cfg.model = dict(
        type='classroomkd_mm.ClassroomDistiller',
        student=student,
        mentors=[mentor],
        knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
        mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
        distill_loss=dict(type='KLDistillLoss', loss_weight=0.001, beta=10.0),
    )
    return with_classroom_hook(cfg)


@pytest.fixture
def iterations(monkeypatch):
    """What each training iteration of a run in this test logged."""
    seen, call_hook = [], Runner.call_hook

    def spy(runner, point, **kwargs):
        if point == 'after_train_iter':
            seen.append(kwargs['outputs'])
        return call_hook(runner, point, **kwargs)

    monkeypatch.setattr(Runner, 'call_hook', spy)
    return seen


@pytest.mark.parametrize(
    'name',
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.nightly) for n in STUDENTS],
)
def test_a_published_config_learns_in_both_stages_and_is_measured(
    name, whole_people, train, tmp_path, iterations, request
):
    cfg = student_config(name, whole_people, request.config.rootpath)
    theirs = [hook.type for hook in get_config(STUDENTS[name][0]).custom_hooks]
    assert [h.type for h in cfg.custom_hooks] == [*theirs, 'classroomkd_mm.ClassroomHook']
    cfg.work_dir = str(tmp_path / name)
    runner = train(cfg)

    assert len(iterations) == 2
    for seen in iterations:
        assert seen['loss_task_kpt'] > 0 and seen['loss_distill'] >= 0
        assert torch.isfinite(seen['loss'])
    _, keypoints, metric = STUDENTS[name]
    assert runner.model.head.out_channels == keypoints
    assert f'val/{metric}' in runner.message_hub.log_scalars

    hooks = {type(hook).__name__: hook for hook in runner.hooks}
    assert {'ClassroomHook', 'PipelineSwitchHook'} <= set(hooks)
    second = hooks['PipelineSwitchHook'].switch_pipeline
    assert second != cfg.train_dataloader.dataset.pipeline
    now = runner.train_dataloader.dataset.pipeline.transforms
    assert [type(t).__name__ for t in now] == [t['type'].split('.')[-1] for t in second]
    saved = torch.load(next((tmp_path / name).glob('epoch_2.pth')), weights_only=False)
    assert ('ema_state_dict' in saved) == ('EMAHook' in theirs)
    plain = MODELS.build(cfg.model.student)
    assert set(saved['state_dict']) == set(plain.state_dict())


RECIPES = sorted(
    path.relative_to(CONFIGS)
    for folder in ('coco', 'body8', 'coco-wholebody')
    for path in (CONFIGS / folder).glob('*_rtmpose-*.py')
)
IN_EVERY_RUN = ('coco/classroom_rtmpose-s', 'body8/kd_rtmpose-t')


def of_all_parts(dataset, people):
    """Each of the sets that a CombinedDataset converts, with a person of the people's.

    What a converter makes the student's 26 keypoints of, is made of a person's 17: those that COCO
    lacks are at the nose.
    """
    content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
    for place, part in enumerate(dataset.datasets):
        mapping = [step.mapping for step in part.pipeline if step.type == 'KeypointConverter'][0]
        metainfo = MMPOSE_DATASETS.get(part.type).METAINFO
        count = len(parse_pose_metainfo(metainfo)['keypoint_id2name'])
        person = copy.deepcopy(content['annotations'][place])
        own = np.array(person['keypoints']).reshape(-1, 3)
        points = np.zeros((count, 3), int)
        for source, target in mapping:
            points[source] = own[target if target < len(own) else 0]
        file = people / f'annotations/part_{place}.json'
        if part.type == 'MpiiDataset':
            x, y, width, height = person['bbox']
            picture = content['images'][person['image_id'] - 1]['file_name']
            person = dict(image=picture, center=[x + width / 2, y + height / 2])
            person.update(scale=height / 200, joints=points[:, :2].tolist())
            file.write_text(json.dumps([dict(person, joints_vis=points[:, 2].tolist())]))
        else:
            person.update(keypoints=points.ravel().tolist(), num_keypoints=len(mapping))
            if 'WholeBody' in part.type:  # its feet are of their own
                person.update(keypoints=own.ravel().tolist(), segmentation=[])
                for name, (joint, number) in PARTS.items():
                    person[name] = own[joint].tolist() * number
                    person[name.replace('kpts', 'valid')] = True
            file.write_text(json.dumps(dict(content, annotations=[person])))
        part.update(
            data_root=f'{people}/', ann_file=str(file), data_prefix=dict(img=str(people / 'train'))
        )


def recipe_config(path, people):
    """A shipped recipe for two epochs of one iteration, mentors at random."""
    cfg = Config.fromfile(CONFIGS / path)
    cfg.model.get('student', cfg.model).backbone.pop('init_cfg')
    for mentor in cfg.model.get('mentors', []):
        mentor.checkpoint = None
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'CombinedDataset':
        of_all_parts(dataset, people)
    else:
        on_people(dataset, people, 'train')
        dataset.indices = 2
    size = len(dataset.get('datasets', '12'))
    cfg.train_dataloader.update(batch_size=size, num_workers=0, persistent_workers=False)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2)
    hook = [hook for hook in cfg.custom_hooks if hook.type == 'mmdet.PipelineSwitchHook'][0]
    hook.switch_epoch = 1
    return cfg


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(p, marks=() if str(p).startswith(IN_EVERY_RUN) else pytest.mark.nightly)
        for p in RECIPES
    ],
    ids=str,
)
def test_a_shipped_recipe_trains_in_both_stages(path, whole_people, train, tmp_path, iterations):
    """Students with their mentors' networks, at random: RTMPose, RTMW, HRNet and ViTPose."""
    cfg = recipe_config(path, whole_people)
    stock = [hook.type for hook in get_config(f'mmpose::{student_of(path)}').custom_hooks]
    cfg.work_dir = str(tmp_path / 'recipe')
    runner = train(with_classroom_hook(cfg))
    told = ['rtmpose-l', 'hrnet-w48', 'vitpose-base', 'rtmpose-m']
    if path.parent.name == 'coco-wholebody':
        told = ['rtmw-x', 'rtmpose-l', 'hrnet-w48', 'vitpose-base']
    told = told[: dict(kd=1, plain=0).get(path.name.split('_')[0], 4)]
    assert [m.name for m in getattr(runner.model, 'mentors', ())] == told
    for seen in iterations:
        assert torch.isfinite(seen['loss']) and ('loss_distill' in seen) == bool(told)
    assert len(iterations) == 2
    kinds = [type(hook).__name__ for hook in runner.hooks]
    assert kinds.count('ClassroomHook') == bool(told)
    for kind in ('EMAHook', 'mmdet.PipelineSwitchHook'):
        assert kinds.count(kind.split('.')[-1]) == stock.count(kind)
    [hook] = [hook for hook in runner.hooks if type(hook).__name__ == 'PipelineSwitchHook']
    now = runner.train_dataloader.dataset.pipeline.transforms
    assert [type(t).__name__ for t in now] == [
        t['type'].split('.')[-1] for t in hook.switch_pipeline
    ]
    if len(told) > 1 and path.parent.name != 'coco':  # COCO's networks teach what they have
        bridge = [bridge for mentor, bridge in runner.model.members if 'hrnet' in mentor.name][0]
        assert int(bridge.known.sum()) == 17 < len(bridge.known)


def student_of(path):
    """The published config of a recipe's student."""
    folder = 'body_2d_keypoint/rtmpose'
    if path.parent.name == 'coco-wholebody':
        folder = 'wholebody_2d_keypoint/rtmpose'
    return f'{folder}/{path.parent}/{path.name.split("_", 1)[1]}'


@pytest.mark.parametrize('path', [p for p in RECIPES if 'plain' not in p.name], ids=str)
def test_a_lesson_is_in_proportion_to_the_samples_that_the_heads_loss_adds_up(path):
    cfg = Config.fromfile(CONFIGS / path)
    each = 0.0005 if path.name.startswith('classroom') else 0.0015
    weight = cfg.model.distill_loss.loss_weight
    assert weight == pytest.approx(each * cfg.train_dataloader.batch_size)
    loss = MODELS.build(cfg.model.student.head.loss)
    maps = torch.randn(2, 1, 3, 8)
    one, two = (loss(m, -m, torch.ones(m[0].shape[:2])) for m in (maps, maps.repeat(1, 2, 1, 1)))
    assert two.item() == pytest.approx(2 * one.item())
