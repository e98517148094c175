_base_ = ['../../_base_/fashion_mnist.py']
model = dict(
    backbone=dict(widths=(6, 6, 12, 24)),
    head=dict(in_channels=24))
train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=8, T_max=8, by_epoch=True)]
