_base_ = ['../../_base_/cifar100.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='classroomkd_mm.CIFARWideResNet', depth=28, widen_factor=10),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=640, loss=dict(type='CrossEntropyLoss')),
)
