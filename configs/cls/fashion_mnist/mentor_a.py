_base_ = ['../../_base_/fashion_mnist.py']
model = dict(
    backbone=dict(widths=(12, 12, 24, 48)),
    head=dict(in_channels=48))
train_cfg = dict(max_epochs=16)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=16, T_max=16, by_epoch=True)]
