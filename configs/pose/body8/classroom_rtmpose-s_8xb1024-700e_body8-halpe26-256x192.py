_base_ = ['mmpose::body_2d_keypoint/rtmpose/body8/rtmpose-s_8xb1024-700e_body8-halpe26-256x192.py', '../../_base_/classroom_halpe26_256x192.py']
custom_hooks = [*_base_.custom_hooks, dict(type='classroomkd_mm.ClassroomHook')]  # EMA and second stage stay
visualizer = _base_.classroom.visualizer
model = dict(
    _delete_=True,
    **_base_.classroom.model,
    student=_base_.model,
    mentors=[_base_.zoo.rtmpose_l, _base_.zoo.hrnet_w48, _base_.zoo.vitpose_base, _base_.zoo.rtmpose_m])
# The head's own loss adds up the samples of a GPU where KL is their mean, and is a mean over bins where KL is a sum:
# with this for each sample a lesson is of the size, beside the labels, that it has for heatmaps.
model.update(distill_loss=dict(
    type='KLDistillLoss', loss_weight=0.0005 * _base_.train_dataloader.batch_size, beta=10.0,
    **_base_.classroom.consent))
