_base_ = ['aver_mobilenetv2_8xb64-210e_mpii-256x256.py']
model = dict(mentors=_base_.model.mentors[:1])
