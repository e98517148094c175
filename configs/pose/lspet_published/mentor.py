# The best of the mentors, tuned to the same 1,500 people as the student, at its own 256x192:
#   PYTHONPATH=data/published python tools/train.py configs/pose/lspet_published/mentor.py
_base_ = ['../../_base_/lspet_published.py']
_size = (192, 256)
codec = dict(type='MSRAHeatmap', input_size=_size, heatmap_size=(48, 64), sigma=2, unbiased=True)
_read = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
_crop = dict(type='TopdownAffine', input_size=_size)
_eval = dict(dataset=dict(pipeline=[*_read, _crop, dict(type='PackPoseInputs')]))
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            pipeline=[
                *_read,
                dict(type='RandomFlip', direction='horizontal'),
                dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25),
                     shift_prob=0.0),
                _crop,
                dict(type='GenerateTarget', encoder=codec),
                dict(type='PackPoseInputs', pack_transformed=True)])))
val_dataloader = _eval
test_dataloader = _eval
model = dict(
    head=dict(decoder=codec), init_cfg=dict(checkpoint='data/published/pose/pp_tinypose_256x192.pth'))
