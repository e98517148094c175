_base_ = ['plain.py']

custom_hooks = [*_base_.custom_hooks, dict(type='classroomkd_mm.ClassroomHook')]
work_root = 'work_dirs/synthetic_rtmpose'
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name=name, config=f'configs/pose/synthetic_rtmpose/mentor_{name}.py',
             checkpoint=f'{work_root}/mentor_{name}/epoch_{epochs}.pth')
        for name, epochs in (('large', 24), ('medium', 24), ('small', 12))
    ],
    scorer=dict(type='OKSScorer'),
    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0))
