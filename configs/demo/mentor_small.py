_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=10, stem_channels=10),
    head=dict(in_channels=80, deconv_out_channels=(16, 16, 16)))
