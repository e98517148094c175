_base_ = ['classroom_rtmpose-m_8xb64-270e_coco-wholebody-256x192.py']
model = dict(_delete_=True, **{**_base_.model, **_base_.aver})
model.update(distill_loss=dict(
    type='KLDistillLoss', loss_weight=0.0015 * _base_.train_dataloader.batch_size, beta=10.0,
    **_base_.classroom.consent))
