# EfficientNet-B3 was trained at 300x300 and sees the student's 224x224 here.
_base_ = ['mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py', '../../_base_/classroom_imagenet.py']
custom_hooks = _base_.classroom.hooks
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.efficientnet_b3, _base_.zoo.efficientnet_b0, _base_.zoo.regnetx_400mf, _base_.zoo.mobilenet_v2],
    mentoring=dict(type='AdaptiveMentoring', alpha=8.0))
