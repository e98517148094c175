# After
#   for m in large medium small; do
#     python tools/train.py configs/pose/lspet/mentor_$m.py --work-dir work_dirs/lspet/mentor_$m; done
_base_ = ['plain_student.py']
custom_hooks = [*_base_.custom_hooks, dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name=name, config=f'configs/pose/lspet/mentor_{name}.py',
             checkpoint=f'work_dirs/lspet/mentor_{name}/epoch_8.pth')
        for name in ('large', 'medium', 'small')
    ],
    scorer=dict(type='OKSScorer'),
    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0))
