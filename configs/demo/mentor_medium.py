_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=16, stem_channels=16),
    head=dict(in_channels=128, deconv_out_channels=(32, 32, 32)))
