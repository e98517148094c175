_base_ = ['plain.py']
model = dict(backbone=dict(base_channels=12, stem_channels=12), head=dict(in_channels=96, gau_cfg=dict(hidden_dims=96)))
train_cfg = dict(max_epochs=24)
param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=24, T_max=24)]
