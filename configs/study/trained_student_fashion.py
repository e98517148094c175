# As trained_student.py, on Fashion-MNIST. After the four mentors (configs/cls/fashion_mnist/classroom.py) and
#   python tools/train.py configs/cls/fashion_mnist/plain_student.py
#   python tools/study.py configs/study/trained_student_fashion.py --seeds 5
metric = 'accuracy/top1'
reference = 'aver'
_folder = 'configs/cls/fashion_mnist/'
_classroom, _aver = _folder + 'classroom.py', _folder + 'aver.py'
_start = dict(type='Pretrained', checkpoint='work_dirs/plain_student/epoch_6.pth')
_taught = {'model.student.init_cfg': _start}
runs = dict(
    alone=dict(config=_folder + 'plain_student.py', options={'model.init_cfg': _start}),
    aver=dict(config=_aver, options=_taught),
    classroom=dict(config=_classroom, options=_taught),
    classroom_batch=dict(config=_classroom, options={
        **_taught, 'model.knowledge_filter.granularity': 'batch'}),
    no_filter=dict(config=_classroom, options={
        **_taught, 'model.knowledge_filter': dict(_delete_=True, type='UniformFilter')}))
