# What a student of COCO forgets while it is tuned to LSPET's people: the runs of lspet_published.py, evaluated on COCO's.
#   PYTHONPATH=data/published python tools/study.py configs/study/lspet_forgotten.py --seeds 3
metric = 'coco/AP'
reference = 'alone'
_coco = 'data/coco_people/'
_people = 'annotations/person_keypoints_val2017.json'
options = {
    'test_dataloader.dataset.data_root': _coco,
    'test_dataloader.dataset.ann_file': _people,
    'test_dataloader.dataset.data_prefix': dict(_delete_=True, img='val2017/'),
    'test_evaluator': [dict(type='CocoMetric', ann_file=_coco + _people)]}


def _taught(**parts):
    """The classroom with other parts, by `PART__SETTING`."""
    return dict(config='configs/pose/lspet_published/classroom.py', options={
        f'model.{name.replace("__", ".")}': value for name, value in parts.items()})


_everybody = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0))
_project = dict(distill_loss__balance=1.0, distill_loss__conflict='project')
runs = dict(
    alone=dict(config='configs/pose/lspet_published/plain.py'),
    aver=_taught(**_everybody, distill_loss__loss_weight=0.07),
    classroom=_taught(),
    project=_taught(**_project),
    consent=_taught(
        distill_loss__balance=0.1, distill_loss__balance_odds=2, distill_loss__conflict='project'),
    fade=_taught(**_project, distill_loss__fade=True))
