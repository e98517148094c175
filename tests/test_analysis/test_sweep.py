"""Published configs as students and mentors: each fits, or is refused in words of this package."""

import json
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from classroomkd_mm.analysis.sweep import (
    WEIGHTS_ALL_ALIKE,
    Found,
    Taught,
    configs_of,
    counts,
    main,
    read,
    reasons,
    sweep,
    verdict,
)
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
CLASSROOMS = dict(
    mmpose='configs/demo/classroom.py',
    mmpretrain='configs/cls/imagenet/classroom_resnet18_resnet34_8xb32_in1k.py',
)
BODY, FACE = 'body_2d_keypoint', 'face_2d_keypoint'


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """``tried(library, role, *names)``: what becomes of configs, by name."""
    monkeypatch.chdir(ROOT)

    def run(library, role, *names):
        with DefaultScope.overwrite_default_scope(library):
            taught = Taught(Config.fromfile(CLASSROOMS[library])) if role == 'mentor' else None
            file = tmp_path / f'{library}_{role}.jsonl'
            sweep(library, role, names, file, taught)
        return {found.config: found for found in read(file)}

    return run


@pytest.mark.parametrize(
    'name, outcome, why',
    [
        (f'{BODY}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 'fits', '$'),
        (f'{BODY}/topdown_heatmap/coco/td-hm_mspn50_8xb32-210e_coco-256x192.py', 'fits', '$'),
        # Its data set's names are in no config, and it has no sigmas: PCK scores.
        (
            'fashion_2d_keypoint/topdown_heatmap/deepfashion/'
            'td-hm_res50_8xb64-210e_deepfashion_lower-256x192.py',
            'fits',
            '$',
        ),
        (
            f'{FACE}/topdown_heatmap/wflw/td-hm_hrnetv2-w18_awing-8xb64-60e_wflw-256x256.py',
            'adapted',
            WEIGHTS_ALL_ALIKE,
        ),
        (
            f'{BODY}/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py',
            'refused',
            'student needs a heatmap head .* got RegressionHead',
        ),
        (
            f'{BODY}/topdown_heatmap/humanart/td-hm_ViTPose-huge_8xb64-210e_humanart-256x192.py',
            'refused',
            "student: its model TopdownPoseEstimator cannot be built: 'mmcls.VisionTransformer is",
        ),
        (
            f'{BODY}/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512.py',
            'refused',
            'student: its model BottomupPoseEstimator cannot be built: .*mmcv',
        ),
    ],
)
def test_a_pose_config_as_student(tried, name, outcome, why):
    found = tried('mmpose', 'student', name)[name]
    assert found.outcome == outcome and re.match(why, found.why), found


@pytest.mark.parametrize(
    'name, outcome, why',
    [
        ('resnet/resnet18_8xb32_in1k.py', 'fits', '$'),
        ('lenet/lenet5_mnist.py', 'fits', '$'),  # grey
        (
            'mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
            'refused',
            'student must be an Imag',
        ),
        ('resnet/resnet50_8xb16_cifar100.py', 'fits', '$'),
        ('conformer/conformer-tiny-p16_8xb128_in1k.py', 'refused', '.* got ConformerHead'),
        (
            'levit/levit-128s_8xb256_in1k.py',
            'refused',
            '.* got LeViTClsHead with distillation=True, which MMPretrain does not train',
        ),
        ('arcface/resnet50-arcface_8xb32_inshop.py', 'refused', 'student .*'),
        (
            'replknet/replknet-31B_32xb64_in1k.py',
            'refused',
            "student: config='.*replknet.* cannot be read: RuntimeError",
        ),
    ],
)
def test_a_classifiers_config_as_student(tried, name, outcome, why):
    found = tried('mmpretrain', 'student', name)[name]
    assert found.outcome == outcome and re.match(why, found.why), found


@pytest.mark.parametrize(
    'library, name, outcome, why',
    [
        (
            'mmpose',
            f'{BODY}/topdown_heatmap/mpii/td-hm_res50_8xb64-210e_mpii-256x256.py',
            'adapted',
            '.*letterboxed; .*; 12 of 17 keypoints by name',
        ),
        (
            'mmpose',
            f'{FACE}/rtmpose/lapa/rtmpose-m_8xb64-120e_lapa-256x256.py',
            'refused',
            "mentor 'mentor' shares 0 of the 17 keypoints",
        ),
        ('mmpretrain', 'resnet/resnet34_8xb32_in1k.py', 'fits', '$'),
        (
            'mmpretrain',
            'vision_transformer/vit-base-p32_64xb64_in1k-384px.py',
            'adapted',
            '.*input to 384x384',
        ),
        ('mmpretrain', 'resnet/resnet18_8xb16_cifar10.py', 'refused', '.* has 10 classes'),
    ],
)
def test_a_config_as_mentor(tried, library, name, outcome, why):
    found = tried(library, 'mentor', name)[name]
    assert found.outcome == outcome and re.match(why, found.why), found


def test_only_this_packages_words_are_a_refusal():
    def told():
        MentorSettings.of({}, 0)

    def inside():
        MODELS.build(dict(type='NoSuchClass'))

    assert verdict(told)[0] == 'refused' and verdict(lambda: '') == ('fits', '')
    assert verdict(lambda: 'resized') == ('adapted', 'resized')
    outcome, why = verdict(inside)
    assert outcome == 'failed' and re.match(r'KeyError at \w+\.py:\d+: ', why)
    # A kind of error that is for users, but raised elsewhere.
    assert verdict(lambda: int('x'))[1].startswith('ValueError at test_sweep.py:')


def test_an_interrupted_sweep_goes_on(tried, tmp_path, monkeypatch):
    first, second = 'resnet/resnet18_8xb32_in1k.py', 'resnet/resnet34_8xb32_in1k.py'
    made_up = Found(first, 'student', 'failed', 'as the file says')
    file = tmp_path / 'mmpretrain_student.jsonl'
    file.write_text(json.dumps(vars(made_up)) + '\n')
    found = tried('mmpretrain', 'student', first, second)
    assert found[first] == made_up and found[second].outcome == 'fits'
    assert len(file.read_text().splitlines()) == 2


def test_mentors_are_told_apart_by_whose_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(Taught, 'try_mentor', lambda self, _: f'of {self.name}')
    file = tmp_path / 'lines.jsonl'
    for of in ('a.py', 'b.py', 'a.py'):
        sweep('mmpretrain', 'mentor', ['x.py'], file, Taught(None, of))
    assert [(each.of, each.why) for each in read(file)] == [
        ('a.py', 'of a.py'),
        ('b.py', 'of b.py'),
    ]


def test_a_line_that_was_cut_off_is_tried_again_and_another_fault_is_named(tmp_path, monkeypatch):
    line = json.dumps(vars(Found('a.py', 'student', 'fits', '')))
    file = tmp_path / 'lines.jsonl'
    file.write_text(f'{line}\n{line[:20]}')
    assert [each.config for each in read(file)] == ['a.py']
    monkeypatch.setattr(Taught, 'try_mentor', lambda self, _: '')
    sweep('mmpretrain', 'mentor', ['b.py', 'c.py'], file, Taught(None, 'of.py'))
    assert [each.config for each in read(file)] == ['a.py', 'b.py', 'c.py']
    file.write_text('{"config": "a.py", "rolle": "student"}\n')
    with pytest.raises(ValueError, match='lines.jsonl is no file of a sweep: '):
        read(file)


def test_the_tables():
    found = [
        Found('x_keypoint/b/one.py', 'mentor', 'adapted', 'input to 4x4; mean and std'),
        Found('x_keypoint/b/two.py', 'mentor', 'adapted', 'input to 8x8'),
        Found('x_keypoint/c/three.py', 'mentor', 'refused', "mentor 'x' has 3 classes"),
        Found('net/four.py', 'mentor', 'refused', "mentor 'y' has 5 classes"),
    ]
    assert counts(found) == [
        ['configs', 'fits', 'adapted', 'refused', 'failed'],
        ["MMPretrain's", '0', '0', '1', '0'],
        ['x_keypoint/b', '0', '2', '0', '0'],
        ['x_keypoint/c', '0', '0', '1', '0'],
        ['all', '0', '2', '2', '0'],
    ]
    assert reasons(found, 'adapted')[1:] == [
        ['2', 'input to NxN', 'x_keypoint/b/one.py'],
        ['1', 'mean and std', 'x_keypoint/b/one.py'],
    ]
    assert reasons(found, 'refused')[1:] == [
        ['2', 'mentor ... has N classes', 'x_keypoint/c/three.py']
    ]
    built = [
        Found(
            f'x_keypoint/b/{name}.py',
            'student',
            'refused',
            f'student: its model {name} cannot be {why}',
        )
        for name, why in (('One', 'built: no X'), ('Two', 'built: no X'), ('Two', 'seen, got Y'))
    ]
    assert [row[1] for row in reasons(built, 'refused')[1:]] == [
        'student: its model ... cannot be built: no X',
        'student: its model ... cannot be seen, got ...',
    ]


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    out = tmp_path / 'lines.jsonl'
    words = ['mmpose', 'student', '--only', 'td-reg_res50_8xb64-210e_coco', '--out', str(out)]
    assert main(words) == 0 and main([*words, '--shard', '1/1']) == 0
    assert len(read(out)) == 1
    assert '| body_2d_keypoint/topdown_regression | 0 | 0 | 1 | 0 |' in capsys.readouterr().out
    with pytest.raises(IN_WORDS, match='no config of mmpose has any of'):
        main(['mmpose', 'student', '--only', 'no such path'])
    for wrong, said in (
        (['mmpose', 'mentor'], 'mentors need --of CONFIG'),
        (['mmpose', 'student', '--shard', '3/2'], '3/2 is not I/N'),
    ):
        with pytest.raises(SystemExit):
            main(wrong)
        assert said in capsys.readouterr().err


SHARDS = 8


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize('shard', range(SHARDS))
@pytest.mark.parametrize('role', ['student', 'mentor'])
@pytest.mark.parametrize('library', ['mmpose', 'mmpretrain'])
def test_every_published_config_fits_or_is_refused_in_words(tried, library, role, shard):
    names = configs_of(library)[shard::SHARDS]
    found = tried(library, role, *names)
    assert len(found) == len(names) and len(names) > 40
    assert not [each for each in found.values() if each.outcome == 'failed']
