_base_ = ['../../_base_/lspet.py']
model = dict(
    backbone=dict(base_channels=12, stem_channels=12),
    head=dict(in_channels=96, deconv_out_channels=(24, 24)))
train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=8, T_max=8, by_epoch=True)]
