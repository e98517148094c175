"""Every config's student builds, and every mentor is what the zoo's index says it is."""

from functools import cache
from pathlib import Path

import mmpose
import pytest
import yaml
from mmengine.config import Config
from mmengine.config import utils as engine
from mmengine.hub import get_config
from mmengine.registry import MODELS

from classroomkd_mm.mentors.zoo import look_up
from classroomkd_mm.runs import student_config

CONFIGS = Path(__file__).parents[1] / 'configs'
SETS = ('coco', 'mpii', 'body8', 'coco-wholebody')
POSE = sorted(p for data in SETS for p in (CONFIGS / 'pose' / data).glob('*.py'))
MIM = Path(mmpose.__file__).parent / '.mim'


@pytest.fixture(scope='module', autouse=True)
def indexes_are_read_once():
    """For each `library::PATH` MMEngine reads all of the library's metafiles, which takes nine
    tenths of the time that a config takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, 'load', cache(engine.load))
        yield


@pytest.fixture(scope='module')
def published():
    """The zoo's index: weights' URL by config."""
    index = {}
    for folder in (
        'body_2d_keypoint/topdown_heatmap/coco',
        'body_2d_keypoint/topdown_heatmap/mpii',
        'body_2d_keypoint/rtmpose/coco',
        'body_2d_keypoint/rtmpose/body8',
        'wholebody_2d_keypoint/rtmpose/coco-wholebody',
        'wholebody_2d_keypoint/rtmpose/cocktail14',
    ):
        for file in (MIM / 'configs' / folder).glob('*.yml'):
            for entry in yaml.safe_load(file.read_text())['Models']:
                index[entry['Config'].replace('configs/', 'mmpose::', 1)] = entry['Weights']
    return index


@pytest.mark.parametrize('path', POSE, ids=lambda p: p.stem)
def test_the_student_builds_and_the_mentors_are_the_zoos(path, published):
    cfg = Config.fromfile(path)
    student = cfg.model.get('student', cfg.model)
    student.backbone.pop('init_cfg', None)
    built = MODELS.build(student)
    for mentor in cfg.model.get('mentors', []):
        found = look_up(mentor.zoo, mentor.name)
        assert Path(found.config).stem == mentor.zoo  # the data set and input size are in the name
        assert found.weights == published[found.config]
        network = get_config(found.config).model
        # COCO's networks have the body of a student of more keypoints, joined by name.
        same = network.head.out_channels == built.head.out_channels
        assert same or (built.head.out_channels > 17 and '_coco-256x192' in mentor.zoo)
        assert network.head.decoder.input_size == student.head.decoder.input_size


@pytest.mark.parametrize(
    'path', [p for p in POSE if p.stem.startswith('classroom')], ids=lambda p: p.stem
)
def test_the_four_variants_differ_in_the_lesson_alone(path):
    classroom, plain, kd, aver = (
        Config.fromfile(path.with_name(path.name.replace('classroom', kind, 1)))
        for kind in ('classroom', 'plain', 'kd', 'aver')
    )
    assert classroom.model.student == plain.model == aver.model.student == kd.model.student
    assert len(kd.model.mentors) == 1 and kd.model.mentors[0] == aver.model.mentors[0]
    keypoints = get_config(look_up(kd.model.mentors[0].zoo, 'm').config).model.head.out_channels
    assert keypoints == plain.model.head.out_channels  # a lone mentor has all keypoints
    assert classroom.model.mentors == aver.model.mentors and len(aver.model.mentors) >= 3
    assert kd.model.distill_loss == aver.model.distill_loss
    for cfg in (classroom, kd, aver):  # the student's own hooks, which the list replaces
        hooks = [hook.type for hook in [*plain.custom_hooks, cfg.custom_hooks[-1]]]
        assert [hook.type for hook in cfg.custom_hooks] == hooks
        assert hooks[-1] == 'classroomkd_mm.ClassroomHook'
    for cfg in (plain, kd, aver):
        assert cfg.train_dataloader == classroom.train_dataloader
        assert cfg.train_cfg == classroom.train_cfg and cfg.optim_wrapper == classroom.optim_wrapper


@pytest.mark.parametrize(
    'path',
    [
        p
        for p in sorted(CONFIGS.glob('*/**/classroom*.py'))
        if p.parts[-2] not in ('_base_', 'cifar100')
    ],
    ids=lambda p: f'{p.parts[-2]}/{p.stem}',
)
def test_the_students_config_needs_nothing_of_this_package(path):
    cfg = Config.fromfile(path)
    alone = student_config(cfg)
    if 'classroomkd_mm.' in str(cfg.model.student):  # its networks
        assert alone.custom_imports.imports == ['classroomkd_mm']
    else:
        assert 'classroomkd_mm' not in alone.pretty_text
        if cfg.train_dataloader.dataset.type == 'classroomkd_mm.FixedViews':
            cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.dataset
        assert alone.model == cfg.model.student and alone.train_dataloader == cfg.train_dataloader


def test_a_whole_classroom_of_the_zoo_builds():
    from classroomkd_mm.registry import MODELS as OURS

    cfg = Config.fromfile(CONFIGS / 'pose/coco/classroom_res50_8xb64-210e_coco-256x192.py').model
    cfg.student.backbone.pop('init_cfg', None)
    for mentor in cfg.mentors:
        mentor.checkpoint = None
    assert [m.name for m in OURS.build(cfg).mentors] == [
        'hrnet-w48',
        'hrnet-w32',
        'res152',
        'res101',
    ]


@pytest.mark.parametrize(
    'data',
    ['coco_256x192', 'mpii_256x256', 'halpe26_256x192', 'coco-wholebody_256x192', 'imagenet'],
)
def test_every_mentor_on_offer_is_published_once_and_has_weights(data):
    zoo = Config.fromfile(CONFIGS / f'_base_/mentors_{data}.py').zoo
    assert len({mentor.name for mentor in zoo.values()}) == len(zoo)
    for key, mentor in zoo.items():
        found = look_up(mentor.zoo, mentor.name)  # raises for a name that is there twice
        assert mentor.name.replace('-', '_') == key
        assert found.weights.startswith('https://') and get_config(found.config).model


def test_a_recipe_takes_its_mentors_from_the_base_in_both_spellings(tmp_path):
    made = []
    for spelling in ('{{_base_.zoo.hrnet_w48}}', '_base_.zoo.hrnet_w48'):
        (tmp_path / 'recipe.py').write_text(
            f"_base_ = ['{CONFIGS}/_base_/mentors_coco_256x192.py']\nmentors = [{spelling}]\n"
        )
        made.append(Config.fromfile(tmp_path / 'recipe.py').mentors)
    want = dict(name='hrnet-w48', zoo='td-hm_hrnet-w48_8xb32-210e_coco-256x192')
    assert made == [[want], [want]]
