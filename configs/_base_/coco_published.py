# Real people, published mentors, and a small student that begins with nothing. data/coco_people has pictures and annotations as
# COCO has them; of train2017's people 2,000 train and the last 600 validate. The mentors' files: see lspet_published.py.
_base_ = ['lspet_published.py']
data_root = 'data/coco_people/'
_train, _val = (f'annotations/person_keypoints_{part}2017.json' for part in ('train', 'val'))
_people = dict(data_root=data_root, data_prefix=dict(img='train2017/'))
train_dataloader = dict(
    dataset=dict(views=2, dataset=dict(**_people, ann_file=_train, indices=2000)))
val_dataloader = dict(
    dataset=dict(**_people, ann_file=_train, indices=list(range(-600, 0))))
test_dataloader = dict(
    dataset=dict(data_root=data_root, ann_file=_val, data_prefix=dict(_delete_=True, img='val2017/')))
test_evaluator = [
    dict(type='CocoMetric', ann_file=data_root + _val), dict(type='PCKAccuracy', thr=0.1)]

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=16, stem_channels=16,
                  strides=(1, 2, 2, 1)),
    head=dict(in_channels=128, deconv_out_channels=(32, 32), deconv_kernel_sizes=(4, 4)),
    init_cfg=None)
train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=12, T_max=12, by_epoch=True,
         convert_to_iter_based=True)]
