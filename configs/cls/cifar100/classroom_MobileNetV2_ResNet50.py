_base_ = ['./plain_MobileNetV2.py']
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name='ResNet50',
             config='configs/cls/cifar100/plain_ResNet50.py',
             checkpoint='work_dirs/plain_ResNet50/epoch_240.pth'),
        dict(name='resnet8',
             config='configs/cls/cifar100/plain_resnet8.py',
             checkpoint='work_dirs/plain_resnet8/epoch_240.pth'),
        dict(name='resnet14',
             config='configs/cls/cifar100/plain_resnet14.py',
             checkpoint='work_dirs/plain_resnet14/epoch_240.pth'),
        dict(name='resnet20',
             config='configs/cls/cifar100/plain_resnet20.py',
             checkpoint='work_dirs/plain_resnet20/epoch_240.pth'),
        dict(name='ShuffleV1',
             config='configs/cls/cifar100/plain_ShuffleV1.py',
             checkpoint='work_dirs/plain_ShuffleV1/epoch_240.pth'),
        dict(name='ShuffleV2',
             config='configs/cls/cifar100/plain_ShuffleV2.py',
             checkpoint='work_dirs/plain_ShuffleV2/epoch_240.pth'),
    ],
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
    mentoring=dict(type='AdaptiveMentoring', alpha=12.0),
    distill_loss=dict(type='KLDistillLoss'))
