_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_litehrnet-18_8xb64-210e_mpii-256x256.py', '../../_base_/classroom_mpii_256x256.py']
custom_hooks = _base_.classroom.hooks
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.hrnet_w48, _base_.zoo.res50, _base_.zoo.litehrnet_30])
