# Of 5,000 pictures 1,000 have labels; from the others mentors teach.
_base_ = ['classroom.py']
_labelled = _base_.train_dataloader.dataset.dataset
_others = dict(
    type='CustomDataset', data_root=_labelled.data_root, data_prefix='train',
    ann_file='train_pictures.txt', with_label=False, pipeline=_labelled.pipeline)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            _delete_=True,
            type='ConcatDataset',
            datasets=[
                dict(_labelled, indices=1000), dict(**_others, indices=list(range(1000, 5000)))])))
model = dict(memory=dict(dir='work_dirs/memory/cifar100_unlabelled'))
