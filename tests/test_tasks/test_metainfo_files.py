"""Where a pose mentor's config names its keypoints in a file."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmpose.datasets import CocoDataset

from classroomkd_mm.tasks.pose.keypoints import Keypoints, metainfo_in_config, names_in_config

FILE = 'configs/_base_/datasets/ours.py'
INFO = """dataset_info = dict(
    dataset_name='ours', skeleton_info={}, joint_weights=[1.0, 1.0], sigmas=[0.1, 0.1],
    keypoint_info={0: dict(name='NAME', id=0, color=[0, 0, 0], type='', swap=''),
                   1: dict(name='tail', id=1, color=[0, 0, 0], type='', swap='')})
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config of another repository, the working directory being elsewhere."""
    path = tmp_path / 'theirs/configs/net/a.py'
    path.parent.mkdir(parents=True)
    path.write_text(f"train_dataloader = dict(dataset=dict(metainfo=dict(from_file='{FILE}')))")
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    return Config.fromfile(path)


def put(path, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(INFO.replace('NAME', name))


def test_it_is_found_beside_the_config_then_above_then_here(config, tmp_path):
    here, beside = Path(config.filename).parent, Path(config.filename).parent / FILE
    for folder, name in ((tmp_path / 'here', 'here'), (tmp_path / 'theirs', 'above'), (here, 'by')):
        put(folder / FILE, name)
        assert names_in_config(config) == [name, 'tail']
    assert beside.is_file()


def test_one_that_is_nowhere_says_where_it_was_looked_for(config, tmp_path):
    message = (
        f"mentor 'm': its train_dataloader has metainfo=.*'{FILE}'.*, which does not exist: looked "
        f'for beside {config.filename} and in all folders above it, in {tmp_path / "here"} and '
        r'among .*keypoints=\[its keypoint names\]'
    )
    with pytest.raises(FileNotFoundError, match=message):
        Keypoints.of(None, config, 2, "mentor 'm'")
    with pytest.raises(FileNotFoundError, match=message):
        Keypoints.of({'tail': 'nose'}, config, 2, "mentor 'm'")


def test_it_is_not_read_where_the_keypoints_are_told(config):
    assert Keypoints.of(['nose', 'tail'], config, 2, 'm').names == ('nose', 'tail')
    assert Keypoints.of([(0, 1)], config, 2, 'm').pairs == ((0, 1),)


@pytest.mark.parametrize('name', ['coco', 'crowdpose'])
def test_mmposes_own_are_found_by_name_as_before(config, name):
    config.train_dataloader.dataset.metainfo.from_file = f'elsewhere/{name}.py'
    assert metainfo_in_config(config)['dataset_name'] == name
    plain = dict(test_dataloader=dict(dataset=dict(metainfo=dict(from_file=f'a/{name}.py'))))
    assert metainfo_in_config(plain)['dataset_name'] == name


@pytest.mark.parametrize(
    'dataset',
    [
        dict(type=CocoDataset),
        dict(type='CocoDataset'),
        dict(type=RepeatDataset, times=2, dataset=dict(type=CocoDataset)),
        dict(type='ConcatDataset', datasets=[dict(type='CocoDataset')]),
        dict(type='CombinedDataset', metainfo=dict(from_file='coco.py'), datasets=[dict(type='X')]),
    ],
)
def test_a_data_set_is_a_name_or_a_class_wrapped_or_not(dataset):
    assert len(names_in_config(dict(train_dataloader=dict(dataset=dataset)))) == 17
    assert metainfo_in_config(dict(train_dataloader=dict(dataset=dict(type='NoSuchData')))) is None
