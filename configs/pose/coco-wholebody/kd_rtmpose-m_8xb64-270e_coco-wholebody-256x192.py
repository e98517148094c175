_base_ = ['aver_rtmpose-m_8xb64-270e_coco-wholebody-256x192.py']
model = dict(mentors=_base_.model.mentors[:1])
