# Does the filter count once the student knows something? The embedded data with the demo's mentors; the
# student starts from the demo's `alone`, which is about as good as the smallest mentor. After `make demo`:
#   python tools/study.py configs/study/trained_student.py --seeds 3
metric = 'coco/AP'
reference = 'aver'
_start = dict(type='Pretrained', checkpoint='work_dirs/demo/alone/epoch_12.pth')
_classroom, _aver = 'configs/demo/classroom.py', 'configs/demo/aver.py'
_taught = {'model.student.init_cfg': _start}
_loss = dict(type='classroomkd_mm.LabelKLLoss', _delete_=True)  # the lesson's formula, with the labels for a mentor
_label = {**_taught, 'model.student.head.loss': _loss}
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
           'train_dataloader.num_workers': 1}
runs = dict(
    alone=dict(config='configs/demo/alone.py', options={'model.init_cfg': _start}),
    alone_fast=dict(config='configs/demo/alone.py', options={
        'model.init_cfg': _start, 'optim_wrapper.optimizer.lr': 1.5e-2}),  # three times the others'
    label=dict(config='configs/demo/alone.py', options={'model.init_cfg': _start, 'model.head.loss': _loss}),
    label_aver=dict(config=_aver, options=_label),
    label_classroom=dict(config=_classroom, options=_label),
    label_consent=dict(config=_classroom, options={
        **_label,
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}),
    label_fade=dict(config=_classroom, options={
        **_label,
        'model.distill_loss.balance': 1.0, 'model.distill_loss.conflict': 'project',
        'model.distill_loss.fade': True}),
    aver=dict(config=_aver, options=_taught),
    classroom=dict(config=_classroom, options=_taught),
    classroom_keypoint=dict(config=_classroom, options={
        **_taught, 'model.knowledge_filter.granularity': 'keypoint'}),
    consent=dict(config=_classroom, options={
        **_taught,
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}),  # as README has it
    fade=dict(config=_classroom, options={
        **_taught,
        'model.distill_loss.balance': 1.0, 'model.distill_loss.conflict': 'project',
        'model.distill_loss.fade': True}),  # and without the odds
    no_filter=dict(config=_classroom, options={
        **_taught,
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))  # UniformFilter's, as in aver
