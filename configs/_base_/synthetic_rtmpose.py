# The embedded data set for students with RTMPose's head, whose own loss is a KL to a peak; short as synthetic_pose.py.
_base_ = ['synthetic_pose.py']

codec = dict(type='SimCCLabel', input_size=(48, 64), sigma=(1.5, 1.73), simcc_split_ratio=2.0, normalize=False, use_dark=False)
train_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', pack_transformed=True),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    head=dict(
        _delete_=True, type='RTMCCHead', in_channels=64, out_channels=17, input_size=codec['input_size'],
        in_featuremap_size=(6, 8), simcc_split_ratio=2.0, final_layer_kernel_size=3,
        gau_cfg=dict(hidden_dims=64, s=32, expansion_factor=2, dropout_rate=0., drop_path=0., act_fn='SiLU',
                     use_rel_bias=False, pos_enc=False),
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10., label_softmax=True),
        decoder=codec))
