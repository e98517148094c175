# As lspet_published.py with 300 people for 20 epochs, so that there is something to overfit: as many iterations, another memory.
#   PYTHONPATH=data/published python tools/study.py configs/study/lspet_few.py --seeds 1 --split val
metric = 'PCK'
reference = 'alone'
options = {
    'train_dataloader.dataset.dataset.indices': 300,
    'train_cfg.max_epochs': 20,
    'param_scheduler': [
        dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
        dict(type='CosineAnnealingLR', begin=0, end=20, T_max=20, by_epoch=True,
             convert_to_iter_based=True)]}


def _taught(**settings):
    """The classroom with other settings of its loss."""
    return dict(config='configs/pose/lspet_published/classroom.py', options={
        'model.memory.dir': 'work_dirs/memory/lspet_few',
        **{f'model.distill_loss.{name}': value for name, value in settings.items()}})


runs = dict(
    alone=dict(config='configs/pose/lspet_published/plain.py'),
    classroom=_taught(),
    project=_taught(balance=1.0, conflict='project'))
