"""The CIFAR networks: the literature's checkpoints, converted, give the literature's logits."""

import argparse
import json
import zlib
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from classroomkd_mm.backbones import NETWORKS, cifar_classifier, literature_to_ours
from classroomkd_mm.commands import convert
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.mentors import load_weights
from classroomkd_mm.mentors.checkpoint import CAN_ALLOW

SCOPE = 'mmpretrain'
GOLDEN = Path(__file__).parents[3] / 'shared/golden/cifar_networks.json'
golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
needs_golden = pytest.mark.skipif(not golden, reason=f'{GOLDEN.name} is not beside the checkout')


@pytest.fixture
def converter():
    return convert


def seeded(text):
    return torch.Generator().manual_seed(zlib.crc32(text.encode()))


def fill(key, shape):
    """The golden weights, made as their README says."""
    draw = seeded(f'open-{key}')
    if key.endswith('running_var'):
        return torch.rand(shape, generator=draw) + 0.5
    if key.endswith('num_batches_tracked'):
        return torch.tensor(0)
    noise = torch.randn(shape, generator=draw)
    if key.endswith('running_mean') or len(shape) == 1:
        return noise * 0.1 + (len(shape) == 1 and key.endswith('weight'))
    return noise * (2 / noise[0].numel()) ** 0.5


@needs_golden
@pytest.mark.parametrize('name', golden or ['none'])
def test_a_literature_checkpoint_gives_the_literatures_logits(name):
    literature = {key: fill(key, shape) for key, shape in golden[name]['keys']}
    model = MODELS.build(cifar_classifier(name)).eval()
    model.load_state_dict(literature_to_ours(name, literature), strict=True)
    assert sum(p.numel() for p in model.parameters()) == golden[name]['params']
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 32, 32, generator=seeded('open-input')), mode='tensor')
    want = torch.tensor(golden[name]['logits'])
    assert (logits - want).abs().max() <= 1e-4 * want.abs().max()


@pytest.mark.parametrize('name', NETWORKS)
def test_every_network_builds_and_learns_from_any_number_of_classes(name):
    if name in ('wrn_28_10', 'wrn_16_8', 'resnet110', 'ResNet50'):
        pytest.skip('large; its family is tested')
    model = MODELS.build(cifar_classifier(name, num_classes=7))
    model.init_weights()
    logits = model(torch.randn(2, 3, 32, 32), mode='tensor')
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@needs_golden
@pytest.mark.parametrize('wrap', ['model', 'state_dict', 'net', None])
@pytest.mark.parametrize('prefix', ['', 'module.', 'module.student.', '_orig_mod.'])
def test_the_converter_reads_every_way_they_are_stored(converter, tmp_path, wrap, prefix, capsys):
    weights = {prefix + key: fill(key, shape) for key, shape in golden['vgg8']['keys']}
    torch.save({wrap: weights, 'epoch': 240} if wrap else weights, tmp_path / 'theirs.pth')
    converter.main(['vgg8', str(tmp_path / 'theirs.pth'), str(tmp_path / 'new/ours.pth')])
    assert (f'the prefix {prefix!r} is taken off its keys' in capsys.readouterr().out) is bool(
        prefix
    )
    model = MODELS.build(cifar_classifier('vgg8')).eval()
    load_weights(model, str(tmp_path / 'new/ours.pth'), 'mentor')
    with torch.no_grad():
        logits = model(torch.randn(2, 3, 32, 32, generator=seeded('open-input')), mode='tensor')
    want = torch.tensor(golden['vgg8']['logits'])
    assert (logits - want).abs().max() <= 1e-4 * want.abs().max()


def test_the_converter_refuses_another_width_and_other_files(converter, tmp_path):
    model = MODELS.build(cifar_classifier('wrn_16_2'))
    weights = {
        key.replace('backbone.', '').replace('head.', ''): value
        for key, value in model.state_dict().items()
    }
    torch.save(dict(model=weights), tmp_path / 'a.pth')
    with pytest.raises(
        IN_WORDS, match='read as wrn_16_1, is of another network: 1 unexp.* 63 wrongly shaped'
    ):
        converter.main(['wrn_16_1', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
    with pytest.raises(
        IN_WORDS, match='read as wrn_40_2, is of another network: 120 missing keys'
    ):
        converter.main(['wrn_40_2', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
    torch.save(dict(epoch=1), tmp_path / 'c.pth')
    with pytest.raises(IN_WORDS, match="holds no weights under 'model'"):
        converter.main(['vgg8', str(tmp_path / 'c.pth'), str(tmp_path / 'b.pth')])
    assert not (tmp_path / 'b.pth').exists()


def literature(name, classes=100):
    """A network's weights under the literature's names."""
    model = MODELS.build(cifar_classifier(name, num_classes=classes))
    return {
        key.replace('backbone.', '').replace('head.', ''): value
        for key, value in model.state_dict().items()
    }


def test_the_converter_reads_a_file_with_its_command_line(converter, tmp_path):
    opt = argparse.Namespace(model='wrn_16_1', path=Path('a'))
    torch.save(dict(model=literature('wrn_16_1'), opt=opt), tmp_path / 'a.pth')
    command = ['wrn_16_1', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')]
    converter.main(command if CAN_ALLOW else [*command, '--trusted'])
    assert (tmp_path / 'b.pth').is_file()


def test_the_converter_reads_a_file_with_its_optimiser_only_if_it_is_trusted(converter, tmp_path):
    weights = literature('wrn_16_1')
    optimiser = torch.optim.SGD([weights['conv1.weight']], lr=0.1)
    torch.save(dict(model=weights, optimiser=optimiser), tmp_path / 'a.pth')
    command = ['wrn_16_1', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')]
    with pytest.raises(IN_WORDS, match=r'without running torch.optim.sgd.SGD .--trusted'):
        converter.main(command)
    converter.main([*command, '--trusted'])
    assert (tmp_path / 'b.pth').is_file()


def test_of_a_distillers_file_the_converter_takes_the_network_that_is_named(
    converter, tmp_path, capsys
):
    weights = {f'student.{key}': value for key, value in literature('wrn_16_1').items()}
    weights.update({f'teacher.{key}': value for key, value in literature('vgg8', 10).items()})
    torch.save(weights, tmp_path / 'a.pth')
    converter.main(['vgg8', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
    said = capsys.readouterr().out
    assert 'vgg8 with 10 classes written' in said and "the prefix 'teacher.' is taken off" in said
    weights.update({f'ema.{key}': value for key, value in literature('vgg8', 10).items()})
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(IN_WORDS, match="more than one network .*'ema.' and 'teacher.'"):
        converter.main(['vgg8', str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])


def test_unknown_names_and_depths_are_named():
    with pytest.raises(ValueError, match="'resnet21' is not a CIFAR network; choose one of"):
        cifar_classifier('resnet21')
    for backbone, message in (
        (dict(type='CIFARResNet', depth=21), 'depth=21 is not 6 n'),
        (dict(type='CIFARWideResNet', depth=20, widen_factor=1), 'depth=20 is not 6 n'),
        (dict(type='CIFARVGG', depth=12), 'depth=12 is not one of'),
    ):
        with pytest.raises(ValueError, match=message):
            MODELS.build({**backbone, '_scope_': 'classroomkd_mm'})
