_base_ = ['../_base_/synthetic_pose.py']
model = dict(
    backbone=dict(base_channels=8, stem_channels=8),
    head=dict(in_channels=64, deconv_out_channels=(16, 16)))
randomness = dict(seed=1)  # the student's network, trained from another start
