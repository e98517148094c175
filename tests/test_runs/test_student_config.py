"""The config of the student alone."""

import importlib
import sys

from mmengine.config import Config

from classroomkd_mm import ClassroomDistiller, ClassroomHook, LabelKLLoss
from classroomkd_mm.parts.label_loss import HEATMAP_MSE
from classroomkd_mm.registry import HOOKS, MODELS
from classroomkd_mm.runs import is_classroom, student_config, with_classroom_hook


def classroom(**model):
    return Config(
        dict(
            model=dict(type='ClassroomDistiller', student=dict(type='Net'), mentors=[], **model),
            custom_imports=dict(imports=['classroomkd_mm', 'other'], allow_failed_imports=True),
            custom_hooks=[dict(type='EMAHook'), dict(type='classroomkd_mm.ClassroomHook')],
            load_from='a.pth',
            resume=True,
            work_dir='work_dirs/classroom',
        )
    )


def test_it_keeps_only_what_the_student_needs():
    cfg = classroom()
    plain = student_config(cfg)
    assert plain.model == dict(type='Net') and plain.custom_hooks == [dict(type='EMAHook')]
    assert plain.custom_imports == dict(imports=['other'], allow_failed_imports=True)
    assert plain.load_from is None and not plain.resume
    assert 'work_dir' not in plain  # a run of it would write over the classroom's checkpoints
    assert cfg.resume and cfg.model.type == 'ClassroomDistiller'
    assert student_config(plain).model == plain.model
    cfg.model.student.type = 'classroomkd_mm.CIFARResNet'
    assert student_config(cfg).custom_imports == cfg.custom_imports


def test_a_heads_own_loss_takes_the_controls_place():
    """In one head, and in one of several stages."""
    cfg = classroom()
    mse = dict(type='KeypointMSELoss')
    cfg.model.student = dict(
        type='Net',
        head=dict(loss=dict(type='classroomkd_mm.LabelKLLoss', task=mse)),
        more=[dict(loss=[dict(type=LabelKLLoss), mse], sizes=(1, 2))],
    )
    model = student_config(cfg).model
    assert model.head.loss == mse and model.more[0].loss == [HEATMAP_MSE, mse]
    assert student_config(cfg).custom_imports == dict(imports=['other'], allow_failed_imports=True)


def test_a_data_preprocessor_that_the_classroom_has_is_the_students():
    cfg = classroom(data_preprocessor=dict(mean=[1.0]))
    assert student_config(cfg).model == dict(type='Net', data_preprocessor=dict(mean=[1.0]))
    cfg.model.student.data_preprocessor = dict(mean=[2.0])
    assert student_config(cfg).model.data_preprocessor.mean == [2.0]


def test_configs_whose_types_are_classes(tmp_path):
    (tmp_path / 'lazy.py').write_text(
        'from mmpose.models import TopdownPoseEstimator\n'
        'from classroomkd_mm import ClassroomDistiller, ClassroomHook\n'
        'model = dict(type=ClassroomDistiller, student=dict(type=TopdownPoseEstimator))\n'
        'custom_hooks = [dict(type=ClassroomHook)]\n'
    )
    student_config(Config.fromfile(tmp_path / 'lazy.py')).dump(tmp_path / 'plain.py')
    plain = Config.fromfile(tmp_path / 'plain.py')
    assert plain.model.type.split('.')[-1] == 'TopdownPoseEstimator' and plain.custom_hooks == []


def test_imports_in_one_string_and_networks_of_this_package_by_scope():
    cfg = classroom()
    cfg.custom_imports = dict(imports='classroomkd_mm')
    assert student_config(cfg).custom_imports is None
    cfg.custom_imports = dict(imports='mine')
    assert student_config(cfg).custom_imports == dict(imports=['mine'])
    cfg = classroom()
    cfg.model.student = dict(
        type='Net', backbone=dict(type='CIFARResNet', _scope_='classroomkd_mm')
    )
    assert student_config(cfg).custom_imports.imports == ['classroomkd_mm', 'other']
    cfg = classroom()
    cfg.train_dataloader = dict(dataset=dict(type='classroomkd_mm.Views'))
    assert student_config(cfg).custom_imports.imports == ['classroomkd_mm', 'other']
    cfg = classroom()
    cfg.data_root = '/home/me/classroomkd_mm.data/'  # a path is no use of the package
    assert student_config(cfg).custom_imports.imports == ['other']


def test_a_class_derived_from_the_distiller_is_a_classroom_and_from_the_hook_a_hook():
    @MODELS.register_module(force=True)
    class Mine(ClassroomDistiller):
        pass

    @HOOKS.register_module(force=True)
    class MyHook(ClassroomHook):
        pass

    cfg = classroom()
    for kind in ('classroomkd_mm.Mine', 'Mine', Mine):
        cfg.model.type = kind
        assert is_classroom(cfg.model)
    cfg.custom_hooks = [dict(type='EMAHook'), dict(type='classroomkd_mm.MyHook')]
    assert student_config(cfg).model.type == 'Net'
    assert student_config(cfg).custom_hooks == [dict(type='EMAHook')]
    assert with_classroom_hook(cfg).custom_hooks == cfg.custom_hooks
    assert not is_classroom(dict(type='Net')) and not is_classroom(dict(type='mmpose.Nothing'))


def test_the_hook_is_added_where_it_is_missing_and_the_others_stay():
    cfg = classroom()
    cfg.custom_hooks = [dict(type='EMAHook')]
    added = dict(type='classroomkd_mm.ClassroomHook')
    assert with_classroom_hook(cfg).custom_hooks == [dict(type='EMAHook'), added]
    assert with_classroom_hook(cfg).custom_hooks == [dict(type='EMAHook'), added]
    cfg.custom_hooks = None
    assert with_classroom_hook(cfg).custom_hooks == [added]
    plain = Config(dict(model=dict(type='Net'), custom_hooks=[]))
    assert with_classroom_hook(plain).custom_hooks == []


RULES = """
from classroomkd_mm.parts import KnowledgeFilter
from classroomkd_mm.registry import MODELS
from mmengine.model import BaseModule


@MODELS.register_module(force=True)
class MyRule(KnowledgeFilter):
    pass


class MyBackbone(BaseModule):
    pass
"""


def test_a_module_of_rules_is_not_imported_for_the_student(tmp_path, monkeypatch):
    """Stock tools would fail at it; one that has the student's own classes stays, as one unread."""
    (tmp_path / 'my_rules.py').write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module('my_rules')
    monkeypatch.delitem(sys.modules, 'unread', raising=False)
    cfg = Config(
        dict(
            model=dict(
                type='classroomkd_mm.ClassroomDistiller',
                student=dict(type='TopdownPoseEstimator', backbone=dict(type='ResNet', depth=18)),
                knowledge_filter=dict(type='MyRule'),
            ),
            custom_imports=dict(imports=['classroomkd_mm', 'my_rules', 'unread', 'json']),
        )
    )
    assert student_config(cfg).custom_imports == dict(imports=['unread', 'json'])
    for kind in ('MyBackbone', 'mmpose.MyBackbone', sys.modules['my_rules'].MyBackbone):
        cfg.model.student.backbone.type = kind
        assert 'my_rules' in student_config(cfg).custom_imports['imports']


def test_a_package_of_networks_and_rules_stays_where_a_network_of_it_is_used(tmp_path, monkeypatch):
    package = tmp_path / 'my_package'
    package.mkdir()
    (package / 'both.py').write_text(RULES)
    (package / '__init__.py').write_text('from .both import MyBackbone, MyRule\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module('my_package')
    cfg = classroom(knowledge_filter=dict(type='MyRule'))
    cfg.custom_imports = dict(imports=['my_package'])
    assert student_config(cfg).custom_imports is None
    cfg.model.student.backbone = dict(type='MyBackbone')
    assert student_config(cfg).custom_imports == dict(imports=['my_package'])
