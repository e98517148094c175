# After the preparations that configs/cls/cifar100_few/*.py name:
#   python tools/study.py configs/study/cifar100_few.py --seeds 3 --split val
metric = 'accuracy/top1'
reference = 'aver'
_folder = 'configs/cls/cifar100_few/'


def _taught(config='classroom', **parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config=f'{_folder}{config}.py', options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


_warm = dict(mentoring=dict(_delete_=True, type='FixedMentoring', tau=4.0))
_everybody = dict(knowledge_filter=dict(_delete_=True, type='UniformFilter'), **_warm)
_best = [dict(name='resnet56', config=f'{_folder}resnet56.py', checkpoint='data/mentors/resnet56.pth')]
_consent = dict(distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project')
runs = dict(
    alone=dict(config=f'{_folder}plain_student.py'),
    kd=_taught(**_everybody, mentors=_best),
    aver=_taught(**_everybody),
    classroom=_taught(),
    classroom_warm=_taught(**_warm),
    classroom_consent=_taught(**_consent),
    peers_aver=_taught('classroom_peers', **_everybody),
    peers_classroom=_taught('classroom_peers'),
    peers_classroom_warm=_taught('classroom_peers', **_warm),
    peers_classroom_batch=_taught('classroom_peers', knowledge_filter__granularity='batch'),
    peers_classroom_consent=_taught('classroom_peers', **_consent),
    labelled_alone=dict(config=f'{_folder}plain_labelled.py'),
    unlabelled_kd=_taught('unlabelled', **_everybody, mentors=_best),
    unlabelled_aver=_taught('unlabelled', **_everybody),
    unlabelled_classroom=_taught('unlabelled'),
    unlabelled_consent=_taught('unlabelled', **_consent),
    peers_no_filter=_taught(
        'classroom_peers', knowledge_filter=dict(_delete_=True, type='UniformFilter')))
