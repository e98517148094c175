_base_ = ['mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', '../../_base_/classroom_coco_256x192.py']
custom_hooks = [*_base_.custom_hooks, dict(type='classroomkd_mm.ClassroomHook')]  # EMA and second stage stay
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.rtmpose_l, _base_.zoo.hrnet_w48, _base_.zoo.vitpose_base, _base_.zoo.rtmpose_m])
# The head's own loss is a mean over 384 and 512 bins, KL a sum: at a tenth of the weight that heatmaps have, a
# mentor weighs as much beside the labels as it does there.
model.update(distill_loss=dict(type='KLDistillLoss', loss_weight=0.001, beta=10.0))
