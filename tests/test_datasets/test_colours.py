"""In which order colours arrive."""

import pytest

from classroomkd_mm.datasets import colour_order

LOAD = dict(type='LoadImageFromFile')


@pytest.mark.parametrize(
    'dataset, order',
    [
        (dict(type='CIFAR100', pipeline=[dict(type='RandomCrop')]), 'rgb'),
        (dict(type='mmpretrain.CIFAR10'), 'rgb'),
        (dict(type='ImageNet', pipeline=[LOAD]), 'bgr'),
        (dict(type='CocoDataset', pipeline=[dict(type='LoadImage')]), 'bgr'),
        (dict(type='ImageNet', pipeline=[LOAD, dict(type='NumpyToPIL', to_rgb=True)]), 'rgb'),
        (
            dict(
                type='ImageNet',
                pipeline=[
                    LOAD,
                    dict(type='NumpyToPIL', to_rgb=True),
                    dict(type='PILToNumpy', to_bgr=True),
                ],
            ),
            'bgr',
        ),
        (dict(type='RepeatDataset', dataset=dict(type='CIFAR100')), 'rgb'),
        (dict(type='ConcatDataset', datasets=[dict(type='CIFAR100')]), 'rgb'),
        (dict(type='Mine'), None),
    ],
)
def test_by_config(dataset, order):
    assert colour_order(dataset) == order


def test_by_data_set(people):
    from mmengine.dataset import RepeatDataset
    from mmpose.datasets import CocoDataset

    data = CocoDataset(
        data_root=f'{people}/', ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='train/'), pipeline=[dict(type='LoadImage')],
    )  # fmt: skip
    assert colour_order(data) == 'bgr' and colour_order(RepeatDataset(data, 2)) == 'bgr'
    assert colour_order([1, 2]) is None
