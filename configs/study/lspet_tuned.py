# As lspet_published.py, where the best mentor was tuned to the user's people before:
#   PYTHONPATH=data/published python tools/train.py configs/pose/lspet_published/mentor.py --work-dir work_dirs/lspet_published/mentor
#   PYTHONPATH=data/published python -m classroomkd_mm remember configs/pose/lspet_published/tuned.py
#   PYTHONPATH=data/published python tools/study.py configs/study/lspet_tuned.py --seeds 3 --split val
metric = 'PCK'
reference = 'alone'


def _taught(**parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config='configs/pose/lspet_published/tuned.py', options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


_everybody = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0))
_tuned = [dict(name='tuned_256x192', config='configs/pose/lspet_published/mentor.py',
               checkpoint='work_dirs/lspet_published/mentor/epoch_4.pth')]
_project = dict(distill_loss__balance=1.0, distill_loss__conflict='project')
runs = dict(
    alone=dict(config='configs/pose/lspet_published/plain.py'),
    kd=_taught(**_everybody, distill_loss__loss_weight=0.07, mentors=_tuned),
    aver=_taught(**_everybody, distill_loss__loss_weight=0.07),
    classroom=_taught(),
    balance=_taught(distill_loss__balance=1.0),
    project=_taught(**_project),
    consent=_taught(
        distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    fade=_taught(**_project, distill_loss__fade=True))
