_base_ = ['aver_rtmpose-t_8xb256-420e_coco-256x192.py']
model = dict(mentors=_base_.model.mentors[:1])
