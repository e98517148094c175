"""Clean files from what people have lying around."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from classroomkd_mm.analysis import extract
from classroomkd_mm.backbones import cifar_classifier
from classroomkd_mm.commands import convert
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.mentors import load_weights

SCOPE = 'mmpretrain'
ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / 'shared/data/weights/cls/wants_pickle_resnet20_cifar10.pth.tar'


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def under(chain, network):
    return {chain + key: value for key, value in network.state_dict().items()}


@pytest.fixture
def run(tmp_path, capsys):
    """``run(content, *flags)``: the clean file's weights and what was printed."""

    def go(content, *flags):
        if not isinstance(content, Path):
            torch.save(content, tmp_path / 'a.pth')
            content = tmp_path / 'a.pth'
        assert extract.main([str(content), str(tmp_path / 'new/b.pth'), *flags]) == 0
        read = torch.load(tmp_path / 'new/b.pth', weights_only=True)
        return read['state_dict'], capsys.readouterr().out

    return go


@pytest.mark.parametrize('chain', ['', 'module.', 'module.student.', '_orig_mod.', 'ema.'])
def test_the_chain_that_all_keys_share_is_taken_off(run, network, chain):
    weights, said = run(dict(state_dict=under(chain, network), optimizer={}, epoch=3))
    assert weights.keys() == network.state_dict().keys()
    assert f'{len(weights)} tensors written to ' in said
    assert (f'the prefix {chain!r} is taken off' in said) is bool(chain)


@pytest.mark.parametrize('own', ['model.', 'backbone.'])
def test_what_may_be_the_networks_own_stays_without_a_network_to_ask(run, network, own):
    weights, _ = run(under(f'module.{own}', network))
    assert weights.keys() == under(own, network).keys()


def test_averages_counters_are_left_out(run, network):
    content = dict(ema_state_dict={**under('module.', network), 'steps': torch.ones(1)})
    weights, said = run(content)
    assert weights.keys() == network.state_dict().keys()
    assert '1 without it are left out (steps)' in said


def test_of_two_networks_one_must_be_chosen(run, network):
    weights = {**under('student.', network), **under('teacher.', nn.Linear(1, 1))}
    with pytest.raises(IN_WORDS, match="7 under 'student.', 2 under 'teacher.'.*--prefix"):
        run(weights)
    for prefix in ('teacher', 'teacher.'):
        clean, said = run(weights, '--prefix', prefix)
        assert clean.keys() == {'weight', 'bias'}
        assert "'teacher.' is taken off its keys; 7 without it are left out" in said
    with pytest.raises(IN_WORDS, match="no keys with the prefix 'ema.'; it has student., teach"):
        run(weights, '--prefix', 'ema')
    assert run(weights, '--prefix', '')[0].keys() == weights.keys()


@pytest.mark.parametrize('chain', ['module.', 'model.', 'student.model.'])
def test_a_networks_own_keys_decide_where_its_config_is_given(run, tmp_path, chain):
    model = MODELS.build(cifar_classifier('resnet8', num_classes=100))
    config = str(tmp_path / 'config.py')
    text = f'default_scope = "mmpretrain"\nmodel = {cifar_classifier("resnet8")!r}'
    Path(config).write_text(text)
    weights, said = run({**under(chain, model), 'loss.w': torch.ones(1)}, '--config', config)
    assert weights.keys() == model.state_dict().keys()
    assert f'the prefix {chain!r} is taken off' in said and '(loss.w)' in said
    with pytest.raises(IN_WORDS, match='src=.* is of another network: '):
        run(under(chain, nn.Linear(1, 1)), '--config', config)


def test_a_whole_network_needs_trust_and_its_clean_file_needs_none(run, network, tmp_path):
    with pytest.raises(IN_WORDS, match='without running torch.nn.*Sequential .--trusted allows'):
        run(network)
    run(network, '--trusted')
    load_weights(network, str(tmp_path / 'new/b.pth'), 'mentor')


def test_safetensors(run, network, tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    safetensors.save_file(under('module.', network), tmp_path / 'a.safetensors')
    assert run(tmp_path / 'a.safetensors')[0].keys() == network.state_dict().keys()


@pytest.mark.parametrize('dst', ['a.pth', './a.pth', 'b.safetensors', ''])
def test_a_file_is_not_written_over_itself_nor_under_another_formats_name(tmp_path, dst):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'a.pth')
    with pytest.raises(IN_WORDS, match='must be a new file for torch.load'):
        extract.main([str(tmp_path / 'a.pth'), f'{tmp_path}/{dst}'])
    with pytest.raises(IN_WORDS, match='must be a new file for torch.load'):
        convert.main(['resnet20', str(tmp_path / 'a.pth'), f'{tmp_path}/{dst}'])


def test_files_that_are_missing_or_hold_no_weights(run, tmp_path):
    with pytest.raises(IN_WORDS, match='src=.*none.pth. does not exist'):
        run(tmp_path / 'none.pth')
    with pytest.raises(IN_WORDS, match='holds no state_dict'):
        run(dict(epoch=1))


def test_the_command(network, tmp_path):
    torch.save(under('module.', network), tmp_path / 'a.pth')
    command = [sys.executable, str(ROOT / 'tools/extract.py'), 'a.pth', 'b.pth']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "7 tensors written to b.pth; the prefix 'module.' is taken off" in done.stdout


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f'{PUBLISHED.name} is not beside the checkout')
def test_a_published_file_that_wants_pickle_is_made_one_that_does_not(run):
    with pytest.raises(IN_WORDS, match='without running torch.optim.sgd.SGD .--trusted allows'):
        run(PUBLISHED)
    weights, said = run(PUBLISHED, '--trusted')
    assert weights[
        'module.conv1.weight' if 'module.conv1.weight' in weights else 'conv1.weight'
    ].ndim
    assert 'tensors written' in said
