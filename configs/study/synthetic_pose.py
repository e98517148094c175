# Every method on the embedded data, half the demo's schedule, with the demo's mentors. After `make demo`:
#   python tools/study.py configs/study/synthetic_pose.py --seeds 5
metric = 'coco/AP'
reference = 'aver'
_classroom = 'configs/demo/classroom.py'
_large = dict(name='large', config='configs/demo/mentor_large.py',
              checkpoint='work_dirs/demo/mentor_large/epoch_12.pth')
_changes = dict(
    alone=('configs/demo/alone.py', {}),
    kd_best=('configs/demo/aver.py', {'model.mentors': [_large]}),
    aver=('configs/demo/aver.py', {}),
    classroom=(_classroom, {}),
    classroom_batch=(_classroom, {'model.knowledge_filter.granularity': 'batch'}),
    classroom_keypoint=(_classroom, {'model.knowledge_filter.granularity': 'keypoint'}),
    no_mentoring=(_classroom, {
        'model.mentoring': dict(_delete_=True, type='FixedMentoring', tau=1.0)}),
    no_filter=(_classroom, {
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))  # UniformFilter's, as in aver
_schedule = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
             'train_dataloader.num_workers': 1}
runs = {
    name: dict(config=config, options={**_schedule, **options})
    for name, (config, options) in _changes.items()}
