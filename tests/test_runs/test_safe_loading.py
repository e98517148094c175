"""A checkpoint that carries code runs none of it, whichever way it comes in."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint

from classroomkd_mm.__main__ import main
from classroomkd_mm.mentors.harmless import CAN_ALLOW
from classroomkd_mm.runs import loading_safely

pytestmark = pytest.mark.skipif(not CAN_ALLOW, reason='torch before 2.5 cannot be told')


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def alone(demo_config, tmp_path):
    """A stock student's run of one epoch, and a classroom's."""

    def load(name='alone'):
        cfg = demo_config(name)
        cfg.train_cfg.update(max_epochs=1, val_interval=9)
        cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
        cfg.experiment_name = cfg.visualizer.name = f'{tmp_path.name}_{os.urandom(4).hex()}'
        return Config(cfg.to_dict())

    return load


def train(cfg, folder, *more):
    """By ``load_from``, ``init_cfg``, a mentor's ``checkpoint``: whatever the config names."""
    cfg.dump(str(folder / 'run.py'))
    return 'train', folder / 'run.py', '--work-dir', folder / 'w', '--no-validate', *more


def by_load_from(alone, bomb, folder):
    return train(dict_with(alone(), load_from=str(bomb)), folder)


def by_load_from_of_a_classroom(alone, bomb, folder):
    return train(dict_with(alone('classroom'), load_from=str(bomb)), folder)


def by_resume(alone, bomb, folder):
    return train(alone(), folder, '--resume', bomb)


def by_the_newest(alone, bomb, folder):
    (folder / 'w').mkdir()
    (folder / 'w/last_checkpoint').write_text(str(bomb))
    return train(alone(), folder, '--resume')


def by_init_cfg(alone, bomb, folder):
    cfg = alone()
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(bomb))
    return train(cfg, folder)


def by_a_mentor(alone, bomb, folder):
    cfg = alone('classroom')
    cfg.model.mentors[0].checkpoint = str(bomb)
    return train(cfg, folder)


def by_test(alone, bomb, folder):
    alone().dump(str(folder / 'run.py'))
    return 'test', folder / 'run.py', bomb, '--work-dir', folder / 'w'


def by_extract(alone, bomb, folder):
    return 'extract', bomb, folder / 'clean.pth'


def by_convert(alone, bomb, folder):
    return 'convert', 'resnet8', bomb, folder / 'converted.pth'


def dict_with(cfg, **more):
    cfg.update(more)
    return cfg


WAYS = [by_load_from, by_load_from_of_a_classroom, by_resume, by_the_newest, by_init_cfg,
        by_a_mentor, by_test, by_extract, by_convert]  # fmt: skip


@pytest.mark.parametrize('way', WAYS, ids=lambda way: way.__name__)
def test_no_way_in_runs_code(alone, tmp_path, monkeypatch, capsys, way):
    monkeypatch.setenv('LOCAL_RANK', '0')
    bomb, created = tmp_path / 'bomb.pth', tmp_path / 'created'
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), x=Bomb(str(created))), bomb)
    try:
        status = main(list(map(str, way(alone, bomb, tmp_path))))
        said = capsys.readouterr().err
    except SystemExit as ended:
        status, said = ended.code, str(ended.code)
    assert not created.exists()
    assert status and 'cannot be read as a checkpoint without running posix.mkdir' in said


def test_without_it_mmengine_runs_what_a_file_carries(tmp_path):
    """Were this not so any more, :func:`loading_safely` could go."""
    created = tmp_path / 'created'
    torch.save(dict(x=Bomb(str(created))), tmp_path / 'bomb.pth')
    mmengine_checkpoint._load_checkpoint(str(tmp_path / 'bomb.pth'))
    assert created.exists()


def test_a_runners_file_is_read_whole(alone, train_once, tmp_path):
    """With its log histories, as MMEngine reads it itself."""
    path = str(train_once)
    stock = mmengine_checkpoint._load_checkpoint(path, map_location='cpu')
    with loading_safely():
        ours = mmengine_checkpoint._load_checkpoint(path, map_location='cpu')
    assert ours.keys() == stock.keys()
    one, other = (each['message_hub']['log_scalars'] for each in (ours, stock))
    assert one.keys() == other.keys() and one
    for name, history in one.items():
        assert isinstance(history, HistoryBuffer)
        for a, b in zip(history.data, other[name].data):
            assert a.dtype == b.dtype and (a == b).all()
        assert history.max_length == other[name].max_length
        assert history.statistics('mean', 2) == other[name].statistics('mean', 2)
    for name, value in stock['state_dict'].items():
        assert torch.equal(value, ours['state_dict'][name])
    assert ours['state_dict']._metadata == stock['state_dict']._metadata


@pytest.fixture
def train_once(alone, train):
    cfg = alone()
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    return Path(train(cfg).work_dir) / 'epoch_1.pth'


def test_an_mmengine_without_a_reader_of_its_own_is_left_as_it_is(monkeypatch):
    """Upstream's: a training must not end for it."""
    monkeypatch.delattr('mmengine.runner.checkpoint._safe_torch_load')
    with loading_safely():
        pass
