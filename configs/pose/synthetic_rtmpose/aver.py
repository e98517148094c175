_base_ = ['classroom.py']
model = dict(
    knowledge_filter=dict(_delete_=True, type='UniformFilter'),
    mentoring=dict(_delete_=True, type='FixedMentoring', tau=1.0),
    distill_loss=dict(loss_weight=0.1))
