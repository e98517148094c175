_base_ = ['../../_base_/cifar100.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='SwinTransformer', arch='tiny', img_size=32, patch_size=2, window_size=4, pad_small_map=True),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=768, loss=dict(type='CrossEntropyLoss')),
)
