_base_ = ['classroom_mobilenetv2_8xb64-210e_coco-256x192.py']
model = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0),
    distill_loss=dict(loss_weight=0.03))
