# The authors' classroom for ResNet-18, without GoogLeNet, which MMPretrain's zoo lacks.
_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py', '../../_base_/classroom_imagenet.py']
custom_hooks = _base_.classroom.hooks
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.resnet34, _base_.zoo.mobilenet_v2, _base_.zoo.regnetx_400mf, _base_.zoo.mobilenet_v3_large],
    mentoring=dict(type='AdaptiveMentoring', alpha=4.0))
