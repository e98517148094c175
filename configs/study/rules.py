# Rules in place of the filter, the loss or the lesson, on the trained student of configs/study/trained_student.py:
#   PYTHONPATH=configs/study python tools/study.py configs/study/rules.py --seeds 2
metric = 'coco/AP'
reference = 'aver'
_start = dict(type='Pretrained', checkpoint='work_dirs/demo/alone/epoch_12.pth')
_classroom, _aver = 'configs/demo/classroom.py', 'configs/demo/aver.py'
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
           'train_dataloader.num_workers': 1, 'model.student.init_cfg': _start,
           'custom_imports.imports': ['classroomkd_mm', 'rules_parts']}


def _mixture(**settings):
    return dict(config=_aver, options={
        'model.knowledge_filter': dict(_delete_=True, type='MixtureFilter', **settings)})


def _lesson(config, kind):
    return dict(config=config, options={'model.type': f'classroomkd_mm.{kind}Distiller'})


runs = dict(
    soft=dict(config=_classroom, options={'model.knowledge_filter.type': 'SoftFilter'}),
    mixture_01=_mixture(T=0.1),
    mixture_03=_mixture(T=0.3),
    mixture_03_keypoint=_mixture(T=0.3, granularity='keypoint'),
    standardised=dict(config=_classroom, options={
        'model.distill_loss.type': 'StandardKL', 'model.distill_loss.beta': 1.0}),
    corrected=_lesson(_classroom, 'Corrected'),
    corrected_aver=_lesson(_aver, 'Corrected'),
    label=_lesson(_aver, 'Label'))
