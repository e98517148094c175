# A small student begins with nothing, its published mentors know COCO. The data and weights that configs/_base_/coco_published.py
# names, then
#   PYTHONPATH=data/published python -m classroomkd_mm remember configs/pose/coco_published/classroom.py
#   PYTHONPATH=data/published python tools/study.py configs/study/coco_published.py --seeds 3 --split val
metric = 'PCK'  # the test split's evaluation has coco/AP as well: --metric coco/AP
reference = 'alone'


def _taught(**parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config='configs/pose/coco_published/classroom.py', options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


_everybody = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0))
_plain = dict(
    distill_loss__balance=None, distill_loss__conflict='keep', distill_loss__fade=False)
_project = dict(distill_loss__balance=1.0, distill_loss__conflict='project')
# The lesson's formula, with the labels for a mentor.
_label = {'model.head.loss': dict(type='classroomkd_mm.LabelKLLoss', loss_weight=0.07, _delete_=True)}
runs = dict(
    alone=dict(config='configs/pose/coco_published/plain.py'),
    label=dict(config='configs/pose/coco_published/plain.py', options=_label),
    aver=_taught(**_everybody, **_plain, distill_loss__loss_weight=0.07),
    classroom=_taught(**_plain),
    consent=_taught(  # as README has it
        distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    project=_taught(**_project, distill_loss__fade=False),
    fade=_taught(**_project, distill_loss__fade=True),
    fade_keypoint=_taught(
        **_project, distill_loss__fade=True, knowledge_filter__granularity='keypoint'),
    aver_fade=_taught(**_everybody, **_project, distill_loss__fade=True))
