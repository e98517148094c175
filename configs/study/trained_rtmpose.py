# Fine-tuning a student with RTMPose's head, the commonest case: it starts from what synthetic_rtmpose's student alone
# has learnt in 12 epochs. Everything before it is trained by
#   python -m classroomkd_mm benchmark run configs/benchmark/trained_rtmpose.yml
metric = 'coco/AP'
reference = 'alone'
_folder = 'configs/pose/synthetic_rtmpose'
_start = dict(type='Pretrained', checkpoint='work_dirs/synthetic_rtmpose/plain/epoch_12.pth')
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6}


def _taught(base, **parts):
    """A classroom with other parts, by `PART__SETTING`."""
    return dict(config=f'{_folder}/{base}.py', options={
        'model.student.init_cfg': _start,
        **{f'model.{name.replace("__", ".")}': value for name, value in parts.items()}})


runs = dict(
    alone=dict(config=f'{_folder}/plain.py', options={'model.init_cfg': _start}),
    aver=_taught('aver'),
    classroom=_taught('classroom'),
    consent=_taught(  # as README has it
        'classroom', distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    fade=_taught('classroom', distill_loss__balance=1.0, distill_loss__conflict='project', distill_loss__fade=True),
    no_filter=_taught('classroom', knowledge_filter=dict(_delete_=True, type='UniformFilter')))
