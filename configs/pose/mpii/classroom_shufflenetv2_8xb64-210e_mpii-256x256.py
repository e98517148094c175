_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_shufflenetv2_8xb64-210e_mpii-256x256.py', '../../_base_/mentors_mpii_256x256.py']

custom_imports = dict(imports=['classroomkd_mm'])
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        {{_base_.zoo.hrnet_w32}},
        {{_base_.zoo.res50}},
        {{_base_.zoo.litehrnet_30}},
    ],
    # MMPose reads MPII's head boxes for testing only, so PCKh cannot score training samples.
    scorer=dict(type='PCKScorer', thr=0.1, norm='bbox'),
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.01, beta=10.0))
