_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=12, stem_channels=12),
    head=dict(in_channels=96, deconv_out_channels=(24, 24)))
