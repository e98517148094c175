# Two published networks that have learnt from all 50,000 pictures teach one that sees 5,000 (resnet56*.py say how to get them).
#   python -m classroomkd_mm remember configs/cls/cifar100_few/classroom.py
_base_ = ['plain_student.py']
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name=name, config=f'configs/cls/cifar100_few/{name}.py',
             checkpoint=f'data/mentors/{name}.pth')
        for name in ('resnet56', 'resnet56_metaquant')
    ],
    memory=dict(dir='work_dirs/memory/cifar100_few'),
    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss'))
