"""The config of the student alone."""

from mmengine.config import Config

from classroomkd_mm.runs import student_config


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
