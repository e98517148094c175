# Leeds Sports Pose Extended, one person a picture, as COCO-17 keypoints with the face unlabelled:
# data/lspet/{images/,annotations/person_keypoints_{train,val}.json}. The last 515 training pictures
# are held out as validation split, the val file is the test split.
_base_ = ['synthetic_pose.py']
data_root = 'data/lspet/'
_pictures = dict(data_root=data_root, data_prefix=dict(img='images/'))
_train, _val = (f'annotations/person_keypoints_{part}.json' for part in ('train', 'val'))
train_dataloader = dict(
    num_workers=1, dataset=dict(**_pictures, ann_file=_train, indices=4400))
val_dataloader = dict(
    dataset=dict(**_pictures, ann_file=_train, indices=list(range(4400, 4915))))
test_dataloader = dict(dataset=dict(**_pictures, ann_file=_val))
# CocoMetric would count the pictures that are not held out as missed.
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.1)
test_evaluator = [
    dict(type='CocoMetric', ann_file=data_root + _val), dict(type='PCKAccuracy', thr=0.1)]
train_cfg = dict(max_epochs=4, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=4, T_max=4, by_epoch=True)]
