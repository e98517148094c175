# One teacher, and five peers that the student overtakes sooner or later: one small network's first five epochs.
#   python tools/train.py configs/cls/cifar100_few/peer.py --work-dir work_dirs/cifar100_few/peer
_base_ = ['classroom.py']
model = dict(
    mentors=[
        _base_.model.mentors[0],
        *(dict(name=f'peer_{epoch}', config='configs/cls/cifar100_few/peer.py',
               checkpoint=f'work_dirs/cifar100_few/peer/epoch_{epoch}.pth')
          for epoch in (1, 2, 3, 4, 5))])
