"""What stands in for mmdet behaves as mmdet documents it."""

import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from classroomkd_mm import standins
from classroomkd_mm.compat import PROVIDED
from classroomkd_mm.standins import PipelineSwitchHook, YOLOXHSVRandomAug

# Colours


def picture(*bgr):
    return np.full((4, 6, 3), bgr, dtype=np.uint8)


def hsv(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[0, 0].tolist()


def shifted(image, *steps):
    augment = YOLOXHSVRandomAug()
    augment._steps = lambda: list(steps)
    return augment.transform(dict(img=image))['img']


def test_its_deltas_are_5_30_and_30_unless_others_are_given():
    assert YOLOXHSVRandomAug().deltas == (5, 30, 30)
    augment = YOLOXHSVRandomAug(hue_delta=1, saturation_delta=2, value_delta=3)
    assert augment.deltas == (1, 2, 3)
    assert repr(augment) == 'YOLOXHSVRandomAug(hue_delta=1, saturation_delta=2, value_delta=3)'


def test_each_channel_is_shifted_half_of_the_time_evenly_and_alone():
    augment, draws = YOLOXHSVRandomAug(hue_delta=50, saturation_delta=500, value_delta=5000), 4000
    np.random.seed(0)
    steps = np.array([augment._steps() for _ in range(draws)])
    shares = (steps != 0).mean(0)  # less than 1/2 by what is rounded to 0
    np.testing.assert_allclose(shares, 0.5 * (1 - 1 / np.array([50, 500, 5000])), atol=0.025)
    assert ((steps != 0).all(1)).mean() == pytest.approx(1 / 8, abs=0.02)
    for channel, delta in zip(steps.T, (50, 500, 5000)):
        drawn = channel[channel != 0]
        assert abs(drawn).max() < delta and abs(drawn).max() > 0.95 * delta
        quarters = np.histogram(drawn, bins=4, range=(-delta, delta))[0] / len(drawn)
        np.testing.assert_allclose(quarters, 0.25, atol=0.04)


def test_hue_goes_round_the_circle_and_the_others_stop_at_its_ends():
    red = picture(0, 0, 255)
    assert hsv(red) == [0, 255, 255]
    assert hsv(shifted(red, -5, 0, 0)) == [175, 255, 255]
    assert hsv(shifted(red, 179, 30, 30)) == [179, 255, 255]
    assert hsv(shifted(picture(10, 0, 255), 5, 0, 0))[0] == 4  # 179 + 5, once round
    assert hsv(shifted(red, 0, -30, -100)) == [0, 225, 155]
    black = picture(0, 0, 0)
    assert (shifted(black, 4, 30, -30) == 0).all()
    assert hsv(shifted(picture(100, 100, 100), 0, -30, 0)) == [0, 0, 100]


def test_every_colour_is_shifted_as_one_by_one():
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
    before = image.copy()
    moved = shifted(image, -3, 20, -7)
    h, s, v = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(int).transpose(2, 0, 1)
    want = np.stack([(h - 3) % 180, np.minimum(s + 20, 255), np.maximum(v - 7, 0)], -1)
    np.testing.assert_array_equal(moved, cv2.cvtColor(want.astype(np.uint8), cv2.COLOR_HSV2BGR))
    assert moved.dtype == np.uint8 and moved.shape == image.shape
    np.testing.assert_array_equal(image, before)  # others may hold the same picture


def test_it_is_built_by_mmdets_name_and_follows_the_seed():
    pipeline = Compose([dict(type='mmdet.YOLOXHSVRandomAug')])
    image, made = picture(40, 90, 200), []
    for seed in (0, 0, 1):
        np.random.seed(seed)
        made.append(np.stack([pipeline(dict(img=image))['img'] for _ in range(8)]))
    assert (made[0] == made[1]).all() and (made[0] != made[2]).any()


def test_a_picture_that_is_not_uint8_is_refused():
    with pytest.raises(TypeError, match='float32, it must be uint8'):
        YOLOXHSVRandomAug().transform(dict(img=np.zeros((2, 2, 3), np.float32)))


def test_the_network_is_mmposes_own():
    if 'mmdet.CSPNeXt' not in PROVIDED:
        pytest.skip('mmdet is installed here and is used')
    cfg = dict(type='CSPNeXt', deepen_factor=0.167, widen_factor=0.125, norm_cfg=dict(type='BN'))
    theirs, ours = MODELS.build(dict(cfg, _scope_='mmdet')), MODELS.build(dict(cfg))
    assert type(theirs) is type(ours) and theirs.state_dict().keys() == ours.state_dict().keys()


# The second stage


@TRANSFORMS.register_module(force=True)
class Stamp:
    """Writes which stage, and whose process, a sample comes from."""

    def __init__(self, stage):
        self.stage = stage

    def __call__(self, results):
        return torch.tensor([self.stage, os.getpid(), results['index']])


class Numbers(Dataset):
    metainfo = {}

    def __init__(self, pipeline):
        self.pipeline = Compose(pipeline)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.pipeline(dict(index=index))


DATASETS.register_module(module=Numbers, force=True)


class Listener(BaseModel):
    """Learns nothing, and remembers the batches of each epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.heard = []

    def train_step(self, data, optim_wrapper):
        self.heard.append(data)
        return dict(loss=torch.zeros(()))

    def forward(self, inputs, mode='loss'):
        raise NotImplementedError

    def epochs(self):
        """(stages, processes) of each epoch's two batches."""
        both = [torch.cat(self.heard[i : i + 2]) for i in range(0, len(self.heard), 2)]
        return [(set(e[:, 0].tolist()), set(e[:, 1].tolist())) for e in both]


def run(folder, epochs, workers=0, resume=False, dataset=None):
    torch.manual_seed(0)
    model = Listener()
    stages = [[dict(type='Stamp', stage=stage)] for stage in (1, 2)]
    Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=2,
            num_workers=workers,
            persistent_workers=workers > 0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dataset or dict(type='Numbers', pipeline=stages[0]),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[
            dict(type='mmdet.PipelineSwitchHook', switch_epoch=2, switch_pipeline=stages[1])
        ],
        resume=resume,
        experiment_name=f'switch_{os.urandom(4).hex()}',
    ).train()
    return model.epochs()


@pytest.mark.parametrize('workers', [0, 1])
def test_the_pipeline_is_exchanged_once_at_its_epoch(tmp_path, workers):
    epochs = run(tmp_path, 4, workers)
    assert [stages for stages, _ in epochs] == [{1}, {1}, {2}, {2}]
    processes = [process for _, process in epochs]
    if workers:  # they live on, but for the one exchange
        assert processes[0] == processes[1] and processes[2] == processes[3]
        assert processes[1] != processes[2]


@pytest.mark.parametrize('workers', [0, 1])
def test_a_run_resumed_in_its_second_stage_is_in_it(tmp_path, workers):
    run(tmp_path, 3, workers)
    assert [stages for stages, _ in run(tmp_path, 5, workers, resume=True)] == [{2}, {2}]


def test_a_wrapped_data_set_is_found(tmp_path):
    numbers = dict(type='Numbers', pipeline=[dict(type='Stamp', stage=1)])

    class Wrapper(Dataset):
        metainfo = {}

        def __init__(self):
            self.dataset = DATASETS.build(numbers)

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            return self.dataset[index]

    assert [s for s, _ in run(tmp_path, 3, dataset=Wrapper())] == [{1}, {1}, {2}]
    found = standins._with_pipeline(type('Both', (), dict(datasets=[Wrapper(), Wrapper()]))())
    assert [type(each) for each in found] == [Numbers, Numbers]


def test_data_without_a_pipeline_are_refused_in_that_epoch_only():
    hook = PipelineSwitchHook(switch_epoch=1, switch_pipeline=[])
    loader = type('Loader', (), dict(dataset=[1, 2]))
    hook.before_train_epoch(type('Runner', (), dict(epoch=0, train_dataloader=loader)))
    with pytest.raises(TypeError, match=r'the training data \(list\) have no pipeline'):
        hook.before_train_epoch(type('Runner', (), dict(epoch=1, train_dataloader=loader)))


def test_the_hook_is_built_by_mmdets_name():
    cfg = dict(type='mmdet.PipelineSwitchHook', switch_epoch=7, switch_pipeline=[])
    assert HOOKS.build(cfg).switch_epoch == 7
