_base_ = ['../../_base_/cifar100.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='classroomkd_mm.CIFARResNet', depth=8, widths=(32, 64, 128, 256)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=256, loss=dict(type='CrossEntropyLoss')),
)
