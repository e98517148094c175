"""A mentor's weights load whole and safely, or not at all."""

import os
import random
from pathlib import Path

import mmengine
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from classroomkd_mm.mentors.checkpoint import CAN_ALLOW, load_weights, read_checkpoint


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


@pytest.mark.parametrize('zipped', [True, False])
def test_a_file_damaged_anywhere_names_its_mentor(tmp_path, zipped):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.zeros(3), meta=[1, 'x']), path, _use_new_zipfile_serialization=zipped)
    content, dice = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path, "mentor 'm'")  # where the damage is in a value it reads
        except ValueError as error:
            assert str(error).startswith("mentor 'm': checkpoint=")
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    'content',
    [[1, 2], {}, dict(state_dict=dict(a=1)), dict(state_dict=[1]), {1: torch.zeros(1)}],
)
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


def test_batch_counters_may_be_missing(tmp_path):
    norm = nn.BatchNorm2d(2)
    weights = {key: value + 1 for key, value in norm.state_dict().items()}
    del weights['num_batches_tracked']
    load_weights(norm, save(tmp_path / 'a.pth', weights), 'mentor')
    assert norm.weight.tolist() == [2.0, 2.0]


def test_weights_that_the_network_itself_adapts_are_no_mismatch(network, tmp_path):
    def adapt(state_dict, prefix, *_):
        state_dict['1.bias'] = state_dict['1.bias'][:1]  # as position embeddings are resized

    network._register_load_state_dict_pre_hook(adapt)
    weights = dict(network.state_dict(), **{'1.bias': torch.ones(3)})
    load_weights(network, save(tmp_path / 'a.pth', weights), 'mentor')
    assert network[1].bias.tolist() == [1.0]


# What may go wrong with a mentor's file: what is written, and the error.
WRONG = {
    'another network': (dict(other=torch.zeros(1)), 'ValueError', 'is of another network'),
    'a shape': ({'weight': torch.zeros(3, 2), 'bias': torch.zeros(2)}, 'ValueError', 'wrongly sh'),
    'a corrupt file': (b'PK', 'ValueError', 'cannot be read as a checkpoint'),
    'a missing file': (None, 'FileNotFoundError', 'does not exist'),
}


def _load_on_a_rank(rank, folder):
    torch.distributed.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    said = {}
    for name in WRONG:
        try:
            load_weights(nn.Linear(2, 2), f'{folder}/{name}.pth', 'mentor')
        except Exception as error:
            said[name] = f'{type(error).__name__}: {error}'
    mmengine.dump(said, f'{folder}/{rank}.json')
    torch.distributed.destroy_process_group()


def test_every_rank_refuses_a_wrong_file_with_the_same_words(tmp_path):
    for name, (content, _, _) in WRONG.items():
        if isinstance(content, bytes):
            (tmp_path / f'{name}.pth').write_bytes(content)
        elif content is not None:
            torch.save(content, tmp_path / f'{name}.pth')
    torch.multiprocessing.spawn(_load_on_a_rank, (str(tmp_path),), nprocs=2)
    first, second = (mmengine.load(tmp_path / f'{rank}.json') for rank in (0, 1))
    assert first == second
    for name, (_, kind, words) in WRONG.items():
        assert first[name].startswith(kind) and words in first[name]


def runner_checkpoint(path, network):
    """What MMEngine's runner writes beside the weights, of the kinds that need allowing."""
    history = HistoryBuffer()
    history.update(0.5)
    hub = dict(log_scalars=dict(loss=history), resumed_keys={}, runtime_info=dict(x=np.float32(1)))
    path = save(path, dict(state_dict=network.state_dict(), message_hub=hub, meta=dict(epoch=1)))
    return Path(path)


class Listed:
    """Stands for what a user allowed."""


@pytest.fixture
def list_of_safe():
    """The process's list, with what a user and MMEngine may have put there; put back at the end."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([Listed, np.ndarray, HistoryBuffer])
    yield lambda: set(torch.serialization.get_safe_globals())
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.mark.skipif(not CAN_ALLOW, reason='torch keeps no list of what is safe before 2.5')
@pytest.mark.parametrize('readable', [True, False])
def test_what_the_process_holds_for_safe_is_the_same_after_reading(
    network, tmp_path, list_of_safe, readable
):
    path = runner_checkpoint(tmp_path / 'a.pth', network)
    if not readable:
        path.write_bytes(b'PK')
    before = list_of_safe()
    assert {Listed, type(np.dtype('f'))} <= before
    try:
        read_checkpoint(path, 'mentor')
    except ValueError:
        assert not readable
    assert list_of_safe() == before


@pytest.mark.skipif(not CAN_ALLOW, reason='torch keeps no list of what is safe before 2.5')
def test_after_a_mentor_was_read_mmengine_still_reads_a_runners_file_safely(
    network, tmp_path, monkeypatch
):
    import mmengine.runner.checkpoint as theirs

    path = runner_checkpoint(tmp_path / 'a.pth', network)
    load_weights(network, str(path), 'mentor')
    warnings = []
    monkeypatch.setattr(theirs, 'print_log', lambda text, *_, **kinds: warnings.append(kinds))
    read = theirs.load_from_local(str(path), 'cpu')
    assert read['message_hub']['runtime_info']['x'] == 1
    assert not warnings
