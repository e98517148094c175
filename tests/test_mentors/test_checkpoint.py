"""A mentor's weights load whole and safely, or not at all."""

import os

import pytest
import torch
from torch import nn

from classroomkd_mm.mentors import load_weights


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


def save(path, content):
    torch.save(content, path)
    return str(path)


def test_a_training_checkpoint_loads(network, tmp_path):
    other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    path = save(tmp_path / 'a.pth', dict(state_dict=other.state_dict(), meta=dict(epoch=1)))
    load_weights(network, path, 'mentor')
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters()))


def test_a_missing_file(network, tmp_path):
    with pytest.raises(FileNotFoundError, match="mentor 'm': checkpoint='.*none.pth' does not"):
        load_weights(network, str(tmp_path / 'none.pth'), "mentor 'm'")


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', None])
def test_a_truncated_file_or_another_kind_of_file(network, tmp_path, content):
    path = tmp_path / 'a.pth'
    if content is None:
        save(path, network.state_dict())
        content = path.read_bytes()[:-200]
    path.write_bytes(content)
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        load_weights(network, str(path), 'mentor')


@pytest.mark.parametrize('content', [[1, 2], {}, dict(state_dict=dict(a=1))])
def test_a_file_without_weights(network, tmp_path, content):
    with pytest.raises(ValueError, match='holds no state_dict'):
        load_weights(network, save(tmp_path / 'a.pth', content), 'mentor')


def test_another_networks_keys_are_counted_and_named(network, tmp_path):
    weights = network.state_dict()
    weights['2.weight'] = weights.pop('1.bias')
    with pytest.raises(ValueError, match=r'1 missing keys \(1.bias\), 1 unexpected keys \(2.wei'):
        load_weights(network, save(tmp_path / 'a.pth', weights), 'mentor')


def test_another_networks_shapes_are_shown(network, tmp_path):
    weights = network.state_dict()
    weights['1.bias'] = torch.zeros(3)
    with pytest.raises(ValueError, match=r'1 wrongly shaped keys \(1.bias: \(3,\), not \(1,\)\)'):
        load_weights(network, save(tmp_path / 'a.pth', weights), 'mentor')


class Evil:
    """Creates a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_file_that_would_run_code_is_refused_and_does_not_run_it(network, tmp_path):
    path = save(
        tmp_path / 'a.pth',
        dict(state_dict=network.state_dict(), evil=Evil(str(tmp_path / 'created'))),
    )
    with pytest.raises(ValueError, match='without running posix.mkdir .trusted=True allows'):
        load_weights(network, path, 'mentor')
    assert not (tmp_path / 'created').exists()
    load_weights(network, path, 'mentor', trusted=True)
    assert (tmp_path / 'created').exists()


@pytest.mark.parametrize(
    'rename, message',
    [
        (lambda key: f'module.{key}', "the keys fit without their prefix 'module.'"),
        (lambda key: f'student.{key}', "the keys fit without their prefix 'student.'"),
    ],
)
def test_a_prefix_is_recognised(network, tmp_path, rename, message):
    weights = {rename(key): value for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_weights(network, save(tmp_path / 'a.pth', weights), 'mentor')


def test_a_backbones_file_is_recognised(network, tmp_path):
    whole = nn.ModuleDict(dict(backbone=network))
    path = save(tmp_path / 'a.pth', network.state_dict())
    with pytest.raises(ValueError, match="fit with the prefix 'backbone.': the file is of a part"):
        load_weights(whole, path, 'mentor')
