# Every method on the embedded data, after `make demo` (its mentors and its schedule):
#   python tools/study.py configs/study/synthetic_pose.py --seeds 5
metric = 'coco/AP'
reference = 'aver'
classroom = 'configs/demo/classroom.py'
runs = dict(
    alone=dict(config='configs/demo/alone.py'),
    kd_best=dict(config='configs/demo/aver.py', options={'model.mentors': [
        dict(name='large', config='configs/demo/mentor_large.py',
             checkpoint='work_dirs/demo/mentor_large/epoch_12.pth')]}),
    aver=dict(config='configs/demo/aver.py'),
    classroom=dict(config=classroom),
    classroom_batch=dict(
        config=classroom, options={'model.knowledge_filter.granularity': 'batch'}),
    classroom_keypoint=dict(
        config=classroom, options={'model.knowledge_filter.granularity': 'keypoint'}),
    no_mentoring=dict(
        config=classroom,
        options={'model.mentoring': dict(_delete_=True, type='FixedMentoring', tau=1.0)}),
    no_filter=dict(
        config=classroom,
        options={'model.knowledge_filter': dict(_delete_=True, type='UniformFilter')}))
