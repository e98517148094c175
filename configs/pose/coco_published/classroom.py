# Fill the memory first (or let the first run do it):
#   python -m classroomkd_mm remember configs/pose/coco_published/classroom.py
_base_ = ['../../_base_/coco_published.py']
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        dict(name=name, config=f'{_base_.published}{name}.py',
             checkpoint=f'{_base_.published}{name}.pth')
        for name in ('nanxinyu_large', 'pp_tinypose_256x192', 'pp_tinypose_128x96', 'ultralight_nano')
    ],
    memory=dict(dir='work_dirs/memory/coco_published'),
    scorer=dict(type='OKSScorer'),
    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0))
