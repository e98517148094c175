# 300 people with labels and 1,200 without (configs/pose/lspet_published/unlabelled.py); first the mentor that knows the 300:
#   PYTHONPATH=data/published python tools/train.py configs/pose/lspet_published/mentor_few.py --work-dir work_dirs/lspet_published/mentor_few
#   PYTHONPATH=data/published python -m classroomkd_mm remember configs/pose/lspet_published/unlabelled.py
#   PYTHONPATH=data/published python tools/study.py configs/study/lspet_unlabelled.py --seeds 3 --split val
metric = 'PCK'
reference = 'alone'


def _epochs(number):
    return {
        'train_cfg.max_epochs': number,
        'train_cfg.val_interval': number,
        'param_scheduler': [
            dict(type='LinearLR', begin=0, end=20, start_factor=0.01, by_epoch=False),
            dict(type='CosineAnnealingLR', begin=0, end=number, T_max=number, by_epoch=True,
                 convert_to_iter_based=True)]}


_few = {'train_dataloader.dataset.dataset.indices': 300}
_plain = 'configs/pose/lspet_published/plain.py'


def _taught(epochs=4, **parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config='configs/pose/lspet_published/unlabelled.py', options={
        **_epochs(epochs),
        **{f'model.{name.replace("__", ".")}': value for name, value in parts.items()}})


_everybody = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0))
_mine = [dict(name='few_256x192', config='configs/pose/lspet_published/mentor_few.py',
              checkpoint='work_dirs/lspet_published/mentor_few/epoch_20.pth')]
_consent = dict(distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project')
runs = dict(
    alone=dict(config=_plain, options={**_few, **_epochs(20)}),
    kd=_taught(**_everybody, distill_loss__loss_weight=0.07, mentors=_mine),
    kd_consent=_taught(**_everybody, **_consent, mentors=_mine),
    aver=_taught(**_everybody, distill_loss__loss_weight=0.07),
    aver_consent=_taught(**_everybody, **_consent),
    classroom=_taught(),
    consent=_taught(**_consent),
    fade=_taught(distill_loss__balance=1.0, distill_loss__conflict='project', distill_loss__fade=True),
    # Three times as long, as many iterations for both.
    alone_long=dict(config=_plain, options={**_few, **_epochs(60)}),
    kd_long=_taught(12, **_everybody, distill_loss__loss_weight=0.07, mentors=_mine),
    classroom_long=_taught(12),
    consent_long=_taught(12, **_consent))
