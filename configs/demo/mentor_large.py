_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=32, stem_channels=32),
    head=dict(in_channels=256, deconv_out_channels=(48, 48, 48)))
