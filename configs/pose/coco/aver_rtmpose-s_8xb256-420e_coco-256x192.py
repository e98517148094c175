_base_ = ['classroom_rtmpose-s_8xb256-420e_coco-256x192.py']
model = dict(_delete_=True, **{**_base_.model, **_base_.aver})
model.update(distill_loss=dict(
    type='KLDistillLoss', loss_weight=0.0015 * _base_.train_dataloader.batch_size, beta=10.0,
    **_base_.classroom.consent))
