"""Configs as people have them: read, or refused with what to do."""

import json
import logging
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpose.models import TopdownPoseEstimator

from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.configs import model_config

CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1.0)
HEAD = dict(
    type='HeatmapHead', in_channels=512, out_channels=17, decoder=CODEC,
    deconv_out_channels=(8, 8, 8), deconv_kernel_sizes=(4, 4, 4), loss=dict(type='KeypointMSELoss'),
)  # fmt: skip
MODEL = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
    backbone=dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='no://')),
    head=HEAD,
)
WHOLE = dict(default_scope='mmpose', model=MODEL)

PURE_BASE = """
from mmpose.codecs import MSRAHeatmap
from mmpose.models import PoseDataPreprocessor
codec = dict(type=MSRAHeatmap, input_size=(48, 64), heatmap_size=(12, 16), sigma=1.0)
preprocessor = dict(type=PoseDataPreprocessor, mean=[0.0] * 3, std=[255.0] * 3)
"""
PURE = """
from mmengine.config import read_base
with read_base():
    from .pure_base import *
import torch.nn as nn
from mmpose.datasets import CocoDataset
from mmpose.models import HeatmapHead, KeypointMSELoss, ResNet, TopdownPoseEstimator
model = dict(
    type=TopdownPoseEstimator,
    data_preprocessor=preprocessor,
    backbone=dict(type=ResNet, depth=18, norm_cfg=dict(type=nn.BatchNorm2d)),
    head=dict(type=HeatmapHead, in_channels=512, out_channels=17, deconv_out_channels=(8, 8, 8),
        deconv_kernel_sizes=(4, 4, 4), loss=dict(type=KeypointMSELoss), decoder=codec))
train_dataloader = dict(dataset=dict(type=CocoDataset))
"""


def write(path, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{key} = {value!r}\n' for key, value in settings.items()))
    return path


def settings_of(config, **more):
    return MentorSettings.of(dict(name='m', config=config, checkpoint=None, **more), 0)


def build(config, **more):
    return settings_of(config, **more).build()


def refused(config, kind, message, **more):
    with pytest.raises(kind, match=message) as caught:
        build(config, **more)
    assert str(caught.value).startswith("mentor 'm': ")
    return str(caught.value)


def test_every_form_of_a_config_gives_the_same_network(tmp_path, monkeypatch):
    path = write(tmp_path / 'plain.py', **WHOLE)
    (tmp_path / 'c.json').write_text(json.dumps(WHOLE))
    Config(WHOLE).dump(str(tmp_path / 'c.yaml'))
    write(tmp_path / 'child.py', _base_='plain.py', model=dict(head=dict(_delete_=True, **HEAD)))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('DEPTH', '18')
    (tmp_path / 'env.py').write_text(
        "_base_ = 'plain.py'\nmodel = dict(backbone=dict(depth=int('{{$DEPTH:50}}')))\n"
    )
    forms = [
        str(path), path, '~/plain.py', str(tmp_path / 'c.json'), str(tmp_path / 'c.yaml'), MODEL,
        WHOLE, Config(WHOLE), Config.fromfile(path), str(tmp_path / 'child.py'),
        str(tmp_path / 'env.py'),
    ]  # fmt: skip
    want = {key: value.shape for key, value in build(WHOLE)[0].state_dict().items()}
    for form in forms:
        network, config = build(form)
        assert {key: value.shape for key, value in network.state_dict().items()} == want, form
        assert isinstance(config, (dict, Config))
    assert MODEL['backbone']['init_cfg']  # what was given is as it was


def test_a_pure_python_config_is_built_of_its_classes_in_any_scope(tmp_path):
    (tmp_path / 'pure_base.py').write_text(PURE_BASE)
    (tmp_path / 'pure.py').write_text(PURE)
    network, config = build(str(tmp_path / 'pure.py'))
    assert type(network) is TopdownPoseEstimator and 'default_scope' not in config
    want = {key: value.shape for key, value in build(WHOLE)[0].state_dict().items()}
    assert {key: value.shape for key, value in network.state_dict().items()} == want
    assert model_config(config)['type'] is TopdownPoseEstimator
    given, _ = build(Config.fromfile(tmp_path / 'pure.py'))
    assert type(given) is TopdownPoseEstimator
    # A class tells in which library's scope the names beside it are.
    text = PURE.replace('type=KeypointMSELoss', "type='KeypointMSELoss'").replace(
        'type=ResNet', "type='ResNet'"
    )
    (tmp_path / 'mixed.py').write_text(text)
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        mixed, _ = build(str(tmp_path / 'mixed.py'))
    assert type(mixed.backbone).__module__.startswith('mmpose.')


def none_of_them(package_path, cfg_path):
    raise ValueError('no metafile lists it, as is so of base configs')


def test_a_pure_python_config_of_a_library_is_read(tmp_path, monkeypatch):
    from mmengine import hub

    monkeypatch.setattr(hub.hub, 'get_installed_path', lambda package: str(tmp_path))
    monkeypatch.setattr(hub.hub, '_get_cfg_metainfo', none_of_them)
    folder = tmp_path / '.mim/configs/body_2d_keypoint'
    folder.mkdir(parents=True)
    (folder / 'pure.py').write_text(PURE)
    (folder / 'pure_base.py').write_text(PURE_BASE)
    assert type(build('mmpose::body_2d_keypoint/pure.py')[0]) is TopdownPoseEstimator


def test_a_library_that_installs_less_than_its_configs_build_on_is_not_the_path_to_blame():
    base = 'configs/_base_/default_runtime.py'  # MMPose has it beside its sources alone
    refused(
        'mmpose::body_2d_keypoint/edpose/coco/edpose_res50_8xb2-50e_coco-800x1333.py',
        FileNotFoundError,
        rf"800x1333.py' is there, but a file that it builds on .*{base} does not exist",
    )


def test_what_cannot_be_imported_or_built_is_named(tmp_path):
    (tmp_path / 'pure.py').write_text('from nowhere_mm import Net\nmodel = dict(type=Net)\n')
    refused(str(tmp_path / 'pure.py'), ImportError, 'needs what cannot be imported: .*nowhere_mm')
    inner = dict(type=TopdownPoseEstimator, backbone=dict(type='ResNet', depth=7))
    refused(inner, ValueError, 'its model TopdownPoseEstimator cannot be built: ')
    refused(dict(type='NoSuchNet'), ValueError, 'its model NoSuchNet cannot be built: .*NoSuchNet')
    path = write(tmp_path / 'runtime.py', default_scope='mmpose', log_level='INFO')
    refused(str(path), ValueError, r"no model, nor a type of its own: \['default_scope', 'log_le")
    path = write(tmp_path / 'imports.py', **WHOLE, custom_imports=dict(imports=['nowhere_mm']))
    refused(str(path), ImportError, "imports.py' cannot be read: .*nowhere_mm")
    refused(dict(model='a.py'), TypeError, "has a model that is no dict: 'a.py'")


@pytest.mark.parametrize(
    'text, kind, message',
    [
        ('model = dict(', ValueError, "c.py' cannot be read: SyntaxError"),
        (
            "a = '{{$NONE_SUCH_HERE:}}'",
            ValueError,
            'KeyError: .*NONE_SUCH_HERE. cannot be found in',
        ),
        ('model = 1 / 0', ValueError, 'cannot be read: ZeroDivisionError: division by zero'),
    ],
)
def test_a_config_that_cannot_be_read_says_why(tmp_path, text, kind, message):
    (tmp_path / 'c.py').write_text(text)
    refused(str(tmp_path / 'c.py'), kind, message)


def test_what_is_no_config_is_said(tmp_path):
    (tmp_path / 'weights.pth').write_bytes(b'')
    refused(str(tmp_path / 'weights.pth'), ValueError, r'is no config .*is a checkpoint=')
    refused(str(tmp_path), FileNotFoundError, 'is a folder, not a config file')
    refused('nowhere_mm::a/b.py', ImportError, "'nowhere_mm::a/b.py': the library nowhere_mm is no")
    refused('mmpose::a/b.py', FileNotFoundError, "does not exist among mmpose's installed configs")
    refused(3, TypeError, 'config must be a dict, a path or library::path, got int')


@pytest.mark.parametrize(
    'base', ['../_base_/b.py', './b.yaml', ['plain.py', 'sub/b.py'], 'deep.py']
)
def test_a_missing_base_is_named_by_its_own_path(tmp_path, base):
    write(tmp_path / 'a/plain.py', **WHOLE)
    write(tmp_path / 'a/deep.py', _base_='sub/b.py')
    path = write(tmp_path / 'a/mentor.py', _base_=base)
    missing = {str: base, list: 'sub/b.py'}[type(base)].replace('deep.py', 'sub/b.py')
    missing = (path.parent / missing).resolve()
    refused(
        str(path),
        FileNotFoundError,
        rf"config='{path}' is there, but a file that it builds on .* is not: {missing} does not",
    )


def test_a_missing_base_of_the_other_styles(tmp_path):
    (tmp_path / 'pure.py').write_text(PURE)
    missing = tmp_path / 'pure_base.py'
    refused(str(tmp_path / 'pure.py'), FileNotFoundError, rf'is not: {missing} does not exist')
    (tmp_path / 'c.yaml').write_text('_base_: none.yaml\n')
    refused(str(tmp_path / 'c.yaml'), FileNotFoundError, rf'{tmp_path}/none.yaml does not exist')
    path = write(tmp_path / 'lib.py', _base_='mmpose::_base_/none.py')
    refused(str(path), FileNotFoundError, r'lib.py. is there, .*_base_/none.py does not exist')


OLD_POSE = dict(
    channel_cfg=dict(num_output_channels=17),
    data_cfg=dict(image_size=[192, 256]),
    lr_config=dict(policy='step'),
    data=dict(samples_per_gpu=64, train=dict(type='TopDownCocoDataset')),
    model=dict(type='TopDown', pretrained=None, backbone=dict(type='ResNet', depth=50),
               keypoint_head=dict(type='TopdownHeatmapSimpleHead')),
)  # fmt: skip


@pytest.mark.parametrize(
    'config, keys',
    [
        (OLD_POSE, "data, lr_config, data_cfg, channel_cfg, model.keypoint_head, model.type='TopD"),
        (OLD_POSE['model'], "model.keypoint_head, model.type='TopDown'"),
        (dict(model=dict(type='ImageClassifier'), data=dict(samples_per_gpu=32)), 'data'),
        (dict(model=dict(type='ImageClassifier'), optimizer_config={}, checkpoint_config={}),
         'optimizer_config, checkpoint_config'),
    ],
)  # fmt: skip
def test_a_config_of_0x_is_to_be_converted(tmp_path, config, keys):
    sentence = refused(config, ValueError, re.escape(f'(it has {keys}'))
    assert 'is of MMPose 0.x or MMClassification 0.x' in sentence and 'convert it: give' in sentence
    refused(str(write(tmp_path / 'old.py', **config)), ValueError, "config='.*old.py' is of MMPose")


def test_todays_configs_with_old_variables_are_not_taken_for_old():
    build(dict(WHOLE, data_cfg={}, channel_cfg={}, optimizer=dict(type='Adam')))
    build(dict(WHOLE, train_dataloader=dict(batch_size=1), data=dict(root='data')))


@pytest.mark.parametrize(
    'config, message',
    [
        ('mmpose::wholebody_2d_keypoint/dwpose/ubody/s1_dis/dwpose_l_dis_m_coco-ubody-256x192.py',
         r"\(DWPoseDistiller\), not of a network: give its student's config, which "
         "model.student_cfg names: '.*.py'"),
        (dict(type='mmrazor.KD', architecture=dict(cfg_path='mmpretrain::a/b.py'), teacher={}),
         ".* which model.architecture names: 'mmpretrain::a/b.py'"),
        (dict(model=dict(type='KD', architecture=MODEL)), '.* which model.architecture holds'),
        (dict(algorithm=dict(type='GeneralDistill', architecture=MODEL, distiller={})),
         r'\(GeneralDistill\).* which algorithm.architecture holds'),
        (dict(type='MyDistiller', student=MODEL, teacher=MODEL), '.* which model.student holds'),
        (dict(type='MyDistiller', teacher=MODEL), ".*give its student's config$"),
    ],
)  # fmt: skip
def test_a_distillation_is_no_network(config, message):
    refused(config, ValueError, f'is of a distillation {message}')


@pytest.fixture
def told(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, logger=logger.name):
        yield caplog
    logger.removeHandler(caplog.handler)


@pytest.mark.parametrize('kind', ['ClassroomDistiller', 'classroomkd_mm.ClassroomDistiller'])
def test_of_a_classroom_the_student_is_the_mentor(tmp_path, kind, told):
    student = {key: value for key, value in MODEL.items() if key != 'data_preprocessor'}
    model = dict(
        type=kind,
        student=student,
        mentors=[dict(config='none.py', checkpoint='none.pth')],
        data_preprocessor=MODEL['data_preprocessor'],
    )
    path = write(tmp_path / 'classroom.py', default_scope='mmpose', model=model)
    for config in (str(path), dict(model=model), model, Config.fromfile(path)):
        network, read = build(config)
        assert type(network) is TopdownPoseEstimator
        assert network.data_preprocessor.std.flatten().tolist() == [255.0] * 3
        assert 'is of a classroom: its student is the mentor' in told.text
        assert read.get('model', read)['type'] == 'TopdownPoseEstimator'
        told.clear()
    assert build(str(path))[1].filename == str(path)


def test_relative_paths_are_looked_for_in_the_folder_as_well(tmp_path, monkeypatch):
    here, there = tmp_path / 'here', tmp_path / 'there'
    here.mkdir()
    write(there / 'sub/m.py', **WHOLE)
    (there / 'm.pth').write_bytes(b'')
    monkeypatch.chdir(here)
    entry = dict(name='m', config='sub/m.py', checkpoint='m.pth', folder=str(there))
    read = MentorSettings.of(entry, 0)
    assert (read.config, read.checkpoint) == (str(there / 'sub/m.py'), str(there / 'm.pth'))
    write(here / 'sub/m.py', **WHOLE)  # the working directory comes first
    assert MentorSettings.of(entry, 0).config == 'sub/m.py'
    places = f'looked for in {here} and in {there}'
    refused('none.py', FileNotFoundError, f"'none.py' does not exist, {places}", folder=str(there))
    refused('none.py', FileNotFoundError, f"'none.py' does not exist, looked for in {here}$")
    refused('/none.py', FileNotFoundError, "config='/none.py' does not exist$", folder=str(there))
    lost = MentorSettings.of(dict(entry, config=WHOLE, checkpoint='none.pth'), 0)
    with pytest.raises(FileNotFoundError, match=f"checkpoint='none.pth' does not exist, {places}"):
        lost.build()
    remote = MentorSettings.of(
        dict(entry, config='mmpose::a/b.py', checkpoint='https://x/y.pth'), 0
    )
    assert (remote.config, remote.checkpoint) == ('mmpose::a/b.py', 'https://x/y.pth')


def test_a_path_object_is_a_path(tmp_path):
    write(tmp_path / 'm.py', **WHOLE)
    assert settings_of(Path('m.py'), folder=str(tmp_path)).config == str(tmp_path / 'm.py')
