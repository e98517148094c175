# Does the filter protect from a mentor that is sure and wrong? The embedded data with the demo's mentors
# and one whose keypoints are named in the wrong order, left for right. After `make demo`:
#   python tools/study.py configs/study/mirrored_mentor.py --seeds 3
metric = 'coco/AP'
reference = 'aver'
_classroom, _aver = 'configs/demo/classroom.py', 'configs/demo/aver.py'
_sides = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
_mirrored = ['nose', *[f'{side}_{part}' for part in _sides for side in ('right', 'left')]]
_mentors = [
    dict(name=name, config=f'configs/demo/mentor_{size}.py',
         checkpoint=f'work_dirs/demo/mentor_{size}/epoch_12.pth', **wrong)
    for name, size, wrong in (
        ('large', 'large', {}), ('medium', 'medium', {}), ('small', 'small', {}),
        ('mirrored', 'large', dict(keypoints=_mirrored)))]
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
           'train_dataloader.num_workers': 1, 'model.mentors': _mentors}
runs = dict(
    aver=dict(config=_aver),
    classroom=dict(config=_classroom),
    consent=dict(config=_classroom, options={
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}),  # as README has it
    fade=dict(config=_classroom, options={
        'model.distill_loss.balance': 1.0, 'model.distill_loss.conflict': 'project',
        'model.distill_loss.fade': True}),  # and without the odds
    no_filter=dict(config=_classroom, options={
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))
