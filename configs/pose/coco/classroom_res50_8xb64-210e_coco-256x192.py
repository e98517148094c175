_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py', '../../_base_/mentors_coco_256x192.py']

custom_imports = dict(imports=['classroomkd_mm'])
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
model = dict(
    _delete_=True,
    type='classroomkd_mm.ClassroomDistiller',
    student={{_base_.model}},
    mentors=[
        {{_base_.zoo.hrnet_w48}},
        {{_base_.zoo.hrnet_w32}},
        {{_base_.zoo.res152}},
        {{_base_.zoo.res101}},
    ],
    scorer=dict(type='OKSScorer'),
    knowledge_filter=dict(type='KnowledgeFilter', granularity='sample', task_bias=1.0),
    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
    distill_loss=dict(type='KLDistillLoss', loss_weight=0.01, beta=10.0))
