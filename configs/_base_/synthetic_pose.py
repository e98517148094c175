# The embedded data set (tools/make_synthetic_pose.py), a small student and a short schedule.
_base_ = ['mmpose::_base_/default_runtime.py']
custom_imports = dict(imports=['classroomkd_mm'])

dataset_type, data_mode = 'CocoDataset', 'topdown'
data_root = 'data/synthetic_people/'
codec = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(24, 32), sigma=2)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=0.1, scale_factor=(0.9, 1.1), rotate_factor=15),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', pack_transformed=True),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
_dataset = dict(type=dataset_type, data_root=data_root, data_mode=data_mode)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,  # not persistent: their random state could not be resumed
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**_dataset, ann_file='annotations/person_keypoints_train.json',
                 data_prefix=dict(img='train/'), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_dataset, ann_file='annotations/person_keypoints_val.json',
                 data_prefix=dict(img='val/'), pipeline=val_pipeline, test_mode=True))
test_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_dataset, ann_file='annotations/person_keypoints_test.json',
                 data_prefix=dict(img='test/'), pipeline=val_pipeline, test_mode=True))
val_evaluator = dict(
    type='CocoMetric', ann_file=data_root + 'annotations/person_keypoints_val.json')
test_evaluator = dict(
    type='CocoMetric', ann_file=data_root + 'annotations/person_keypoints_test.json')

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
                           std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8,
                  strides=(1, 2, 1, 1)),  # 1/8 of the input: 1/16 (3x4 cells) learns far less
    head=dict(type='HeatmapHead', in_channels=64, out_channels=17,
              deconv_out_channels=(16, 16), deconv_kernel_sizes=(4, 4),
              loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    train_cfg=dict(compute_acc=False),
    test_cfg=dict(flip_test=False))

train_cfg = dict(max_epochs=12, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=12, T_max=12, by_epoch=True),
]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None), logger=dict(interval=25))
randomness = dict(seed=0)
