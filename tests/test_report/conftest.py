"""Two finished runs, of pose estimation and of classification, whose mentors lie in files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from classroomkd_mm.mentors import MentorSettings

CONFIGS = Path(__file__).parents[2] / 'configs'


def finish(cfg, folder):
    """Train a classroom for two epochs; each mentor has random weights of its own in a file."""
    folder.mkdir()
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for i, mentor in enumerate(cfg.model.get('mentors', [])):
            mentor.update(config=str(CONFIGS.parent / mentor.config), checkpoint=None)
            torch.manual_seed(i)
            network, _ = MentorSettings.of(mentor, i).build()
            mentor.checkpoint = str(folder / f'{i}.pth')
            torch.save(network.state_dict(), mentor.checkpoint)
        cfg.train_cfg.update(max_epochs=2, val_interval=1)
        cfg.default_hooks.logger.interval = 1
        cfg.work_dir = str(folder / 'classroom')
        cfg.visualizer.update(name=str(folder), vis_backends=[dict(type='LocalVisBackend')])
        Runner.from_cfg(Config(cfg.to_dict())).train()
    return folder / 'classroom'


@pytest.fixture(scope='session')
def quick():
    """Without yapf, see the fixture ``plain_configs``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))
        yield


@pytest.fixture(scope='session')
def pose_run(people, quick, tmp_path_factory):
    """The work dir of a pose classroom with three mentors."""
    cfg = Config.fromfile(CONFIGS / 'demo/classroom.py')
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=8, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{people}/'
    cfg.val_evaluator.ann_file = f'{people}/annotations/person_keypoints_val.json'
    return finish(cfg, tmp_path_factory.mktemp('pose') / 'run')


def idx(items):
    """Bytes of an IDX file."""
    header = bytes([0, 0, 8, items.ndim]) + b''.join(n.to_bytes(4, 'big') for n in items.shape)
    return header + items.astype(np.uint8).tobytes()


@pytest.fixture(scope='session')
def class_run(quick, tmp_path_factory):
    """The work dir of a classifier's classroom with four mentors; brightness is the class."""
    root = tmp_path_factory.mktemp('classes')
    (root / 'pictures').mkdir()
    for split in ('train', 't10k'):
        labels = np.arange(48) % 10
        noise = np.random.default_rng(0).integers(0, 20, (48, 28, 28))
        items = dict(images=noise + labels[:, None, None] * 25, labels=labels)
        for kind, values in items.items():
            name = f'{split}-{kind}-idx{values.ndim}-ubyte'
            (root / 'pictures' / name).write_bytes(idx(values))
    cfg = Config.fromfile(CONFIGS / 'cls/fashion_mnist/classroom.py')
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(root / 'pictures')
    cfg.train_dataloader.update(batch_size=16)
    cfg.train_dataloader.dataset.indices = 48
    return finish(cfg, root / 'run')
