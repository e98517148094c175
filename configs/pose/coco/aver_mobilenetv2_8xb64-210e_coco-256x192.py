_base_ = ['classroom_mobilenetv2_8xb64-210e_coco-256x192.py']
model = dict(_delete_=True, **{**_base_.model, **_base_.aver})
