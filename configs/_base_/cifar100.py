# CIFAR-100 and the schedule of the distillation literature's ClassroomKD experiments (240 epochs).
_base_ = ['mmpretrain::_base_/default_runtime.py']
custom_imports = dict(imports=['classroomkd_mm'])

data_preprocessor = dict(
    num_classes=100,
    mean=[0.5071 * 255, 0.4867 * 255, 0.4408 * 255],
    std=[0.2675 * 255, 0.2565 * 255, 0.2761 * 255],
    to_rgb=False)  # MMPretrain's CIFAR100 gives RGB already
_dataset = dict(type='CIFAR100', data_root='data/cifar100')
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**_dataset, split='train', pipeline=[
        dict(type='RandomCrop', crop_size=32, padding=4),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs')]))
val_dataloader = dict(
    batch_size=256,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**_dataset, split='test', test_mode=True, pipeline=[dict(type='PackInputs')]))
test_dataloader = val_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=240, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = [  # from 0.05 linearly to 0.01 in 120 epochs, then a tenth every 30
    dict(type='LinearLR', start_factor=1.0, end_factor=0.2, begin=0, end=120, by_epoch=True),
    dict(type='MultiStepLR', milestones=[150, 180, 210], gamma=0.1, by_epoch=True)]
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=2, save_best='auto'))
auto_scale_lr = dict(base_batch_size=64, enable=False)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
