"""MMPose imports without mmdet and compiled ops, and nothing is touched where they are there."""

import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mmpose.registry import MODELS

from classroomkd_mm import compat, doctor
from classroomkd_mm.compat import GUARDED, unavailable_heads


@pytest.mark.parametrize('head', [head for head, _, _ in GUARDED.values()])
def test_an_unavailable_head_says_what_to_install(head):
    if head not in unavailable_heads():
        pytest.skip(f'{head} is available here')
    with pytest.raises(ImportError, match=f'{head} is unavailable here, it needs .*install'):
        MODELS.build(dict(type=head))


COMPAT = Path(compat.__file__)


def fake_package(folder, name, content=''):
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / '__init__.py').write_text(content)


def test_where_everything_imports_nothing_is_touched(tmp_path, fresh_python):
    shutil.copy(COMPAT, tmp_path / 'compat_alone.py')
    fake_package(tmp_path, 'mmdet')
    (tmp_path / 'mmdet/utils.py').write_text('')
    fake_package(tmp_path, 'xtcocotools')
    (tmp_path / 'xtcocotools/mask.py').write_text('')
    code = (
        'import sys; from types import ModuleType\n'
        'sys.modules["mmcv.ops"] = ModuleType("mmcv.ops")\n'
        'import compat_alone as c\n'
        'print(c.unavailable_heads(), any("transformer_heads" in m for m in sys.modules))'
    )
    result = fresh_python(code, tmp_path)
    assert result.stdout.strip() == '{} False', result.stderr


def test_an_mmdet_that_does_not_import_does_not_stop_mmpose(tmp_path, fresh_python):
    fake_package(tmp_path, 'mmdet', 'raise AssertionError("MMCV==2.9 is incompatible")')
    code = (
        'import classroomkd_mm, mmpose.models\n'
        'print(classroomkd_mm.compat.unavailable_heads()["RTMOHead"])'
    )
    result = fresh_python(code, tmp_path)
    assert 'AssertionError: MMCV==2.9 is incompatible' in result.stdout, result.stderr


def test_a_stub_without_a_spec_counts_as_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'stubbed', ModuleType('stubbed'))
    assert not compat.installed('stubbed')


def test_why_missing_tells_what_an_import_died_of(tmp_path, monkeypatch):
    fake_package(tmp_path, 'dies', 'raise AssertionError("another version")')
    monkeypatch.syspath_prepend(tmp_path)
    assert compat.why_missing('dies') == 'AssertionError: another version'
    assert compat.why_missing('not_there').startswith('ModuleNotFoundError')
    assert compat.why_missing('json') is None


def test_an_mmpose_that_does_not_import_does_not_stop_classification(tmp_path, fresh_python):
    fake_package(tmp_path, 'mmpose', 'raise AssertionError("MMCV==9 is used")')
    result = fresh_python('import classroomkd_mm; print("imported")', tmp_path)
    assert result.stdout.strip() == 'imported', result.stderr


# What stands in for mmdet

NAMES = "('mmdet.PipelineSwitchHook', 'mmdet.YOLOXHSVRandomAug', 'mmdet.CSPNeXt')"
BUILD = (
    'import classroomkd_mm\n'
    'from mmengine.registry import DefaultScope, HOOKS, MODELS, TRANSFORMS\n'
    'DefaultScope.get_instance("run", scope_name="mmpose")\n'
    'HOOKS.build(dict(type="mmdet.PipelineSwitchHook", switch_epoch=1, switch_pipeline=[]))\n'
    'TRANSFORMS.build(dict(type="mmdet.YOLOXHSVRandomAug"))\n'
    'MODELS.build(dict(type="CSPNeXt", _scope_="mmdet", widen_factor=0.125))\n'
    'print(classroomkd_mm.compat.PROVIDED)'
)


@pytest.mark.skipif(not compat.PROVIDED, reason='mmdet is installed here and is used')
@pytest.mark.parametrize('broken', [False, True])
def test_mmdets_names_build_without_it_and_nothing_is_warned(tmp_path, broken, fresh_python):
    if broken:
        fake_package(tmp_path, 'mmdet', 'raise AssertionError("MMCV==2.9 is incompatible")')
    result = fresh_python(BUILD, tmp_path)
    assert result.stdout.strip() == NAMES, result.stdout + result.stderr


def test_an_mmdet_that_is_there_keeps_its_names(tmp_path, fresh_python):
    fake_package(tmp_path, 'mmdet')
    (tmp_path / 'mmdet/utils.py').write_text('ConfigType = reduce_mean = None')
    (tmp_path / 'mmdet/hooks.py').write_text(
        'from mmdet.registry import HOOKS\n'
        '@HOOKS.register_module()\n'
        'class PipelineSwitchHook:\n    pass'
    )
    (tmp_path / 'mmdet/registry.py').write_text(
        'from mmengine.registry import HOOKS as ROOT, Registry\n'
        'HOOKS = Registry("hook", parent=ROOT, scope="mmdet", locations=["mmdet.hooks"])'
    )
    code = (
        'import classroomkd_mm\n'
        'from mmengine.registry import HOOKS, TRANSFORMS\n'
        'made = HOOKS.build(dict(type="mmdet.PipelineSwitchHook"))\n'
        'print(classroomkd_mm.compat.PROVIDED, type(made).__module__, TRANSFORMS.children.keys())'
    )
    result = fresh_python(code, tmp_path)
    assert result.stdout.startswith('() mmdet.hooks '), result.stdout + result.stderr
    assert "'mmdet'" not in result.stdout


@pytest.mark.parametrize('asked, before', [('1', None), ('0', '0')])
def test_albumentations_asks_nobody_for_news_unless_told_to(
    asked, before, monkeypatch, tmp_path, fresh_python
):
    monkeypatch.delenv('NO_ALBUMENTATIONS_UPDATE', raising=False)
    if before:
        monkeypatch.setenv('NO_ALBUMENTATIONS_UPDATE', before)
    code = 'import os, classroomkd_mm; print(os.environ["NO_ALBUMENTATIONS_UPDATE"])'
    assert fresh_python(code, tmp_path).stdout.strip() == asked


@pytest.mark.parametrize('first', ['classroomkd_mm', 'mmpose.datasets'])
def test_whole_body_people_can_be_converted(first, tmp_path, fresh_python):
    """MMPose's data set says keypoints_3d=None, and its converter takes the shape of that."""
    if compat.EVALUATION and first != 'classroomkd_mm':
        pytest.skip('without xtcocotools, which does not import here, MMPose alone does not either')
    code = (
        f'import {first}, classroomkd_mm\n'
        'from mmpose.registry import DATASETS\n'
        'kind = DATASETS.get("CocoWholeBodyDataset")\n'
        'point = [5.0, 5.0, 2]\n'
        'person = dict(bbox=[0, 0, 9, 9], keypoints=point * 17, foot_kpts=point * 6,\n'
        '    face_kpts=point * 68, lefthand_kpts=point * 21, righthand_kpts=point * 21,\n'
        '    iscrowd=0, num_keypoints=17, image_id=1, id=1, category_id=1, segmentation=[])\n'
        'image = dict(file_name="a.jpg", width=9, height=9, img_id=1)\n'
        'data = kind(lazy_init=True)\n'
        'info = data.parse_data_info(dict(raw_ann_info=person, raw_img_info=image))\n'
        'print(info["keypoints"].shape, "keypoints_3d" in info)'
    )
    result = fresh_python(code, tmp_path)
    assert result.stdout.strip().endswith('(1, 133, 2) False'), result.stdout + result.stderr


@pytest.mark.skipif(not compat.PROVIDED, reason='mmdet is installed here and is used')
def test_the_doctor_says_what_is_provided(capsys):
    doctor.print_environment()
    line = f'provided     {", ".join(compat.PROVIDED)} (in place of mmdet)\n'
    assert line in capsys.readouterr().out and 'mmdet.PipelineSwitchHook' in line


def test_pycocotools_does_not_end_mmpretrain_beside_a_new_transformers(tmp_path, fresh_python):
    """It switches MMPretrain's multimodal models on, which transformers 5 is too new for."""
    fake_package(tmp_path, 'pycocotools')
    (tmp_path / 'pycocotools-2.0.dist-info').mkdir()
    (tmp_path / 'pycocotools-2.0.dist-info/METADATA').write_text('Name: pycocotools\nVersion: 2.0')
    code = (
        'from mmpretrain.utils import dependency\n'
        'assert dependency.satisfy_requirement("pycocotools")\n'
        'import classroomkd_mm, mmpretrain.models, mmpretrain.datasets\n'
        'print(dependency.WITH_MULTIMODAL, mmpretrain.models.ResNet.__name__)'
    )
    result = fresh_python(code, tmp_path)
    assert result.stdout.strip() in ('False ResNet', 'True ResNet'), result.stderr
