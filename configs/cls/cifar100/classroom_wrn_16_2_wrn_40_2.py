_base_ = ['./plain_wrn_16_2.py']
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student=_base_.model,
    mentors=[
        dict(name=name, config=f'configs/cls/cifar100/plain_{name}.py',
             checkpoint=f'work_dirs/plain_{name}/epoch_240.pth')
        for name in ('wrn_40_2', 'resnet20', 'MobileNetV2', 'ShuffleV2', 'resnet56', 'vgg13')
    ],
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
    mentoring=dict(type='AdaptiveMentoring', alpha=12.0),
    distill_loss=dict(type='KLDistillLoss'))
