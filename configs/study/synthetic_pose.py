# Every method on the embedded data, half the demo's schedule, with the demo's mentors. After `make demo`:
#   python tools/study.py configs/study/synthetic_pose.py --seeds 5
metric = 'coco/AP'
reference = 'aver'
_classroom = 'configs/demo/classroom.py'
_large = dict(name='large', config='configs/demo/mentor_large.py',
              checkpoint='work_dirs/demo/mentor_large/epoch_12.pth')
_aver = 'configs/demo/aver.py'
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
           'train_dataloader.num_workers': 1}
_loss = dict(type='classroomkd_mm.LabelKLLoss', _delete_=True)  # the lesson's formula, with the labels for a mentor
runs = dict(
    alone=dict(config='configs/demo/alone.py'),
    label=dict(config='configs/demo/alone.py', options={'model.head.loss': _loss}),
    label_aver=dict(config=_aver, options={'model.student.head.loss': _loss}),
    label_classroom=dict(config=_classroom, options={'model.student.head.loss': _loss}),
    kd_best=dict(config=_aver, options={'model.mentors': [_large]}),
    aver=dict(config=_aver),
    classroom=dict(config=_classroom),
    classroom_batch=dict(config=_classroom, options={'model.knowledge_filter.granularity': 'batch'}),
    classroom_keypoint=dict(config=_classroom, options={
        'model.knowledge_filter.granularity': 'keypoint'}),
    no_mentoring=dict(config=_classroom, options={
        'model.mentoring': dict(_delete_=True, type='FixedMentoring', tau=1.0)}),
    consent=dict(config=_classroom, options={
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}),  # as README has it
    fade=dict(config=_classroom, options={
        'model.distill_loss.balance': 1.0, 'model.distill_loss.conflict': 'project',
        'model.distill_loss.fade': True}),  # and without the odds
    no_filter=dict(config=_classroom, options={
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))  # UniformFilter's, as in aver
