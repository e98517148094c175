# MobileNet (V1) is timm's (pip install timm): MMPretrain has none. The schedule is ResNet's.
_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py', '../../_base_/classroom_imagenet.py']
custom_hooks = _base_.classroom.hooks
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=dict(type='TimmClassifier', model_name='mobilenetv1_100'),
    mentors=[_base_.zoo.resnet50, _base_.zoo.mobilenet_v2, _base_.zoo.regnetx_400mf, _base_.zoo.densenet169],
    mentoring=dict(type='AdaptiveMentoring', alpha=4.0))
