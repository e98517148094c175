# Six epochs of a student's like; those before the last are the weak peers of classroom_peers.py.
_base_ = ['plain_student.py']
train_cfg = dict(max_epochs=6, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=6, T_max=6, by_epoch=True,
         convert_to_iter_based=True)]
default_hooks = dict(checkpoint=dict(max_keep_ckpts=-1))
