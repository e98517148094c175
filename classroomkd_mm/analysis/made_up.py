"""Samples that nobody photographed: what a config's own targets and preprocessor take.

They show whether a network learns or teaches at all, without its data set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope
from torch import nn
from torch.nn import init
from torch.nn.modules.conv import _ConvNd
from torch.utils.data import Dataset

from ..datasets.wrappers import get, inner_sets
from ..tasks.classification.networks import made_for, num_classes, own_pictures
from ..tasks.pose.keypoints import metainfo_in_config
from ..tasks.pose.readouts import keypoint_head

TARGETS = ('GenerateTarget', 'PackPoseInputs')
SIZE = (224, 224)  # of a classifier's pictures, where neither data nor network say


@contextmanager
def built_in_no_time() -> Iterator[None]:
    """Let layers be built without numbers in their largest weights; :func:`fill` makes up for it.

    So a network that is too large to be asked takes neither the time nor, page by page, the memory.
    """
    own = init.kaiming_uniform_
    init.kaiming_uniform_ = lambda tensor, *args, **kwargs: tensor
    try:
        yield
    finally:
        init.kaiming_uniform_ = own


def fill(network: nn.Module) -> None:
    """Give the layers of a network that was :func:`built_in_no_time` their random numbers."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, _ConvNd)):
            module.reset_parameters()


class MadeUp(Dataset):
    """A few packed samples, as a map-style data set.

    Args:
        samples: As a pipeline packs them.
        metainfo: What the data set says of itself.
        pipeline: What pictures go through, for whoever asks in which order colours arrive.
    """

    def __init__(
        self,
        samples: Sequence[dict[str, Any]],
        metainfo: Mapping[str, Any],
        pipeline: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.samples = samples
        self.metainfo = metainfo
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.samples[index]


def made_up(cfg: Config, network: nn.Module, count: int = 2, seed: int = 0) -> MadeUp:
    """Samples of noise for the network of a whole config, with targets by its own codec.

    Args:
        cfg: Whole: its training data say which targets and whose keypoints.
        network: Built from it.
        count: How many samples.
        seed: Of the noise.

    Raises:
        ValueError: Where the config has no training data to make targets like.
    """
    generator = np.random.default_rng(seed)
    outer = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    steps = [*(get(next(inner_sets(outer)), 'pipeline') or ()), *(get(outer, 'pipeline') or ())]
    if cfg.get('default_scope') == 'mmpose':
        samples = _people(steps, network, count, generator)
        names = {i: f'keypoint {i}' for i in range(keypoint_head(network).out_channels)}
        nameless = dict(dataset_name='made up', keypoint_id2name=names)
        return MadeUp(samples, metainfo_in_config(cfg, 'the config') or nameless, steps)
    size = own_pictures(cfg) or made_for(network, cfg) or _cropped_to(steps) or SIZE
    return MadeUp(_pictures(size, network, count, generator), {}, steps)


def _people(
    steps: Sequence[Mapping[str, Any]],
    network: nn.Module,
    count: int,
    generator: np.random.Generator,
) -> list[dict[str, Any]]:
    head = keypoint_head(network)
    wanted = {str(step['type']).split('.')[-1]: step for step in steps}
    if not set(TARGETS) <= set(wanted):
        raise ValueError(f'its training data have no {" and ".join(TARGETS)}')
    with DefaultScope.overwrite_default_scope('mmpose'):
        targets = [TRANSFORMS.build(wanted[name]) for name in TARGETS]
    samples = []
    for _ in range(count):
        results = _person(head.out_channels, head.decoder.input_size, generator)
        for step in targets:
            results = step(results)
        samples.append(results)
    return samples


def _person(
    keypoints: int, size: tuple[int, int], generator: np.random.Generator
) -> dict[str, Any]:
    """A person that fills a crop of noise, as a pipeline has it before its targets are made."""
    width, height = (int(side) for side in size)
    extent = np.array([[width, height]], np.float32)
    places = generator.uniform(0.1, 0.9, (1, keypoints, 2)).astype(np.float32) * extent
    return dict(
        img=generator.integers(0, 256, (height, width, 3), np.uint8),
        img_shape=(height, width),
        ori_shape=(height, width),
        input_size=(width, height),
        input_center=extent[0] / 2,
        input_scale=extent[0],
        bbox=np.concatenate([extent * 0, extent], axis=1),
        bbox_center=extent / 2,
        bbox_scale=extent,
        bbox_score=np.ones(1, np.float32),
        keypoints=places,
        transformed_keypoints=places,
        keypoints_visible=np.ones((1, keypoints), np.float32),
        dataset_keypoint_weights=np.ones(keypoints, np.float32),
        flip_indices=list(range(keypoints)),
        raw_ann_info=dict(area=0.5 * width * height),
        id=0,
        img_id=0,
        category_id=1,
    )


def _cropped_to(steps: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """The size of CIFAR's pictures, which are only cropped; None where nothing says a size."""
    sizes = [step.get('crop_size') for step in steps if 'crop_size' in step]
    return (sizes[-1], sizes[-1]) if sizes and isinstance(sizes[-1], int) else None


def _pictures(
    size: tuple[int, int], network: nn.Module, count: int, generator: np.random.Generator
) -> list[dict[str, Any]]:
    from mmpretrain.structures import DataSample

    mean = getattr(network.data_preprocessor, 'mean', None)
    channels = 3 if mean is None else len(mean)
    samples = []
    for i in range(count):
        picture = torch.from_numpy(generator.integers(0, 256, (channels, *size), np.uint8))
        label = DataSample().set_gt_label(i % (num_classes(network) or 1))
        samples.append(dict(inputs=picture, data_samples=label))
    return samples
