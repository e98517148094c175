"""The CIFAR networks: the literature's checkpoints, converted, give the literature's logits."""

import json
import sys
import zlib
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from classroomkd_mm.backbones import NETWORKS, cifar_classifier, literature_to_ours

SCOPE = 'mmpretrain'
GOLDEN = Path(__file__).parents[3] / 'shared/golden/cifar_networks.json'
golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
needs_golden = pytest.mark.skipif(not golden, reason=f'{GOLDEN.name} is not beside the checkout')
sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))


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
