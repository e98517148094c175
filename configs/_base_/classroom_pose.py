# What every COCO and MPII classroom shares. Two bases may not set the same key, and the student's config sets
# model, custom_hooks and visualizer: so what a classroom adds lies in `classroom`, from where its config takes it.
custom_imports = dict(imports=['classroomkd_mm'])
# A lesson weighs the more the more of it agrees with the labels, and contradicts none: docs/experiments.md. The paper's method is
# without.
_consent = dict(balance=0.1, balance_odds=2, conflict='project')
classroom = dict(
    consent=_consent,
    hooks=[dict(type='SyncBuffersHook'), dict(type='classroomkd_mm.ClassroomHook')],
    visualizer=dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]),
    model=dict(
        type='classroomkd_mm.ClassroomDistiller',
        knowledge_filter=dict(type='KnowledgeFilter', granularity='sample', task_bias=1.0),
        mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
        distill_loss=dict(type='KLDistillLoss', loss_weight=0.01, beta=10.0, **_consent)))
# The lesson of aver_* in place of the classroom's: every mentor teaches, with equal weight.
aver = dict(
    knowledge_filter=dict(type='UniformFilter'),
    mentoring=dict(type='FixedMentoring', tau=1.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0, **_consent))
