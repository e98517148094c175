_base_ = ['../../_base_/fashion_mnist.py']
model = dict(
    backbone=dict(widths=(8, 8, 16, 32)),
    head=dict(in_channels=32))
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=12, T_max=12, by_epoch=True)]
