_base_ = ['aver_mobilenetv2_8xb64-210e_coco-256x192.py']
model = dict(mentors=_base_.model.mentors[:1])
