# Every method on Fashion-MNIST. After tools/prepare_fashion_mnist.py and the four mentors
# (configs/cls/fashion_mnist/classroom.py says how):
#   python tools/study.py configs/study/fashion_mnist.py --seeds 5
metric = 'accuracy/top1'
reference = 'aver'
_folder = 'configs/cls/fashion_mnist/'
_classroom, _aver = _folder + 'classroom.py', _folder + 'aver.py'
_best = dict(name='a', config=_folder + 'mentor_a.py', checkpoint='work_dirs/mentor_a/epoch_16.pth')


def _part(name, type, **settings):
    return {f'model.{name}': dict(_delete_=True, type=type, **settings)}


_changes = dict(
    alone=(_folder + 'plain_student.py', {}),
    kd_best=(_aver, {'model.mentors': [_best]}),
    aver=(_aver, {}),
    dtkd=(_aver, _part('mentoring', 'DTKDMentoring', tau=4.0)),
    camkd=(_aver, _part('knowledge_filter', 'ConfidenceFilter')),
    ebkd=(_aver, _part('knowledge_filter', 'EntropyFilter')),
    classroom=(_classroom, {}),
    classroom_batch=(_classroom, {'model.knowledge_filter.granularity': 'batch'}),
    classroom_ordinal=(_classroom, {'model.knowledge_filter.ranking': 'ordinal'}),
    no_mentoring=(_classroom, _part('mentoring', 'FixedMentoring', tau=1.0)),
    no_filter=(_classroom, _part('knowledge_filter', 'UniformFilter')),
    classroom_mse=(_classroom, _part('distill_loss', 'MSEDistillLoss', loss_weight=0.1)),
    classroom_dkd=(_classroom, _part('distill_loss', 'DKDDistillLoss', loss_weight=0.1)),
    classroom_dist=(_classroom, _part('distill_loss', 'DISTDistillLoss', loss_weight=0.1)))
runs = {
    name: dict(config=config, options=options)
    for name, (config, options) in _changes.items()}
