"""Mentors' own crops: the stock transform's, bit for bit, in whatever data sets and pipelines."""

import pickle

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose, ConcatDataset, RepeatDataset
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.runner.runner import _SlicedDataset
from torch.utils.data import Dataset

from classroomkd_mm.datasets import FixedViews, Wanted, cut_own_crops, own_crops
from classroomkd_mm.datasets.own_crops import CutsOwnCrops, PacksOwnCrops
from classroomkd_mm.structures import OwnCrop

LARGE, UDP = OwnCrop((128, 96), False), OwnCrop((160, 120), True)
BOTH = [Wanted('first', LARGE), Wanted('second', UDP), Wanted('third', LARGE)]
CROP = dict(type='TopdownAffine', input_size=(48, 64))
PACK = dict(type='PackPoseInputs', meta_keys=())
READ = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform', rotate_factor=60, shift_factor=0.3),
]


@TRANSFORMS.register_module(force=True)
class Darker(BaseTransform):
    """A photometric transform, which draws a random number."""

    def transform(self, results):
        results['img'] = (results['img'] * np.random.uniform(0.1, 0.6)).astype(np.uint8)
        return results


def people_of(people, pipeline, **settings):
    return dict(
        type='CocoDataset', data_root=f'{people}/', data_mode='topdown', pipeline=pipeline,
        ann_file='annotations/person_keypoints_train.json', data_prefix=dict(img='train/'),
        **settings,
    )  # fmt: skip


@TRANSFORMS.register_module(force=True)
class OtherWay(BaseTransform):
    """The same turn: MMPose's UDP turns a box by its angle the other way round."""

    def transform(self, results):
        results['bbox_rotation'] = -results['bbox_rotation']
        return results


def stock(people, crop, index, udp=False):
    """What the stock pipeline of that size and kind makes of the sample; nothing comes later.

    ``udp`` is the student's.
    """
    affine = dict(CROP, input_size=crop.size[::-1], use_udp=crop.udp)
    turn = [dict(type='OtherWay')] if crop.udp != udp else []
    dataset = FixedViews(people_of(people, [*READ, *turn, affine, PACK]), views=3)
    return dataset[index]['inputs']


@pytest.mark.parametrize('udp', [False, True])
def test_the_second_crop_is_that_of_the_stock_transform_to_the_bit(people, udp):
    pipeline = [*READ, dict(CROP, use_udp=udp), dict(type='Darker'), PACK]
    plain = FixedViews(people_of(people, pipeline), views=3)
    dataset = FixedViews(people_of(people, pipeline), views=3)
    assert cut_own_crops(dataset, BOTH) == ((47, 63) if udp else (48, 64))
    for index in (0, 1, 25, 70):
        sample = dataset[index]
        # The student's own picture is what it was, and so are the random numbers after it.
        assert torch.equal(sample['inputs'], plain[index]['inputs'])
        for crop in (LARGE, UDP):
            own = sample['data_samples'].get(crop.name)
            assert own.dtype is torch.uint8 and own.shape == (3, *crop.size)
            assert torch.equal(own, stock(people, crop, index, udp))


def test_crops_are_stacked_as_the_students_inputs_are(people):
    dataset = FixedViews(people_of(people, [*READ, CROP, PACK]), views=1)
    cut_own_crops(dataset, BOTH)
    samples = [dataset[i]['data_samples'] for i in range(3)]
    like = torch.zeros(3, 3, 64, 48, dtype=torch.float64)
    found = own_crops(samples, UDP, like, 'mentor')
    assert found.dtype is torch.float64 and found.shape == (3, 3, 160, 120)
    assert torch.equal(found[1], stock(people, UDP, 1).double())


def combined(people, outer, inner):
    metainfo = dict(from_file='configs/_base_/datasets/coco.py')
    return DATASETS.build(
        dict(
            type='CombinedDataset',
            metainfo=metainfo,
            datasets=[people_of(people, inner)] * 2,
            pipeline=outer,
        )
    )


CHOICE = dict(type='RandomChoice', transforms=[[*READ[2:], CROP], [CROP]])
WRAPPED = {
    'repeated': lambda people: RepeatDataset(people_of(people, [*READ, CROP, PACK]), times=2),
    'concatenated': lambda people: ConcatDataset([people_of(people, [*READ, CROP, PACK])] * 2),
    'combined, cut by the parts': lambda people: combined(people, [PACK], [*READ, CROP]),
    'combined, cut by the whole': lambda people: combined(people, [*READ, CROP, PACK], []),
    'a slice': lambda people: _SlicedDataset(
        DATASETS.build(people_of(people, [*READ, CROP, PACK])), 6
    ),
    'by chance': lambda people: DATASETS.build(people_of(people, [*READ[:2], CHOICE, PACK])),
}


@pytest.mark.parametrize('kind', list(WRAPPED))
def test_every_part_of_a_wrapped_data_set_cuts_and_stops_cutting(people, kind):
    dataset = WRAPPED[kind](people)
    if kind != 'a slice':
        dataset = FixedViews(dataset, views=1)
    kept = dataset._dataset if kind == 'a slice' else dataset  # MMEngine's slice cannot be pickled
    plain = pickle.dumps(kept)
    for _ in range(2):  # to say it again changes nothing
        assert cut_own_crops(dataset, BOTH) == (48, 64)
    for index in (0, len(dataset) - 1):
        own = dataset[index]['data_samples']
        assert own.get(LARGE.name).shape == (3, *LARGE.size) and own.get(UDP.name) is not None
    copied = pickle.loads(pickle.dumps(kept))  # for workers that are spawned
    assert LARGE.name in copied[1]['data_samples']
    assert cut_own_crops(dataset, []) is None
    assert pickle.dumps(kept) == plain


class Plain(Dataset):
    def __getitem__(self, index):
        return torch.zeros(3, 64, 48)

    def __len__(self):
        return 3


BOTTOM_UP = [dict(type='LoadImage'), dict(type='BottomupResize', input_size=(64, 64))]


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda people: Plain(), r'data \(Plain\) has no TopdownAffine and no PackPoseInputs'),
        (
            lambda people: DATASETS.build(people_of(people, [*BOTTOM_UP, PACK])),
            r'\(CocoDataset\) has no TopdownAffine$',
        ),
        (
            lambda people: FixedViews(people_of(people, [*READ, CROP])),
            r'\(CocoDataset\) has no PackPoseInputs$',
        ),
        (
            lambda people: ConcatDataset(
                [people_of(people, [*READ, CROP, PACK]), people_of(people, [*BOTTOM_UP, PACK])]
            ),
            r'\(CocoDataset\) has no TopdownAffine$',
        ),
        (lambda people: Compose([CROP]), r'\(Compose\) has no PackPoseInputs$'),
        (
            lambda people: ConcatDataset(
                [people_of(people, [dict(CROP, use_udp=udp), PACK]) for udp in (False, True)]
            ),
            'have several TopdownAffine, which differ in input_size or use_udp$',
        ),
    ],
)
def test_what_is_not_cut_by_the_stock_transform_is_refused(people, make, words):
    with pytest.raises(ValueError, match=f"mentor 'first': own_resolution=True .*(?:{words})"):
        cut_own_crops(make(people), BOTH)


def test_where_nothing_is_wanted_any_data_set_will_do(people):
    for dataset in (Plain(), [1, 2], DATASETS.build(people_of(people, BOTTOM_UP))):
        assert cut_own_crops(dataset, []) is None


def test_what_is_answered_is_not_cut_for(people):
    """By the number of the view; a crop that another mentor waits for is cut all the same."""
    dataset = FixedViews(people_of(people, [*READ, CROP, PACK]), views=2)
    asked = []

    def answered(number):
        asked.append(number)
        return number == 25

    cut_own_crops(dataset, [Wanted('m', LARGE, answered), Wanted('n', UDP)])
    assert [LARGE.name in dataset[i]['data_samples'] for i in (1, 25)] == [True, False]
    assert UDP.name in dataset[25]['data_samples'] and asked == [1, 25, 25]
    dataset.pipeline = dataset.pipeline  # exchanged: its numbers mean other pictures from now on
    assert LARGE.name in dataset[25]['data_samples'] and len(asked) == 3


def test_where_the_stock_transform_gives_nothing_so_do_its_companions():
    """MMEngine then draws another sample."""
    assert CutsOwnCrops(lambda results: None, [])({}) is None
    assert PacksOwnCrops(lambda results: None)({}) is None


def test_samples_without_a_crop_name_the_mentor_and_the_hook(packed):
    words = r"mentor 'm' has own_resolution=True.*without its crop \(own_crop_96x128\).*Classroom"
    with pytest.raises(RuntimeError, match=words):
        own_crops(packed(2)['data_samples'], LARGE, torch.zeros(2, 3, 64, 48), "mentor 'm'")
    with pytest.raises(RuntimeError, match=words):
        own_crops([], LARGE, torch.zeros(2, 3, 64, 48), "mentor 'm'")
