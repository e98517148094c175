_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=20, stem_channels=20),
    head=dict(in_channels=160, deconv_out_channels=(32, 32)))
