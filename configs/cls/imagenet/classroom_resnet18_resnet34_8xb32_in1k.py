# The authors' classroom for ResNet-18, without GoogLeNet, which MMPretrain's zoo lacks.
_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py', '../../_base_/mentors_imagenet.py']
custom_imports = dict(imports=['classroomkd_mm'])
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[{{_base_.zoo.resnet34}}, {{_base_.zoo.mobilenet_v2}}, {{_base_.zoo.regnetx_400mf}}, {{_base_.zoo.mobilenet_v3_large}}],
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample'),
    mentoring=dict(type='AdaptiveMentoring', alpha=4.0),
    distill_loss=dict(type='KLDistillLoss'))
