# Students with RTMPose's head, whose own loss is a KL to a peak already. First the mentors:
#   for m in large medium small; do python tools/train.py configs/pose/synthetic_rtmpose/mentor_$m.py \
#       --work-dir work_dirs/synthetic_rtmpose/mentor_$m; done
#   python tools/study.py configs/study/synthetic_rtmpose.py --seeds 5
metric = 'coco/AP'
reference = 'aver'
_folder = 'configs/pose/synthetic_rtmpose'


def _taught(base, **parts):
    """A classroom with other parts, by `PART__SETTING`."""
    return dict(config=f'{_folder}/{base}.py', options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


runs = dict(
    alone=dict(config=f'{_folder}/plain.py'),
    kd_best=_taught('aver', mentors=[dict(
        name='large', config=f'{_folder}/mentor_large.py',
        checkpoint='work_dirs/synthetic_rtmpose/mentor_large/epoch_24.pth')]),
    aver=_taught('aver'),
    classroom=_taught('classroom'),
    classroom_keypoint=_taught('classroom', knowledge_filter__granularity='keypoint'),
    consent=_taught(  # as README has it
        'classroom', distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    fade=_taught('classroom', distill_loss__balance=1.0, distill_loss__conflict='project', distill_loss__fade=True),
    no_mentoring=_taught('classroom', mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0)),
    no_filter=_taught('classroom', knowledge_filter=dict(_delete_=True, type='UniformFilter')))
