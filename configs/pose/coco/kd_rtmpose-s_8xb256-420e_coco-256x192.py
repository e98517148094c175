_base_ = ['aver_rtmpose-s_8xb256-420e_coco-256x192.py']
model = dict(mentors=_base_.model.mentors[:1])
