# What every ImageNet classroom shares, in `classroom` as in classroom_pose.py; each says its own alpha.
_base_ = ['mentors_imagenet.py']
custom_imports = dict(imports=['classroomkd_mm'])
classroom = dict(
    hooks=[dict(type='classroomkd_mm.ClassroomHook')],
    visualizer=dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]),
    model=dict(
        type='classroomkd_mm.ClassroomDistiller',
        knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
        distill_loss=dict(type='KLDistillLoss')))
