# A trained student is tuned to people that its published mentors have never seen: who teaches without doing harm? The data and
# weights that configs/_base_/lspet_published.py names, then
#   python -m classroomkd_mm remember configs/pose/lspet_published/classroom.py
#   PYTHONPATH=data/published python tools/study.py configs/study/lspet_published.py --seeds 3
metric = 'PCK'  # the test split's evaluation has coco/AP as well: --metric coco/AP
reference = 'alone'
_classroom = 'configs/pose/lspet_published/classroom.py'


def _taught(**parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config=_classroom, options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


_everybody = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0))
# The lesson's formula, with the labels for a mentor.
_label = {'model.head.loss': dict(type='classroomkd_mm.LabelKLLoss', loss_weight=0.07, _delete_=True)}
runs = dict(
    alone=dict(config='configs/pose/lspet_published/plain.py'),
    label=dict(config='configs/pose/lspet_published/plain.py', options=_label),
    aver=_taught(**_everybody, distill_loss__loss_weight=0.07),
    classroom=_taught(),
    classroom_tenth=_taught(distill_loss__loss_weight=0.003),
    aver_balance=_taught(**_everybody, distill_loss__balance=1.0),
    aver_project=_taught(**_everybody, distill_loss__balance=1.0, distill_loss__conflict='project'),
    balance=_taught(distill_loss__balance=1.0),
    project=_taught(distill_loss__balance=1.0, distill_loss__conflict='project'),
    project_third=_taught(distill_loss__balance=0.3, distill_loss__conflict='project'),
    project_keypoint=_taught(
        knowledge_filter__granularity='keypoint', distill_loss__balance=1.0,
        distill_loss__conflict='project'),
    project_keypoint_third=_taught(
        knowledge_filter__granularity='keypoint', distill_loss__balance=0.3,
        distill_loss__conflict='project'),
    consent=_taught(  # as README has it
        distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    fade=_taught(
        distill_loss__balance=1.0, distill_loss__conflict='project', distill_loss__fade=True),
    aver_fade=_taught(
        **_everybody, distill_loss__balance=1.0, distill_loss__conflict='project',
        distill_loss__fade=True))
