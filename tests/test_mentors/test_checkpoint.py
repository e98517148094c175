"""A mentor's weights load whole and safely, or not at all."""

import argparse
import collections
import datetime
import logging
import os
import pathlib
import random
import struct
import sys
import types
import zipfile
from pathlib import Path

import mmengine
import numpy as np
import pytest
import torch
from fresh import ranks
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer, MMLogger
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


@pytest.fixture
def said(caplog):
    """What the log says, in one string."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


def prefixed(network, *prefixes):
    weights = {p + key: value + 1 for p in prefixes for key, value in network.state_dict().items()}
    return weights if len(prefixes) > 1 else dict(sorted(weights.items()))


@pytest.mark.parametrize(
    'chain',
    [
        'module.',
        'student.',
        'module.student.',
        'architecture.',
        'teacher.',
        '_orig_mod.',
        'module._orig_mod.',
        '_orig_mod.module.',
        'ema.',
        'model.',
        'backbone.',
        'module.student.backbone.',
    ],
)
def test_the_one_chain_of_prefixes_that_fits_is_taken_off_and_said(network, tmp_path, said, chain):
    before = network[0].weight.clone()
    weights = prefixed(network, chain)
    weights['steps'] = torch.tensor(3)
    load_weights(network, save(tmp_path / 'a.pth', weights), "mentor 'm'")
    torch.testing.assert_close(network[0].weight, before + 1)
    assert f"a.pth': the prefix '{chain}' is taken off its keys; 1 without it" in said()


def test_nothing_is_said_where_nothing_is_taken_off(network, tmp_path, said):
    whole = nn.ModuleDict(dict(backbone=network, module=nn.Linear(1, 1)))
    load_weights(whole, save(tmp_path / 'a.pth', whole.state_dict()), 'mentor')
    assert 'taken off' not in said()


def test_of_a_distillers_file_the_part_that_fits_is_read(network, tmp_path, said):
    teacher = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    weights = {**prefixed(network, 'architecture.'), **prefixed(teacher, 'teacher.')}
    load_weights(teacher, save(tmp_path / 'a.pth', weights), 'mentor')
    assert "'teacher.' is taken off its keys; 4 without it are left out (arch" in said()


def test_of_two_chains_the_one_of_these_shapes_is_read(network, tmp_path, said):
    wide = nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 1))
    weights = {**prefixed(network, 'student.'), **prefixed(wide, 'teacher.')}
    path = save(tmp_path / 'a.pth', weights)
    load_weights(wide, path, 'mentor')
    load_weights(network, path, 'mentor')
    assert "'teacher.' is taken" in said() and "'student.' is taken" in said()


def test_two_chains_that_both_fit_are_an_error_that_names_both(network, tmp_path):
    path = save(tmp_path / 'a.pth', prefixed(network, 'module.student.', 'module.teacher.'))
    with pytest.raises(
        ValueError, match=r"more than one network .* 'module.student.' and 'module.teacher.': .*ext"
    ):
        load_weights(network, path, 'mentor')


def test_batch_counters_decide_no_chain(tmp_path):
    norm = nn.BatchNorm2d(2)
    weights = {f'module.{k}': v + 1 for k, v in norm.state_dict().items() if 'num' not in k}
    load_weights(norm, save(tmp_path / 'a.pth', weights), 'mentor')
    assert norm.weight.tolist() == [2.0, 2.0]


def test_a_compiled_parts_names_are_taken_off(network, tmp_path, said):
    weights = {k.replace('.', '._orig_mod.'): v for k, v in prefixed(network, 'module.').items()}
    load_weights(network, save(tmp_path / 'a.pth', {**weights, 'n': torch.ones(1)}), 'mentor')
    assert "'module.' is taken off its keys; 1 without" in said() and 'compile' in said()


def test_layers_versions_keep_their_places(tmp_path):
    """By them torch knows what to convert."""

    class Versioned(nn.Linear):
        _version = 7

        def _load_from_state_dict(self, state, prefix, meta, *rest):
            self.seen = meta.get('version')
            super()._load_from_state_dict(state, prefix, meta, *rest)

    ours = nn.Sequential(Versioned(1, 1))
    path = save(tmp_path / 'a.pth', nn.ModuleDict(dict(module=ours)).state_dict())
    load_weights(ours, path, 'mentor')
    assert ours[0].seen == 7


@pytest.mark.parametrize(
    'wrap',
    [
        lambda w: dict(model=w, epoch=1),
        lambda w: dict(net=w),
        lambda w: dict(model=dict(state_dict=w)),
        lambda w: dict(ema_state_dict={**{f'module.{k}': v for k, v in w.items()}}),
        lambda w: dict(teacher=w, student={'other': torch.ones(1)}),
    ],
)
def test_weights_are_found_where_people_put_them(network, tmp_path, wrap):
    bias = network[0].bias.clone()
    path = save(tmp_path / 'a.pth', wrap(prefixed(network, '')))
    load_weights(network, path, 'mentor')
    torch.testing.assert_close(network[0].bias, bias + 1)


def test_of_a_runners_file_with_averages_the_averaged_weights_are_read(network, tmp_path):
    """MMEngine puts them under state_dict."""
    bias = network[0].bias.clone()
    content = dict(
        state_dict=prefixed(network, ''),
        ema_state_dict=dict(prefixed(nn.ModuleDict(dict(module=network)), ''), steps=torch.ones(1)),
    )
    content['ema_state_dict']['module.0.bias'] += 7
    load_weights(network, save(tmp_path / 'a.pth', content), 'mentor')
    torch.testing.assert_close(network[0].bias, bias + 1)


@pytest.mark.parametrize(
    'raw, averaged', [('state_dict', 'state_dict_ema'), ('params', 'params_ema'), ('model', 'ema')]
)
def test_averaged_weights_beside_the_raw_ones_are_told_of(network, tmp_path, said, raw, averaged):
    weights = prefixed(network, '')
    told = f'holds averaged weights as well ({averaged}), which are not taken'
    load_weights(network, save(tmp_path / 'a.pth', {raw: weights}), 'mentor')
    load_weights(network, save(tmp_path / 'b.pth', {averaged: weights}), 'mentor')
    assert told not in said()
    bias = network[0].bias.clone()
    other = {key: value + 7 for key, value in weights.items()}
    load_weights(network, save(tmp_path / 'c.pth', {raw: weights, averaged: other}), 'mentor')
    assert told in said() and torch.equal(network[0].bias, bias)


def test_a_dict_that_holds_itself_ends(network, tmp_path):
    content = {}
    content['state_dict'] = content
    with pytest.raises(ValueError, match='holds no state_dict'):
        load_weights(network, save(tmp_path / 'a.pth', content), 'mentor')


@pytest.mark.parametrize('wrap', [lambda net: net, lambda net: dict(model=net, epoch=1)])
def test_a_whole_network_is_read_where_it_is_trusted(network, tmp_path, wrap):
    theirs = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    path = save(tmp_path / 'a.pth', wrap(theirs))
    with pytest.raises(ValueError, match=r'without running torch.nn.modules.container.Sequential'):
        load_weights(network, path, 'mentor')
    load_weights(network, path, 'mentor', trusted=True)
    assert torch.equal(network[0].weight, theirs[0].weight)


def test_a_torchscript_archive_says_what_it_is_and_is_read_where_it_is_trusted(network, tmp_path):
    theirs = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    torch.jit.save(torch.jit.trace(theirs, torch.ones(1, 2)), str(tmp_path / 'a.pt'))
    with pytest.raises(ValueError, match='a TorchScript archive, a program; trusted=True'):
        load_weights(network, str(tmp_path / 'a.pt'), 'mentor')
    load_weights(network, str(tmp_path / 'a.pt'), 'mentor', trusted=True)
    assert torch.equal(network[0].weight, theirs[0].weight)


def test_safetensors(network, tmp_path, monkeypatch):
    safetensors = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'a.safetensors'
    theirs = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    safetensors.save_file({f'module.{k}': v for k, v in theirs.state_dict().items()}, path)
    load_weights(network, str(path), 'mentor')
    assert torch.equal(network[0].weight, theirs[0].weight)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="mentor: checkpoint=.*safetensors' cannot be read as a"):
        load_weights(network, str(path), 'mentor')
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(ValueError, match='without the library safetensors: pip install safetens'):
        load_weights(network, str(path), 'mentor')


def test_a_backbones_file_is_recognised(network, tmp_path):
    whole = nn.ModuleDict(dict(backbone=network))
    path = save(tmp_path / 'a.pth', network.state_dict())
    with pytest.raises(ValueError, match="fit with the prefix 'backbone.': the file is of a part"):
        load_weights(whole, path, 'mentor')


def test_a_backbones_file_is_recognised_for_a_network_with_a_head(network, tmp_path):
    whole = nn.ModuleDict(dict(backbone=network, head=nn.Linear(1, 1)))
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
    ranks(_load_on_a_rank, str(tmp_path))
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


HARMLESS = dict(
    opt=argparse.Namespace(lr=0.1, data=Path('/data'), kind=int, log=pathlib.PurePosixPath('a')),
    simple=types.SimpleNamespace(a=1),
    config=Config(dict(model=dict(type='A'))),
    config_dict=ConfigDict(a=ConfigDict(b=[1])),
    best=collections.defaultdict(list, a=[1]),
    recent=collections.deque([1, 2], maxlen=3),
    counts=collections.Counter('aab'),
    when=datetime.datetime(2024, 2, 3, tzinfo=datetime.timezone.utc),
    took=datetime.timedelta(seconds=3),
    sets=(frozenset([1]), {2}, slice(1, 2), range(3), 1j, b'x', b''),
    numbers=[np.float32(1.5), np.int64(2), np.bool_(True), np.float64(0.5)],
    arrays=(np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(2, 3)), np.array(['ab', 'c'])),
    empty=np.array([]),
    big_endian=np.arange(3, dtype='>i4'),
    objects=np.array(['a', None], dtype=object),
    version=torch.__version__,
)
needs_a_list = pytest.mark.skipif(not CAN_ALLOW, reason='torch reads tensors only before 2.5')


@needs_a_list
@pytest.mark.parametrize('name', HARMLESS)
def test_a_harmless_file_needs_no_trust(network, tmp_path, name):
    content = dict(state_dict=network.state_dict(), extra=HARMLESS[name])
    read = read_checkpoint(Path(save(tmp_path / 'a.pth', content)), 'mentor')
    assert read['state_dict'].keys() == network.state_dict().keys()


@needs_a_list
def test_what_harmless_values_hold_is_there(tmp_path):
    read = read_checkpoint(Path(save(tmp_path / 'a.pth', HARMLESS)), 'mentor')
    assert read['opt'].lr == 0.1 and read['opt'].data.args == ('/', 'data')
    assert read['config_dict'] == dict(a=dict(b=[1])) and read['best'] == dict(a=[1])
    assert read['recent'] == [1, 2] and read['counts']['a'] == 2
    assert read['numbers'] == HARMLESS['numbers'] and type(read['numbers'][0]) is np.float32
    for ours, theirs in zip(read['arrays'], HARMLESS['arrays']):
        np.testing.assert_array_equal(ours, theirs)
        ours[0] = ours[1]  # not a view of the file's bytes
    assert read['empty'].shape == (0,) and read['big_endian'].tolist() == [0, 1, 2]
    assert read['objects'] == ['a', None]


@needs_a_list
def test_numpys_two_spellings_are_read_in_every_environment(network, tmp_path):
    path = runner_checkpoint(tmp_path / 'a.pth', network)
    spellings = b'numpy.core.multiarray', b'numpy._core.multiarray'
    ours = pickled(path).replace(spellings[1], spellings[0])
    assert spellings[0] in ours
    for each in spellings:
        write_pickle(tmp_path / 'b.pth', ours.replace(spellings[0], each), like=path)
        read = read_checkpoint(tmp_path / 'b.pth', 'mentor')
        assert read['message_hub']['runtime_info']['x'] == 1
        assert read['message_hub']['log_scalars']['loss']._log_history.tolist() == [0.5]


# What numpy 2.4 writes, protocol 2: [np.float32(1.5), np.arange(3.0)].
NUMPY_2 = (
    b'\x80\x02]q\x00(cnumpy._core.mul'
    b'tiarray\nscalar\nq\x01cnump'
    b'y\ndtype\nq\x02X\x02\x00\x00\x00f4q\x03\x89\x88\x87'
    b'q\x04Rq\x05(K\x03X\x01\x00\x00\x00<q\x06NNNJ\xff\xff'
    b'\xff\xffJ\xff\xff\xff\xffK\x00tq\x07bc_codecs\n'
    b'encode\nq\x08X\x05\x00\x00\x00\x00\x00\xc3\x80?q\tX'
    b'\x06\x00\x00\x00latin1q\n\x86q\x0bRq\x0c\x86q\rR'
    b'q\x0ecnumpy._core.multiar'
    b'ray\n_reconstruct\nq\x0fcnu'
    b'mpy\nndarray\nq\x10K\x00\x85q\x11h\x08X'
    b'\x01\x00\x00\x00bq\x12h\n\x86q\x13Rq\x14\x87q\x15Rq\x16('
    b'K\x01K\x03\x85q\x17h\x02X\x02\x00\x00\x00f8q\x18\x89\x88\x87q'
    b'\x19Rq\x1a(K\x03h\x06NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
    b'K\x00tq\x1bb\x89h\x08X\x19\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    b'\x00\x00\x00\x00\x00\x00\xc3\xb0?\x00\x00\x00\x00\x00\x00\x00@q\x1ch\n\x86'
    b'q\x1dRq\x1etq\x1fbe.'
)


@needs_a_list
def test_what_numpy_2_wrote(tmp_path):
    write_pickle(tmp_path / 'a.pth', NUMPY_2)
    number, array = read_checkpoint(tmp_path / 'a.pth', 'mentor')
    assert number == 1.5 and array.tolist() == [0.0, 1.0, 2.0]


def pickled(path):
    """The pickle in a file of torch.save's."""
    with zipfile.ZipFile(path) as file:
        return file.read(next(name for name in file.namelist() if name.endswith('data.pkl')))


def write_pickle(path, content, like=None):
    """A file of torch.save's with another pickle in it."""
    like = like or save(path.with_suffix('.like'), {})
    with zipfile.ZipFile(like) as theirs, zipfile.ZipFile(path, 'w') as ours:
        for name in theirs.namelist():
            ours.writestr(name, content if name.endswith('data.pkl') else theirs.read(name))


def named(path):
    module, _, name = path.rpartition('.')
    return f'c{module}\n{name}\n'.encode()


def text(value):
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def called(function, *args):
    return function + b'(' + b''.join(args) + b'tR'


def rebuilt(function, kind, *args):
    """torch's own way to call anything that a file can lay hands on."""
    return called(
        named('torch._tensor._rebuild_from_type_v2'),
        function,
        kind,
        b'(' + b''.join(args) + b't',
        b'N',
    )


def attribute(owner, name):
    return called(named('builtins.getattr'), owner, text(name))


def eval_by_getattr(code):
    """How ``getattr`` and a class's method lead to eval."""
    history = named('mmengine.logging.history_buffer.HistoryBuffer')
    builtins = attribute(attribute(history, '__init__'), '__builtins__')
    get = attribute(builtins, 'get')
    found = rebuilt(get, attribute(get, '__class__'), text('eval'))
    return rebuilt(found, attribute(b'N', '__class__'), text(code))


def written_into(owner):
    """What stands under ``pwned`` in a class is set."""
    return owner + b'N}' + text('pwned') + b'K\x01s\x86b'


HISTORY = named('mmengine.logging.history_buffer.HistoryBuffer')
CODE = "__import__('os').mkdir('{created}')"
# What a hostile file does, and what its refusal names.
HOSTILE = {
    'os.system by reduce': (called(named('posix.system'), text('mkdir {created}')), 'posix.system'),
    'eval': (called(named('builtins.eval'), text(CODE)), 'builtins.eval'),
    'exec': (called(named('builtins.exec'), text(CODE)), 'builtins.exec'),
    'import': (called(named('builtins.__import__'), text('os')), 'builtins.__import__'),
    'getattr to eval': (eval_by_getattr(CODE), 'builtins.getattr'),
    'getattr of a hidden name': (attribute(HISTORY, '__init__'), 'builtins.getattr'),
    'getattr of another class': (
        attribute(named('argparse.Namespace'), 'mean'), 'builtins.getattr'
    ),
    'getattr of a module': (attribute(named('os.path'), 'system'), 'os.path'),
    'what getattr gave, called': (called(attribute(HISTORY, 'mean'), b'N'), ''),
    'what getattr gave, called by torch': (
        rebuilt(attribute(HISTORY, 'mean'), HISTORY, b'N'), ''
    ),
    'partial': (
        called(named('functools.partial'), named('collections.OrderedDict')), 'functools.partial'
    ),
    'operator': (named('operator.methodcaller'), 'operator.methodcaller'),
    'FunctionType': (named('types.FunctionType'), 'types.FunctionType'),
    'CodeType': (named('types.CodeType'), 'types.CodeType'),
    'type': (named('builtins.type'), 'builtins.type'),
    'a dotted name': (
        named('argparse.Namespace.__init__.__globals__'), 'argparse.Namespace.__init'
    ),
    'a class written into': (written_into(HISTORY), ''),
    'a numpy type with objects in it': (
        called(named('numpy.dtype'), text('V8'), b'\x89', b'\x88'), 'numpy.dtype'
    ),
    'torch.load': (
        called(named('torch.serialization.load'), text('x')), 'torch.serialization.load'
    ),
    'a lazy import of MMEngine': (
        named('mmengine.config.lazy.LazyObject'), 'mmengine.config.lazy.LazyObject'
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_file_is_refused_by_the_name_of_what_it_wanted(tmp_path, name):
    code, wanted = HOSTILE[name]
    created = str(tmp_path / 'x')
    for short in (CODE, 'mkdir {created}'):
        code = code.replace(text(short), text(short.format(created=created)))
    write_pickle(tmp_path / 'a.pth', b'\x80\x02' + code + b'.')
    match = f'without running {wanted}' if wanted else 'cannot be read as a checkpoint'
    with pytest.raises(ValueError, match=match):
        read_checkpoint(tmp_path / 'a.pth', 'mentor')
    assert not (tmp_path / 'x').exists()
    assert not hasattr(HistoryBuffer, 'pwned')


@needs_a_list
def test_a_hostile_log_history_changes_no_real_one(tmp_path):
    """MMEngine's own takes statistics from a file into the class."""
    state = b'}' + text('statistics_methods') + b'}' + text('mean') + named('torch.Size') + b'ss'
    write_pickle(tmp_path / 'a.pth', b'\x80\x02' + HISTORY + b')\x81' + state + b'b.')
    read_checkpoint(tmp_path / 'a.pth', 'mentor')
    history = HistoryBuffer()
    history.update(0.5)
    assert history.statistics('mean') == 0.5


@needs_a_list
def test_a_list_of_safe_names_that_holds_getattr_opens_no_way(tmp_path, list_of_safe):
    """MMEngine's reader puts it there while it reads."""
    torch.serialization.add_safe_globals([getattr])
    write_pickle(tmp_path / 'a.pth', b'\x80\x02' + eval_by_getattr('1') + b'.')
    with pytest.raises(ValueError, match='without running builtins.getattr'):
        read_checkpoint(tmp_path / 'a.pth', 'mentor')
    assert getattr in list_of_safe()


@needs_a_list
def test_what_a_user_holds_for_safe_is_read_as_it_is(tmp_path, list_of_safe):
    path = Path(save(tmp_path / 'a.pth', dict(x=Listed())))
    assert isinstance(read_checkpoint(path, 'mentor')['x'], Listed)


def test_another_pickle_protocol_is_not_sent_to_trust(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'a.pth', pickle_protocol=4)
    with pytest.raises(ValueError, match='pickle_protocol that torch reads only') as refusal:
        load_weights(network, str(tmp_path / 'a.pth'), 'mentor')
    assert 'trusted=True' not in str(refusal.value)


PUBLISHED = (
    Path(__file__).parents[3] / 'shared/data/weights/cls/wants_pickle_resnet20_cifar10.pth.tar'
)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f'{PUBLISHED.name} is not beside the checkout')
def test_a_published_file_with_an_optimiser_is_refused_by_name_with_what_to_do():
    with pytest.raises(ValueError) as refusal:
        read_checkpoint(PUBLISHED, "mentor 'resnet20'")
    said = str(refusal.value)
    assert said.startswith("mentor 'resnet20': checkpoint=") and PUBLISHED.name in said
    assert 'without running torch.optim.sgd.SGD (trusted=True allows' in said
    assert 'tools/extract.py --trusted' in said and 'add_safe_globals' not in said
