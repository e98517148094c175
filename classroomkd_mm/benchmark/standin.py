"""A rehearsal of a benchmark: every run for two epochs on stand-in data, weights at random.

Shows that all its configs build, train and evaluate, that checkpoints are found where they are
waited for and that the table is filled. Its figures say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

from ..datasets import make_synthetic_people

PICTURES = dict(train=6, val=4, test=4)
BATCH, CLASSES = 3, 10
SIZES = dict(CIFAR10=32, CIFAR100=32, FashionMNIST=28, MNIST=28, ImageNet=256, CustomDataset=256)
GREY = ('FashionMNIST', 'MNIST')
UNLABELLED = '_pictures'  # of a list without classes
LOADERS = ('train', 'val', 'test')

Settings = dict[str, Any]


@dataclass(frozen=True)
class StandIn:
    """What takes the data's place.

    Attributes:
        root: Folder of the drawn pictures, and of memories of mentors' answers.
        epochs: How long each run trains.
    """

    root: str
    epochs: int = 2

    def make(self) -> None:
        """Draw the pictures, unless they are there."""
        people = Path(self.root) / 'people'
        if not people.is_dir():
            make_synthetic_people(str(people), PICTURES, progress=False)
        for kind, size in SIZES.items():
            _draw(Path(self.root) / kind, size, kind in GREY)


def _draw(folder: Path, size: int, grey: bool) -> None:
    """Pictures of classes 0 to 9, brighter ones of a higher class, and their lists."""
    rng = np.random.default_rng(0)
    for split, count in PICTURES.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        listed = []
        for i in range(count):
            shape = (size, size) if grey else (size, size, 3)
            picture = rng.integers(0, 25, shape) + 25 * (i % CLASSES)
            cv2.imwrite(str(folder / split / f'{i}.png'), picture.astype(np.uint8))
            listed.append(f'{i}.png {i % CLASSES}')
        (folder / f'{split}.txt').write_text('\n'.join(listed))
        names = (each.split()[0] for each in listed)
        (folder / f'{split}{UNLABELLED}.txt').write_text('\n'.join(names))


def stand_in(cfg: Config, by: StandIn) -> Config:
    """The config on stand-in data for a few epochs, with random weights where others are published.

    Raises:
        ValueError: For a kind of data set that nothing here can take the place of.
    """
    made: Settings = cfg.to_dict()
    for split in LOADERS:
        loader = made[f'{split}_dataloader']
        loader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
        loader.pop('prefetch_factor', None)
        loader['dataset'] = _dataset(loader['dataset'], split, by)
    for split in ('val', 'test'):
        made[f'{split}_evaluator'] = _evaluator(made[f'{split}_evaluator'], split, by)
    made['train_cfg'].update(max_epochs=by.epochs, val_interval=by.epochs)
    checkpoint = made.setdefault('default_hooks', {}).setdefault('checkpoint', {})
    checkpoint.update(type='CheckpointHook', interval=1)
    made['model'] = _unpublished(made['model'], by)
    return Config(made, filename=cfg.filename)


def _dataset(said: Settings, split: str, by: StandIn) -> Settings:
    """A data set of the same kind, its pictures drawn."""
    if 'dataset' in said and 'pipeline' not in said:
        return {**said, 'dataset': _dataset(said['dataset'], split, by)}
    if 'datasets' in said:
        return {**said, 'datasets': [_dataset(each, split, by) for each in said['datasets']]}
    kind = said['type'].split('.')[-1]
    if kind in ('CocoDataset', 'MpiiDataset'):
        return _people(said, kind, split, by)
    if kind in SIZES:
        return _classes(said, kind, split, by)
    raise ValueError(f'no stand-in for a data set of type {kind}')


def _people(said: Settings, kind: str, split: str, by: StandIn) -> Settings:
    root = Path(by.root) / 'people'
    coco = kind == 'CocoDataset'
    left = ('indices', 'bbox_file', 'headbox_file')
    made = {key: value for key, value in said.items() if key not in left}
    name = (
        f'annotations/person_keypoints_{split}.json' if coco else f'annotations/mpii_{split}.json'
    )
    made.update(data_root=f'{root}/', ann_file=name, data_prefix=dict(img=f'{split}/'))
    if 'headbox_file' in said:
        made.update(headbox_file=f'{root}/annotations/mpii_gt_{split}.mat')
    return made


def _classes(said: Settings, kind: str, split: str, by: StandIn) -> Settings:
    folder = Path(by.root) / kind
    pipeline = list(said['pipeline'])
    if not pipeline[0]['type'].endswith('LoadImageFromFile'):
        colour = 'grayscale' if kind in GREY else 'color'
        pipeline.insert(0, dict(type='LoadImageFromFile', color_type=colour))
    labels = said.get('with_label', True)
    return dict(
        type='CustomDataset',
        data_root=str(folder),
        ann_file=f'{split}.txt' if labels else f'{split}{UNLABELLED}.txt',
        with_label=labels,
        data_prefix=split,
        pipeline=pipeline,
        test_mode=split != 'train',
    )


def _evaluator(said: Any, split: str, by: StandIn) -> Any:
    """An evaluator that knows the drawn people."""
    if isinstance(said, (list, tuple)):
        return [_evaluator(one, split, by) for one in said]
    if 'ann_file' not in said:
        return said
    return {**said, 'ann_file': f'{by.root}/people/annotations/person_keypoints_{split}.json'}


def _unpublished(model: Any, by: StandIn) -> Any:
    """A model without published weights and with its memory elsewhere; files of ours stay."""
    change: dict[str, Callable[[Any], Any]] = dict(
        init_cfg=lambda given: given if _trained_here(given, by) else None,
        memory=lambda given: given and {**given, 'dir': f'{by.root}/memory'},
    )
    if isinstance(model, (list, tuple)):
        return [_unpublished(one, by) for one in model]
    if not isinstance(model, Mapping):
        return model
    made = {
        key: change[key](value) if key in change else _unpublished(value, by)
        for key, value in model.items()
    }
    if 'name' in made and ('zoo' in made or 'config' in made):  # a mentor
        made.update({} if _trained_here(made, by) else dict(checkpoint=None))
    if made.get('pretrained') is True:
        made['pretrained'] = False
    return made


def _trained_here(said: Any, by: StandIn) -> bool:
    """Whether the weights that a setting names are of this rehearsal."""
    if not isinstance(said, Mapping):
        return False
    return str(said.get('checkpoint', '')).startswith(str(Path(by.root).parent))
