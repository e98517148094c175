_base_ = ['classroom_litehrnet-18_8xb64-210e_mpii-256x256.py']
model = dict(_delete_=True, **{**_base_.model, **_base_.aver})
