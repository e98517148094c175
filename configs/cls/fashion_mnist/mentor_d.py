_base_ = ['../../_base_/fashion_mnist.py']
model = dict(
    backbone=dict(widths=(4, 4, 8, 16)),
    head=dict(in_channels=16))
randomness = dict(seed=1)  # the student's network, trained from another start
train_cfg = dict(max_epochs=6)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=6, T_max=6, by_epoch=True)]
