_base_ = ['./plain_ShuffleV1.py']
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name='wrn_40_2',
             config='configs/cls/cifar100/plain_wrn_40_2.py',
             checkpoint='work_dirs/plain_wrn_40_2/epoch_240.pth'),
        dict(name='resnet20',
             config='configs/cls/cifar100/plain_resnet20.py',
             checkpoint='work_dirs/plain_resnet20/epoch_240.pth'),
        dict(name='MobileNetV2',
             config='configs/cls/cifar100/plain_MobileNetV2.py',
             checkpoint='work_dirs/plain_MobileNetV2/epoch_240.pth'),
        dict(name='ShuffleV2',
             config='configs/cls/cifar100/plain_ShuffleV2.py',
             checkpoint='work_dirs/plain_ShuffleV2/epoch_240.pth'),
        dict(name='resnet56',
             config='configs/cls/cifar100/plain_resnet56.py',
             checkpoint='work_dirs/plain_resnet56/epoch_240.pth'),
        dict(name='vgg13',
             config='configs/cls/cifar100/plain_vgg13.py',
             checkpoint='work_dirs/plain_vgg13/epoch_240.pth'),
    ],
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
    mentoring=dict(type='AdaptiveMentoring', alpha=12.0),
    distill_loss=dict(type='KLDistillLoss'))
