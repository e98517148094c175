# As mentor.py, where only 300 people have labels; as many iterations.
#   PYTHONPATH=data/published python tools/train.py configs/pose/lspet_published/mentor_few.py
_base_ = ['mentor.py']
train_dataloader = dict(dataset=dict(dataset=dict(indices=300)))
train_cfg = dict(max_epochs=20, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=20, T_max=20, by_epoch=True,
         convert_to_iter_based=True)]
