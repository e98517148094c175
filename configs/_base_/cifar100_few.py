# A part of CIFAR-100 on which a run takes three minutes of one core: 5,000 pictures train, 1,000 others of train validate.
#   python tools/prepare_cifar100.py --source data/cifar-100-python
# The figures of docs/experiments.md are of the first 100 training pictures of each class and 3,000 test pictures, in the official layout.
_base_ = ['mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['classroomkd_mm'])
data_root = 'data/cifar100_few/'
data_preprocessor = dict(
    num_classes=100,
    mean=[0.5071 * 255, 0.4867 * 255, 0.4408 * 255],
    std=[0.2675 * 255, 0.2565 * 255, 0.2761 * 255],
    to_rgb=True)
_read = [dict(type='LoadImageFromFile')]
_train, _test = (
    dict(type='CustomDataset', data_root=data_root, data_prefix=split, ann_file=f'{split}.txt')
    for split in ('train', 'test'))
_loader = dict(num_workers=0, collate_fn=dict(type='default_collate'))
_eval = dict(**_loader, batch_size=500,
             sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
train_dataloader = dict(
    **_loader,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='classroomkd_mm.FixedViews',
        views=4,
        dataset=dict(**_train, indices=5000, pipeline=[
            *_read,
            dict(type='RandomCrop', crop_size=32, padding=4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs')])))
val_dataloader = dict(**_eval, dataset=dict(
    **_train, indices=list(range(9000, 10000)), test_mode=True,
    pipeline=[*_read, dict(type='PackInputs')]))
test_dataloader = dict(**_eval, dataset=dict(
    **_test, test_mode=True, pipeline=[*_read, dict(type='PackInputs')]))
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=12, val_interval=12)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=12, T_max=12, by_epoch=True,
         convert_to_iter_based=True)]
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1), logger=dict(interval=20))
randomness = dict(seed=0)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
