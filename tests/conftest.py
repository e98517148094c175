"""Shared by all tests: one thread, MMPose's scope, a small real data set and small real runs."""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')

import copy
import gc
import gzip
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fresh import FreshPython
from hypothesis import Phase, settings
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from oldest import skip_on_the_oldest
from quick import ended_workers, reading_once

import classroomkd_mm  # noqa: F401
from classroomkd_mm.datasets import make_synthetic_people
from classroomkd_mm.mentors import MentorSettings

torch.set_num_threads(1)
torch.backends.cudnn.deterministic = True  # on a GPU the same bits twice, as on a CPU
CONFIGS = Path(__file__).parents[1] / 'configs'
Config.fromfile = staticmethod(reading_once(Config.fromfile))

# For faults that are made on purpose (make test-mutation): each time the same examples, and none
# made smaller once it fails.
settings.register_profile(
    'mutation', derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)


def pytest_collection_modifyitems(items):
    skip_on_the_oldest(items)


def pytest_collection_finish(session):
    """What the imports have made is no garbage: nobody need look at it again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def default_scope(request):
    """Run each test in a library's default scope, as a run with one of its configs is.

    MMPose's, or the one that the test module names as ``SCOPE``.
    """
    scope = getattr(request.module, 'SCOPE', 'mmpose')
    with DefaultScope.overwrite_default_scope(scope):
        yield


@pytest.fixture(autouse=True)
def plain_configs(monkeypatch):
    """Without yapf, with which MMEngine lays out the whole config anew for each checkpoint.

    That takes most of the time of a run as short as a test's.
    """
    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))


@pytest.fixture(autouse=True)
def own_logs():
    """No test writes to the log or the figures of an earlier one, whose folder is deleted."""
    _forget_logs()
    yield
    _forget_logs()


def _forget_logs():
    for kind in (MMLogger, *_kinds_of(Visualizer)):
        kind._instance_dict.clear()


def _kinds_of(parent):
    return [parent, *(kind for each in parent.__subclasses__() for kind in _kinds_of(each))]


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    """MMEngine collects the garbage of the whole process for each data set that it builds."""
    monkeypatch.setattr('mmengine.dataset.base_dataset.gc', SimpleNamespace(collect=lambda: 0))


@pytest.fixture(autouse=True)
def no_lasting_workers(monkeypatch):
    yield from ended_workers(monkeypatch)


@pytest.fixture(scope='session')
def fresh_python():
    """``fresh_python(code, folder)``: in a process of its own, see :mod:`fresh`."""
    python = FreshPython()
    yield python
    python.close()


@pytest.fixture(scope='session')
def people(tmp_path_factory):
    """A few pictures in the embedded data set's layout."""
    return make_synthetic_people(
        str(tmp_path_factory.mktemp('data') / 'people'),
        dict(train=24, val=8, test=8),
        progress=False,
    )


@pytest.fixture
def demo_config(people, tmp_path):
    """``demo_config(name)``: a demo config on the few pictures, without workers."""

    def load(name):
        cfg = Config.fromfile(CONFIGS / 'demo' / f'{name}.py')
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            cfg[loader].update(batch_size=8, num_workers=0, persistent_workers=False)
            cfg[loader].dataset.data_root = f'{people}/'
        for split in ('val', 'test'):
            cfg[
                f'{split}_evaluator'
            ].ann_file = f'{people}/annotations/person_keypoints_{split}.json'
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        cfg.default_hooks.checkpoint.max_keep_ckpts = -1
        for mentor in cfg.model.get('mentors', []):
            mentor.update(config=str(CONFIGS.parent / mentor.config), checkpoint=None)
        cfg.work_dir = str(tmp_path / name)
        return cfg

    return load


@pytest.fixture
def remembering(demo_config, tmp_path):
    """A demo classroom with a memory: two views, and mentors with weights in files.

    Everybody teaches (AVER): random networks would be filtered out.
    """
    cfg = demo_config('aver')
    cfg.train_dataloader.dataset = dict(
        type='classroomkd_mm.FixedViews', views=2, dataset=cfg.train_dataloader.dataset
    )
    for i, mentor in enumerate(cfg.model.mentors):
        torch.manual_seed(i)
        network, _ = MentorSettings.of(mentor, i).build()
        mentor.checkpoint = str(tmp_path / f'{mentor.name}.pth')
        torch.save(network.state_dict(), mentor.checkpoint)
    cfg.model.memory = dict(dir=str(tmp_path / 'memory'))
    cfg.model.distill_loss.loss_weight = 1.0
    cfg.default_hooks.logger.interval = 1
    return Config(cfg.to_dict())


@pytest.fixture
def train():
    """``train(cfg, resume=False)``: run a copy of a config through MMEngine's runner."""

    def run(cfg, **overrides):
        cfg = copy.deepcopy(cfg)
        cfg.update(overrides)
        cfg.experiment_name = f'{os.path.basename(cfg.work_dir)}_{os.urandom(4).hex()}'
        # Visualisers are global by name: a run of its own name writes to its own work dir.
        cfg.visualizer.name = cfg.experiment_name
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


@pytest.fixture
def tool(monkeypatch):
    """``tool(name)``: tools/NAME.py as a module, for the scripts that have logic of their own.

    Until the test ends it is importable, by another tool as well.
    """

    def load(name):
        spec = spec_from_file_location(name, CONFIGS.parent / f'tools/{name}.py')
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def idx(items):
    """Bytes of an IDX file."""
    header = bytes([0, 0, 8, items.ndim]) + b''.join(n.to_bytes(4, 'big') for n in items.shape)
    return header + items.astype(np.uint8).tobytes()


@pytest.fixture
def prepare_fashion_mnist(tool):
    return tool('prepare_fashion_mnist')


@pytest.fixture
def pictures(prepare_fashion_mnist, tmp_path, monkeypatch):
    """Files like Fashion-MNIST's, prepared by the tool: brightness is the class."""
    monkeypatch.setattr(prepare_fashion_mnist, 'VALIDATION', slice(48, 64))
    source = tmp_path / 'source'
    source.mkdir()
    for split, count in (('train', 64), ('t10k', 16)):
        labels = np.arange(count) % 10
        noise = np.random.default_rng(count).integers(0, 20, (count, 28, 28))
        for kind, items in (
            ('images-idx3', noise + labels[:, None, None] * 25),
            ('labels-idx1', labels),
        ):
            with gzip.open(source / f'{split}-{kind}-ubyte.gz', 'wb') as file:
                file.write(idx(items))
    prepare_fashion_mnist.main(['--source', str(source), '--out', str(tmp_path / 'data')])
    return tmp_path / 'data'


@pytest.fixture
def fashion(pictures, tmp_path):
    """``fashion(name)``: a Fashion-MNIST config on the few pictures."""

    def load(name):
        cfg = Config.fromfile(CONFIGS / f'cls/fashion_mnist/{name}.py')
        for split, folder in (('train', 'official'), ('val', 'val'), ('test', 'official')):
            cfg[f'{split}_dataloader'].dataset.data_root = str(pictures / folder)
        cfg.train_dataloader.update(batch_size=16)
        cfg.train_dataloader.dataset.indices = 48
        cfg.train_cfg.update(max_epochs=2, val_interval=2)
        for mentor in cfg.model.get('mentors', []):
            mentor.update(config=str(CONFIGS.parent / mentor.config), checkpoint=None)
        cfg.work_dir = str(tmp_path / name)
        return cfg

    return load


@pytest.fixture
def packed():
    """``packed(samples=3)``: samples of 48x64 crops with all that an OKSScorer asks for."""
    from mmpose.testing import get_packed_inputs

    def make(samples=3):
        data = get_packed_inputs(
            samples, num_instances=1, num_keypoints=17, img_shape=(64, 48), input_size=(48, 64),
            heatmap_size=(24, 32), simcc_split_ratio=2.0, with_heatmap=True, with_simcc_label=True,
        )  # fmt: skip
        for sample in data['data_samples']:
            sample.set_metainfo(
                dict(
                    dataset_name='coco',
                    raw_ann_info=dict(area=900.0),
                    input_size=(48, 64),
                    input_scale=np.array([48.0, 64.0]),
                    input_center=np.array([24.0, 32.0]),
                )
            )
        return data

    return make


@pytest.fixture
def peaks():
    """``peaks(points, height, width)``: Gaussian heatmaps ``(K, height, width)``.

    Around points ``(K, 2)`` in heatmap pixels.
    """

    def make(points, height, width):
        x = torch.exp(-((torch.arange(width) - points[:, :1]) ** 2) / 8)
        y = torch.exp(-((torch.arange(height) - points[:, 1:]) ** 2) / 8)
        return y[:, :, None] * x[:, None]

    return make
