# Fashion-MNIST, 6,000 training pictures: real data on which a run takes a minute. Get it with
#   apt-get install dataset-fashion-mnist && python tools/prepare_fashion_mnist.py
_base_ = ['mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['classroomkd_mm'])

data_preprocessor = dict(num_classes=10, mean=[72.9], std=[90.0])
data_root = 'data/fashion_mnist/'
_dataset = dict(type='FashionMNIST', download=False)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,  # a batch is read faster than a worker would send it
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**_dataset, data_root=data_root + 'official', indices=6000, pipeline=[
        dict(type='RandomCrop', crop_size=28, padding=2),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs')]))
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_dataset, data_root=data_root + 'val', split='test', test_mode=True,
                 pipeline=[dict(type='PackInputs')]))
test_dataloader = dict(
    batch_size=500,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_dataset, data_root=data_root + 'official', split='test', test_mode=True,
                 pipeline=[dict(type='PackInputs')]))
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

model = dict(
    type='ImageClassifier',
    backbone=dict(type='classroomkd_mm.CIFARResNet', depth=8, widths=(4, 4, 8, 16), in_channels=1),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=16,
              loss=dict(type='CrossEntropyLoss')))

max_epochs = 6
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=2)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=6, T_max=6, by_epoch=True)]
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1), logger=dict(interval=20))
randomness = dict(seed=0)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
