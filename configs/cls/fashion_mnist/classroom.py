# After `for m in a b c d; do python tools/train.py configs/cls/fashion_mnist/mentor_$m.py; done`
_base_ = ['plain_student.py']
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name=name, config=f'configs/cls/fashion_mnist/mentor_{name}.py',
             checkpoint=f'work_dirs/mentor_{name}/epoch_{epochs}.pth')
        for name, epochs in (('a', 16), ('b', 12), ('c', 8), ('d', 6))
    ],
    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss'))
