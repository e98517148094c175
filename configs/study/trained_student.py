# Does the filter count once the student knows something? The embedded data with the demo's mentors; the
# student starts from the demo's `alone`, which is about as good as the smallest mentor. After `make demo`:
#   python tools/study.py configs/study/trained_student.py --seeds 3
metric = 'coco/AP'
reference = 'aver'
_start = dict(type='Pretrained', checkpoint='work_dirs/demo/alone/epoch_12.pth')
_classroom, _aver = 'configs/demo/classroom.py', 'configs/demo/aver.py'
_taught = {'model.student.init_cfg': _start}
_changes = dict(
    alone=('configs/demo/alone.py', {'model.init_cfg': _start}),
    aver=(_aver, _taught),
    classroom=(_classroom, _taught),
    classroom_keypoint=(_classroom, {**_taught, 'model.knowledge_filter.granularity': 'keypoint'}),
    no_filter=(_classroom, {
        **_taught,
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))  # UniformFilter's, as in aver
_schedule = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
             'train_dataloader.num_workers': 1}
runs = {
    name: dict(config=config, options={**_schedule, **options})
    for name, (config, options) in _changes.items()}
