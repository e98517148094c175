# EfficientNet-B3 was trained at 300x300 and sees the student's 224x224 here.
_base_ = ['mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py', '../../_base_/mentors_imagenet.py']
custom_imports = dict(imports=['classroomkd_mm'])
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[{{_base_.zoo.efficientnet_b3}}, {{_base_.zoo.efficientnet_b0}}, {{_base_.zoo.regnetx_400mf}}, {{_base_.zoo.mobilenet_v2}}],
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
    mentoring=dict(type='AdaptiveMentoring', alpha=8.0),
    distill_loss=dict(type='KLDistillLoss'))
