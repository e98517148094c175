_base_ = ['../../_base_/cifar100.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='MobileNetV3', arch='small'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=576, loss=dict(type='CrossEntropyLoss')),
)
