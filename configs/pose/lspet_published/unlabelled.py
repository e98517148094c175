# Of 1,500 people 300 have labels; the others are pictures and boxes alone, from which mentors teach. A pipeline without
# GenerateTarget makes a person one without labels.
_base_ = ['classroom.py']
_unlabelled = [
    step for step in _base_.train_dataloader.dataset.dataset.pipeline
    if step['type'] != 'GenerateTarget'
]
_people = {
    key: value for key, value in _base_.train_dataloader.dataset.dataset.items()
    if key not in ('indices', 'pipeline')
}
train_dataloader = dict(
    dataset=dict(
        views=2,
        dataset=dict(
            _delete_=True,
            type='CombinedDataset',
            metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
            pipeline=[],
            datasets=[
                dict(**_people, indices=300,
                     pipeline=_base_.train_dataloader.dataset.dataset.pipeline),
                dict(**_people, indices=list(range(300, 1500)), pipeline=_unlabelled)])))
_published = {mentor['name']: mentor for mentor in _base_.model.mentors}
model = dict(
    mentors=[
        dict(name='few_256x192', config='configs/pose/lspet_published/mentor_few.py',
             checkpoint='work_dirs/lspet_published/mentor_few/epoch_20.pth'),
        *_published.values()],
    memory=dict(dir='work_dirs/memory/lspet_unlabelled'))
