_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_mobilenetv2_8xb64-210e_coco-256x192.py', '../../_base_/classroom_coco_256x192.py']
custom_hooks = _base_.classroom.hooks
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.hrnet_w48, _base_.zoo.vitpose_base, _base_.zoo.res50])
