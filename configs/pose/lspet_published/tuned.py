# As classroom.py, and a mentor that was tuned to the same people as the student is (mentor.py, train it first).
_base_ = ['classroom.py']
model = dict(
    mentors=[
        dict(name='tuned_256x192', config='configs/pose/lspet_published/mentor.py',
             checkpoint='work_dirs/lspet_published/mentor/epoch_4.pth'),
        *_base_.model.mentors])
