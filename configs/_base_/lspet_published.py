# Real people, published networks: PP-TinyPose 128x96 (PaddleDetection's weights in MMPose's stock LiteHRNet), trained on COCO, is
# tuned to people of LSPET that it has never seen. data/published/pose/ has its weights, and configs and weights of its mentors; the
# last two networks need their module on PYTHONPATH (data/published). 1,500 people train, the last 515 of the file validate.
_base_ = ['mmpose::_base_/default_runtime.py']
custom_imports = dict(imports=['classroomkd_mm'])
published = 'data/published/pose/'
data_root = 'data/lspet/'
_train, _val = (f'annotations/person_keypoints_{part}.json' for part in ('train', 'val'))
codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1, unbiased=True)
_read = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
_crop = dict(type='TopdownAffine', input_size=codec['input_size'])
_people = dict(type='CocoDataset', data_mode='topdown', data_root=data_root,
               data_prefix=dict(img='images/'))
_eval = dict(pipeline=[*_read, _crop, dict(type='PackPoseInputs')], test_mode=True)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='classroomkd_mm.FixedViews',
        views=4,
        dataset=dict(**_people, ann_file=_train, indices=1500, pipeline=[
            *_read,
            dict(type='RandomFlip', direction='horizontal'),
            dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25),
                 shift_prob=0.0),
            _crop,
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs', pack_transformed=True)])))
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_people, **_eval, ann_file=_train, indices=list(range(4400, 4915))))
test_dataloader = dict(
    batch_size=64,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_people, **_eval, ann_file=_val))
# CocoMetric would count the pictures that are not held out as missed.
val_evaluator = [dict(type='PCKAccuracy', thr=0.1)]
test_evaluator = [
    dict(type='CocoMetric', ann_file=data_root + _val), dict(type='PCKAccuracy', thr=0.1)]

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
                           std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        type='LiteHRNet',
        in_channels=3,
        norm_eval=True,  # batch norm was folded: its layers are the identity
        extra=dict(
            stem=dict(stem_channels=32, out_channels=32, expand_ratio=1),
            num_stages=3,
            stages_spec=dict(
                num_modules=(2, 4, 2),
                num_branches=(2, 3, 4),
                num_blocks=(2, 2, 2),
                module_type=('NAIVE', 'NAIVE', 'NAIVE'),
                with_fuse=(True, True, True),
                reduce_ratios=(8, 8, 8),
                num_channels=((40, 80), (40, 80, 160), (40, 80, 160, 320))),
            with_head=True)),
    head=dict(
        type='HeatmapHead', in_channels=40, out_channels=17, deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    test_cfg=dict(flip_test=False),
    init_cfg=dict(type='Pretrained', checkpoint=published + 'pp_tinypose_128x96.pth'))

train_cfg = dict(max_epochs=4, val_interval=4)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=4, T_max=4, by_epoch=True,
         convert_to_iter_based=True)]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1, save_best=None), logger=dict(interval=20))
randomness = dict(seed=0)
