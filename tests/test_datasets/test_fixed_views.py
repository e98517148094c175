"""Fixed views: the same bits in any process, order and worker, for every stock transform."""

import copy
import hashlib
import inspect
import json
import os
import pickle
import random
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from types import SimpleNamespace

import classroomkd_mm  # noqa: F401  (first: MMPose may not import without it)

# isort: split
import mmpretrain.datasets  # noqa: F401  (registers its transforms)
import numpy as np
import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.dataset import (
    BaseDataset,
    ClassBalancedDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from mmengine.registry import DATASETS, DefaultScope
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmpose.datasets import CombinedDataset
from mmpose.registry import TRANSFORMS as MMPOSE_TRANSFORMS
from mmpretrain.registry import TRANSFORMS as MMPRETRAIN_TRANSFORMS
from torch.nn import Module
from torch.utils.data import DataLoader

from classroomkd_mm.datasets import FixedViews, InfiniteViewSampler, ViewSampler, colour_order
from classroomkd_mm.runs.views import sampler_of, take_views, with_view_sampler

LIBRARIES = dict(mmpose=MMPOSE_TRANSFORMS, mmpretrain=MMPRETRAIN_TRANSFORMS)
DRAWS = re.compile(
    r'np\.random\.|\brandom\.\w+\(|torch\.(rand|empty|normal|multinomial)|truncnorm|'
    'cache_randomness|_sample_params'
)
CENTRE = dict(center_mode='static', center_x=0.5)
FLIP = dict(type='mmpretrain.RandomFlip', prob=0.5)
TURNS = [torchvision.transforms.RandomVerticalFlip(), torchvision.transforms.RandomRotation(20)]
# Every registered transform that draws random numbers, and how to build it.
BUILT = {
    'mmpose': dict(
        BottomupRandomAffine=dict(input_size=(48, 64)),
        BottomupRandomChoiceResize=dict(scales=[(24, 24), (32, 32), (48, 48)]),
        BottomupRandomCrop=dict(crop_size=(40, 30)),
        HandRandomFlip=dict(prob=0.5),
        PhotometricDistortion=dict(),
        RandomBBoxTransform=dict(),
        RandomFlip=dict(),
        RandomFlipAroundRoot=dict(keypoints_flip_cfg=CENTRE, target_flip_cfg=CENTRE),
        RandomHalfBody=dict(prob=0.5),
        YOLOXHSVRandomAug=dict(),
        YOLOXMixUp=dict(img_scale=(64, 64)),
        Mosaic=dict(img_scale=(64, 64)),
    ),
    'mmpretrain': dict(
        AutoAugment=dict(policies='imagenet'),
        AutoContrast=dict(),
        BEiTMaskGenerator=dict(input_size=(14, 14), num_masking_patches=75),
        Brightness=dict(magnitude=0.5),
        ColorJitter=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        ColorTransform=dict(magnitude=0.5),
        Contrast=dict(magnitude=0.5),
        Cutout=dict(shape=10),
        EfficientNetRandomCrop=dict(scale=32),
        Equalize=dict(),
        GaussianBlur=dict(radius=2),
        Invert=dict(),
        MAERandomResizedCrop=dict(size=32),
        Posterize=dict(bits=3),
        RandAugment=dict(policies='timm_increasing', num_policies=2, magnitude_level=9,
                         magnitude_std=0.5),
        RandomCrop=dict(crop_size=32),
        RandomErasing=dict(erase_prob=0.5, mode='rand'),
        RandomFlip=dict(prob=0.5),
        RandomGrayscale=dict(prob=0.5, keep_channels=True),
        RandomResize=dict(scale=(32, 32), ratio_range=(0.5, 2.0)),
        RandomResizedCrop=dict(scale=32),
        RandomResizedCropAndInterpolationWithTwoPic=dict(size=32, second_size=16,
                                                         interpolation='random'),
        RandomTranslatePad=dict(size=96, aug_translate=True),
        Rotate=dict(angle=30.0),
        Sharpness=dict(magnitude=0.5),
        Shear=dict(magnitude=0.3),
        SimMIMMaskGenerator=dict(),
        Solarize=dict(thr=100),
        SolarizeAdd=dict(magnitude=60),
        Translate=dict(magnitude=0.3),
    ),
    'mmpretrain.torchvision': dict(
        AugMix=dict(),
        AutoAugment=dict(),
        ColorJitter=dict(brightness=0.4, hue=0.1),
        ElasticTransform=dict(alpha=100.0),
        GaussianBlur=dict(kernel_size=5),
        RandAugment=dict(),
        RandomAdjustSharpness=dict(sharpness_factor=2.0),
        RandomAffine=dict(degrees=30.0, translate=(0.1, 0.1)),
        RandomApply=dict(transforms=TURNS),
        RandomAutocontrast=dict(),
        RandomChoice=dict(transforms=TURNS),
        RandomCrop=dict(size=32),
        RandomEqualize=dict(),
        RandomErasing=dict(value='random'),
        RandomGrayscale=dict(p=0.5),
        RandomHorizontalFlip=dict(),
        RandomInvert=dict(),
        RandomOrder=dict(transforms=TURNS),
        RandomPerspective=dict(),
        RandomPosterize=dict(bits=3),
        RandomResizedCrop=dict(size=32),
        RandomRotation=dict(degrees=30.0),
        RandomSolarize=dict(threshold=100),
        RandomVerticalFlip=dict(),
        TrivialAugmentWide=dict(),
    ),
    'mmengine': dict(
        RandomApply=dict(transforms=[FLIP]),
        RandomChoice=dict(transforms=[[FLIP], [dict(type='mmpretrain.Invert', prob=0.5)]]),
        RandomChoiceResize=dict(scales=[(24, 24), (32, 32), (48, 48)]),
        RandomFlip=dict(prob=0.5),
        RandomGrayscale=dict(prob=0.5, keep_channels=True),
        RandomResize=dict(scale=(32, 32), ratio_range=(0.5, 2.0)),
    ),
}  # fmt: skip
PIL = dict(type='mmpretrain.NumpyToPIL')
BEFORE = {
    'mmpretrain.MAERandomResizedCrop': [PIL],
    'mmpretrain.torchvision/RandomErasing': [PIL, dict(type='mmpretrain.torchvision/ToTensor')],
}
SKIPPED = {
    'mmpose.Albumentation': 'needs a package that is not installed; a stand-in is tested below',
    'mmpretrain.Albumentations': 'likewise',
}
VIEWS = 12


class People(BaseDataset):
    """Three noisy pictures with a person and all that any transform asks for."""

    METAINFO = dict(flip_indices=list(range(17)))

    def load_data_list(self):
        return [dict(number=i) for i in range(3)]

    def get_cat_ids(self, idx):
        return [idx]

    def get_data_info(self, idx):
        rng = np.random.default_rng(idx % 3)
        keypoints = rng.uniform(8, 40, (1, 17, 2)).astype(np.float32)
        return dict(
            img=rng.integers(40, 216, (64, 48, 3), np.uint8), img_shape=(64, 48),
            ori_shape=(64, 48), img_path='', img_id=idx, id=[idx], sample_idx=idx,
            keypoints=keypoints, keypoints_visible=np.ones((1, 17), np.float32),
            bbox=np.float32([[4, 4, 44, 60]]), bbox_score=np.ones(1, np.float32),
            bbox_center=np.float32([[24, 32]]), bbox_scale=np.float32([[40, 56]]),
            bbox_rotation=np.zeros(1, np.float32), area=np.float32([2000]),
            category_id=np.ones(1, np.int64), num_keypoints=np.ones(1, np.int64),
            iscrowd=0, invalid_segs=[],
            flip_indices=list(range(17)), flip_pairs=[], upper_body_ids=list(range(11)),
            lower_body_ids=list(range(11, 17)), hand_type=np.float32([[1, 0]]),
            rel_root_depth=np.float32([3]), lifting_target=rng.normal(size=(1, 17, 3)),
            camera_param=dict(), gt_label=np.int64(1), dataset=self,
        )  # fmt: skip


def people(*steps, **kwargs):
    return People(pipeline=list(steps), serialize_data=False, **kwargs)


def digest(value):
    """Of all numbers in a sample."""
    found = hashlib.md5()

    def add(thing):
        if isinstance(thing, dict):
            for key in sorted(thing, key=str):
                if key != 'dataset':
                    add(str(key)), add(thing[key])
        elif isinstance(thing, (list, tuple)):
            for each in thing:
                add(each)
        elif isinstance(thing, BaseDataElement):
            add(thing.to_dict()), add(thing.metainfo)
        elif hasattr(thing, 'getbands'):
            found.update(thing.tobytes())
        else:
            array = isinstance(thing, (np.ndarray, torch.Tensor))
            found.update(np.asarray(thing).tobytes() if array else repr(thing).encode())

    add(value)
    return found.hexdigest()


def digests(backwards=False):
    """Of the views of a person, by transform; the order they are asked for in must not matter."""
    found = {}
    for name, settings in listed().items():
        with DefaultScope.overwrite_default_scope(name.split('.')[0]):
            step = dict(copy.deepcopy(settings), type=name)
            before = BEFORE.get(name, [PIL] if 'torchvision' in name else [])
            fixed = FixedViews(people(*before, step), views=VIEWS, seed=5)
            views = range(VIEWS)[:: -1 if backwards else 1]
            each = {v: digest(fixed[1 + len(fixed) * v]) for v in views}
            found[name] = [each[v] for v in range(VIEWS)]
    return found


def listed():
    """The settings by full name: mmpretrain.torchvision/RandomCrop."""
    return {
        f'{scope}{"/" if "." in scope else "."}{name}': settings
        for scope, each in BUILT.items()
        for name, settings in each.items()
    }


def drawing(scope, registry):
    """The registered transforms whose source draws random numbers, but for those of tests."""
    for name, kind in registry.module_dict.items():
        if isinstance(kind, partial):  # MMPretrain's of torchvision's
            kind = kind.keywords['transform']
        if kind.__module__.startswith('test_'):
            continue
        bases = [base for base in getattr(kind, '__mro__', ()) if base not in (object, Module)]
        if any(DRAWS.search(inspect.getsource(base)) for base in bases):
            yield f'{scope}.{name}'


def test_every_stock_transform_that_draws_is_here():
    registries = dict(LIBRARIES, mmengine=MMENGINE_TRANSFORMS)
    found = {name for scope, each in registries.items() for name in drawing(scope, each)}
    assert found - set(SKIPPED) == set(listed()), found ^ set(listed())


@pytest.fixture(scope='module')
def here_and_there():
    """Digests of this process, and of another one that asks in another order."""
    environment = dict(os.environ, PYTHONHASHSEED='123')
    argv = [sys.executable, '-W', 'ignore', __file__]
    other = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
    random.seed(7), np.random.seed(8), torch.manual_seed(9)
    here = digests()
    return here, json.loads(other.communicate(timeout=120)[0].splitlines()[-1])


def test_every_transform_draws_the_same_in_two_processes(here_and_there):
    here, there = here_and_there
    assert not [name for name in here if here[name] != there[name]]
    # A seed that did nothing would pass above as well: views differ from each other.
    assert not [name for name in here if len(set(here[name])) < 2]


class Draws:
    """A data set that draws from all generators."""

    metainfo = dict(dataset_name='draws')
    pipeline = [dict(type='LoadImage')]

    def __init__(self, size=6):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), np.random.randn(), torch.rand(1).item()

    def __getitems__(self, indices):
        raise AssertionError('torch goes past the views')


def states():
    numpy = np.random.get_state()
    return random.getstate(), numpy[1].tolist(), numpy[2:], torch.get_rng_state().tolist()


def test_the_processs_own_random_numbers_stay():
    fixed = FixedViews(Draws(), views=3)
    np.random.randn()  # the second of a pair waits
    before = states()
    assert fixed[4] == fixed[4] != fixed[10] and fixed[4][0] == fixed[10][0] == 4
    assert states() == before

    def break_down(results):
        raise RuntimeError(random.random())

    with pytest.raises(RuntimeError):
        FixedViews(people(break_down), views=3)[0]
    assert states() == before
    assert FixedViews(Draws(), views=3, seed=1)[4] != fixed[4]
    assert len({fixed[i][1:] for i in range(18)}) == 18


def loaded(fixed, workers, epochs=3):
    """All samples of some epochs, as a run draws them."""
    loader = DataLoader(
        fixed, batch_size=4, sampler=ViewSampler(fixed, seed=3), num_workers=workers,
        persistent_workers=workers > 0, collate_fn=list,
    )  # fmt: skip
    batches = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        batches += [sample for batch in loader for sample in batch]
    return batches


def test_workers_make_no_difference():
    one = loaded(FixedViews(Draws(), views=2), 0)
    assert one == loaded(FixedViews(Draws(), views=2), 2)
    assert len(set(one)) == 12 and len(one) == 18


def test_each_epoch_its_own():
    fixed = FixedViews(Draws())
    seen = loaded(fixed, 0)
    assert len({sample[1:] for sample in seen}) == 18
    assert Counter(sample[0] for sample in seen) == {i: 3 for i in range(6)}


def sharded(monkeypatch, kind, rank, world, *args, **kwargs):
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world))
    return kind(*args, **kwargs)


def test_each_sample_once_an_epoch_and_all_views_over_epochs():
    fixed = FixedViews(Draws(40), views=4)
    sampler, seen, order = ViewSampler(fixed, seed=3), Counter(), DefaultSampler(fixed, seed=3)
    for epoch in range(8):
        sampler.set_epoch(epoch), order.set_epoch(epoch)
        drawn = list(sampler)
        assert [i % 40 for i in drawn] == list(order) and len(sampler) == 40
        assert len({i // 40 for i in drawn}) == 4  # an epoch has samples in all views
        seen.update(drawn)
        if epoch == 3:
            assert set(seen) == set(range(160))
    assert set(seen.values()) == {2}
    again = ViewSampler(fixed, seed=3)
    again.set_epoch(7)
    assert list(again) == drawn
    assert list(ViewSampler(fixed, seed=4)) != list(ViewSampler(fixed, seed=3))
    assert list(ViewSampler(fixed, shuffle=False, seed=0))[5] % 40 == 5


def test_ranks_share_an_epoch(monkeypatch):
    fixed = FixedViews(Draws(40), views=4)
    whole = list(ViewSampler(fixed, seed=3))
    halves = [list(sharded(monkeypatch, ViewSampler, r, 2, fixed, seed=3)) for r in range(2)]
    assert not set(halves[0]) & set(halves[1]) and set(halves[0] + halves[1]) == set(whole)


def take(sampler, count):
    it = iter(sampler)
    return [next(it) for _ in range(count)]


def test_by_iterations_passes_are_epochs(monkeypatch):
    fixed = FixedViews(Draws(10), views=2)
    stream = take(InfiniteViewSampler(fixed, seed=3), 40)
    assert [i % 10 for i in stream] == take(InfiniteSampler(fixed, seed=3), 40)
    assert set(stream[:20]) == set(stream[20:]) == set(range(20))
    later = InfiniteViewSampler(fixed, seed=3)
    later.skip(17)
    assert take(later, 23) == stream[17:]
    own = take(InfiniteViewSampler(FixedViews(Draws(4)), seed=0), 12)
    assert [i // 4 for i in own] == [0] * 4 + [1] * 4 + [2] * 4
    for rank in range(2):
        mine = sharded(monkeypatch, InfiniteViewSampler, rank, 2, fixed, seed=3)
        assert take(mine, 20) == stream[rank::2]


WRAPPERS = dict(
    repeat=lambda: RepeatDataset(people(FLIP), times=2),
    concat=lambda: ConcatDataset([people(FLIP), people()]),
    balanced=lambda: ClassBalancedDataset(people(FLIP), oversample_thr=1e-3),
    combined=lambda: CombinedDataset(
        dict(from_file='configs/_base_/datasets/coco.py'),
        [dict(type=People, pipeline=[FLIP], serialize_data=False)] * 2,
        sample_ratio_factor=[1.0, 0.5],
        lazy_init=True,
    ),
)


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_wrappers_belong_inside(wrapper):
    inner = WRAPPERS[wrapper]()
    fixed = FixedViews(inner, views=4)
    last = len(inner) - 1
    assert len(fixed) == len(inner) and digest(fixed.metainfo) == digest(inner.metainfo)
    np.random.seed(1)
    first = [digest(fixed[last + len(inner) * v]) for v in range(4)]
    info = digest(fixed.get_data_info(last))
    np.random.seed(2)
    assert first == [digest(fixed[last + len(inner) * v]) for v in range(4)]
    assert info == digest(fixed.get_data_info(last))
    if wrapper == 'balanced':
        assert fixed.get_cat_ids(last + len(inner)) == inner.get_cat_ids(last)


def test_mmpretrains_wrapper_belongs_inside():
    from mmpretrain.datasets import KFoldDataset

    fold = KFoldDataset(dict(type=People, serialize_data=False), num_splits=3)
    assert len(FixedViews(fold, views=2)) == 2


def test_it_is_the_data_set_otherwise():
    inner = Draws()
    fixed = FixedViews(inner, views=2)
    assert fixed.metainfo is inner.metainfo and colour_order(fixed) == 'bgr'
    fixed.pipeline = [dict(type='NumpyToPIL', to_rgb=True)]  # as MMPose's pipeline switch does
    assert inner.pipeline == fixed.pipeline and colour_order(fixed) == 'rgb'
    assert not hasattr(fixed, 'nothing') and not hasattr(fixed, '__getitems__')
    for twin in (copy.copy(fixed), copy.deepcopy(fixed), pickle.loads(pickle.dumps(fixed))):
        assert twin[7] == fixed[7]
    assert len(list(fixed)) == 6 and fixed[-1] == fixed[5]
    with pytest.raises(IndexError, match='index 12 of 6 samples in 2 views'):
        fixed[12]


@pytest.mark.parametrize('views', [0, -1])
def test_a_number_of_views_that_is_none(views):
    with pytest.raises(ValueError, match='FixedViews: views is'):
        FixedViews(Draws(), views=views)


@pytest.mark.parametrize(
    'settings, told',
    [
        (dict(views=True), 'views=True must be a whole number or None'),
        (dict(views='2'), "views='2' must be a whole number or None"),
        (dict(views=2.5), 'views=2.5 must be a whole number or None'),
        (dict(seed=None), 'seed=None must be a whole number'),
        (dict(seed=1.5), 'seed=1.5 must be a whole number'),
    ],
)
def test_settings_of_another_kind(settings, told):
    with pytest.raises(TypeError, match=f'^FixedViews: {told}$'):
        FixedViews(Draws(), **settings)
    assert len(FixedViews(Draws(), views=np.int64(2))) == len(Draws())


def test_generators_of_albumentations_own(monkeypatch):
    monkeypatch.setitem(sys.modules, 'albumentations', object())

    class Compose:  # of version 2
        def set_random_seed(self, seed):
            self.rng = np.random.default_rng(seed)

    class Albumentation:
        def __init__(self):
            self.aug = Compose()

        def __call__(self, results):
            return dict(drawn=self.aug.rng.random())

    inner = RepeatDataset(people(Albumentation()), times=2)
    fixed = FixedViews(inner, views=2)
    assert fixed[1] == fixed[1] != fixed[2] and fixed[1] != fixed[7]


def loader_of(sampler, dataset, **kwargs):
    return Runner.build_dataloader(
        dict(batch_size=2, num_workers=0, sampler=sampler, dataset=dataset, **kwargs), seed=3
    )


class Run:
    """As much of a runner as the exchange of a sampler looks at."""

    train_loop = None

    def __init__(self, loader):
        self.train_dataloader = loader


@pytest.mark.parametrize('kind', ['DefaultSampler', 'InfiniteSampler'])
def test_a_stock_sampler_is_exchanged_in_place(kind):
    loader = loader_of(dict(type=kind), FixedViews(Draws(), views=2))
    held = loader.sampler
    assert take_views(Run(loader)) is loader.dataset
    name = dict(DefaultSampler='ViewSampler', InfiniteSampler='InfiniteViewSampler')[kind]
    assert sampler_of(loader) is held and type(held).__name__ == name
    assert max(take(held, 6)) > 5 and take_views(Run(loader)) is loader.dataset
    stock = loader_of(dict(type=kind), FixedViews(Draws(), views=1))
    take_views(Run(stock))
    assert type(stock.sampler).__name__ == kind
    plain = loader_of(dict(type=kind), Draws())
    assert take_views(Run(plain)) is None and type(plain.sampler).__name__ == kind


def test_part_of_an_epoch():
    loader = loader_of(dict(type='DefaultSampler'), FixedViews(Draws(), views=2),
                       num_batch_per_epoch=2)  # fmt: skip
    assert take_views(Run(loader)) and len(list(loader)) == 2
    assert {i % 6 for i in loader.sampler} == {0, 1, 2, 3}


def test_samplers_and_wrappers_that_know_of_no_views():
    fixed = FixedViews(Draws(), views=2)
    with pytest.raises(ValueError, match='sampler is RepeatAugSampler, which would draw only the'):
        take_views(Run(loader_of(dict(type='mmpretrain.RepeatAugSampler'), fixed)))
    inside = ConcatDataset.__new__(ConcatDataset)
    inside.datasets = [fixed]
    with pytest.raises(ValueError, match='FixedViews is inside a ConcatDataset'):
        take_views(Run(SimpleNamespace(dataset=inside)))
    with pytest.raises(TypeError, match='for the data set FixedViews, not for Draws'):
        ViewSampler(Draws())


@pytest.mark.parametrize('scope', ['mmpose', 'mmpretrain'])
def test_a_config_names_it(scope):
    inner = dict(type=People, serialize_data=False, pipeline=[dict(FLIP)])
    wrapped = dict(type='RepeatDataset', times=2, dataset=inner)
    dataset = dict(type='classroomkd_mm.FixedViews', views=3, dataset=wrapped)
    with DefaultScope.overwrite_default_scope(scope):
        cfg = Config(dict(train_dataloader=dict(
            batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=dataset)))  # fmt: skip
        named = with_view_sampler(copy.deepcopy(cfg)).train_dataloader
        assert named.sampler == dict(type='classroomkd_mm.ViewSampler', shuffle=True)
        loader = Runner.build_dataloader(named, seed=0)
        assert isinstance(loader.sampler, ViewSampler) and len(DATASETS.build(dataset)) == 6
        cfg.train_dataloader.dataset.views = 1
        assert with_view_sampler(cfg).train_dataloader.sampler.type == 'DefaultSampler'
        cfg.train_dataloader.dataset = wrapped
        assert with_view_sampler(cfg).train_dataloader.sampler.type == 'DefaultSampler'
        assert 'train_dataloader' not in with_view_sampler(Config(dict(model=dict())))


if __name__ == '__main__':
    print(json.dumps(digests(backwards=True)))
