_base_ = ['../../_base_/cifar100_few.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='classroomkd_mm.CIFARResNet', depth=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=64,
              loss=dict(type='CrossEntropyLoss')))
