_base_ = ['aver_rtmpose-t_8xb1024-700e_body8-halpe26-256x192.py']
model = dict(mentors=_base_.model.mentors[:1])
