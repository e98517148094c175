# 1,000 pictures with labels, as many iterations as with 5,000: what unlabelled.py is measured by.
_base_ = ['plain_student.py']
train_dataloader = dict(dataset=dict(dataset=dict(indices=1000)))
train_cfg = dict(max_epochs=60, val_interval=60)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=60, T_max=60, by_epoch=True,
         convert_to_iter_based=True)]
