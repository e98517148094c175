"""``init_cfg`` of a classroom's student: what fits is loaded, the rest told in one line."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmpose.registry import MODELS
from torch import nn

from classroomkd_mm.loading import Misfit, only_whole, what_fits


@pytest.fixture
def warnings():
    """What is warned of through MMEngine's logger."""
    told = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield told
    logger.removeHandler(handler)


@pytest.fixture
def built(demo_config):
    """``built(**init_cfg)``: the demo's classroom, initialised by these of its student's parts."""

    def make(student=None, backbone=None):
        cfg = demo_config('classroom').model
        if student:
            cfg.student.init_cfg = student
        if backbone:
            cfg.student.backbone.init_cfg = backbone
        torch.manual_seed(0)
        model = MODELS.build(cfg)
        model.init_weights()
        return model

    return make


def pretrained(path, **settings):
    return dict(type='Pretrained', checkpoint=str(path), **settings)


def ones(model):
    return {key: torch.ones_like(value) for key, value in model.state_dict().items()}


def test_a_backbone_of_its_own_file_is_taken_whole_and_nothing_is_said(built, tmp_path, warnings):
    weights = ones(built().backbone)
    torch.save(weights, tmp_path / 'bare.pth')
    named = {f'backbone.{key}': value for key, value in weights.items()}
    torch.save(dict(state_dict=dict(named, fc=torch.ones(1))), tmp_path / 'whole.pth')
    for init in (
        pretrained(tmp_path / 'bare.pth'),
        pretrained(tmp_path / 'whole.pth', prefix='backbone.'),
    ):
        model = built(backbone=init)
        assert all((p == 1).all() for p in model.backbone.parameters())
        assert not (model.head.final_layer.weight == 1).all()
    assert not warnings


def test_what_a_backbones_file_has_more_is_told_in_one_line(built, tmp_path, warnings):
    weights = dict(ones(built().backbone), **{'fc.weight': torch.ones(2), 'fc.bias': torch.ones(1)})
    torch.save(dict(state_dict=weights), tmp_path / 'imagenet.pth')
    built(backbone=pretrained(tmp_path / 'imagenet.pth'))
    (line,) = warnings
    assert line.startswith("student.backbone.init_cfg: '") and '\n' not in line
    assert '2 unexpected keys (fc.weight, fc.bias)' in line and '100% of its backbone' in line


@pytest.mark.parametrize('kind', ['Pretrained', 'class'])
def test_a_file_with_another_head_for_the_whole_student(built, tmp_path, warnings, kind):
    from mmengine.model import PretrainedInit

    plain = built()
    weights = ones(plain)
    weights['head.final_layer.bias'] = torch.ones(3)
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    init = pretrained(tmp_path / 'other.pth')
    if kind == 'class':
        init['type'] = PretrainedInit
    model = built(student=init)
    assert all((p == 1).all() for p in model.backbone.parameters())
    assert torch.equal(model.head.final_layer.bias, plain.head.final_layer.bias)
    (line,) = warnings
    assert line.startswith('student.init_cfg: ') and 'other.pth' in line
    assert '1 wrongly shaped keys (head.final_layer.bias: [3], not [17])' in line


def test_two_files_are_judged_each_by_itself(built, tmp_path, warnings):
    plain = built()
    torch.save(ones(plain.backbone), tmp_path / 'backbone.pth')
    head = {key: value for key, value in ones(plain).items() if key != 'head.final_layer.bias'}
    torch.save(head, tmp_path / 'whole.pth')
    built(
        student=pretrained(tmp_path / 'whole.pth'), backbone=pretrained(tmp_path / 'backbone.pth')
    )
    (line,) = warnings
    assert 'whole.pth' in line and '1 missing keys (head.final_layer.bias)' in line


@pytest.mark.parametrize('settings', [{}, dict(prefix='net')])
def test_a_file_of_another_backbone_stops(built, tmp_path, settings):
    torch.save({f'net.other.{i}': torch.ones(1) for i in range(3)}, tmp_path / 'other.pth')
    with pytest.raises(
        RuntimeError, match='student.backbone.init_cfg: .*other.pth.* only 0% of'
    ) as e:
        built(backbone=pretrained(tmp_path / 'other.pth', **settings))
    assert 'prefix=' in str(e.value)


def test_after_it_is_initialised_a_student_forgives_nothing(built, tmp_path):
    torch.save(ones(built().backbone), tmp_path / 'backbone.pth')
    model = built(backbone=pretrained(tmp_path / 'backbone.pth'))
    for module in model.modules():
        assert not any(
            'loading' in str(hook) for hook in module._load_state_dict_pre_hooks.values()
        )
    with pytest.raises(RuntimeError, match='wrongly shaped'):
        model.load_state_dict(dict(model.state_dict(), **{'head.final_layer.bias': torch.ones(3)}))


def test_shares_are_of_numbers_and_of_what_lies_within():
    network = nn.ModuleDict(dict(backbone=nn.Linear(9, 1), head=nn.Linear(2, 2)))
    misfit = Misfit(('backbone.weight',), (), {'head.bias': ''})
    assert misfit.share(network, network['backbone']) == pytest.approx(0.1)
    assert misfit.share(network['head'], network['backbone']) is None
    assert misfit.loaded(network) == (2, 4)


def test_batch_counters_may_be_missing_and_a_part_is_loaded_as_ever(warnings):
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    state = {k: v for k, v in network.state_dict().items() if 'num_batches' not in k}
    with what_fits(network, 'a', network), what_fits(network[0], 'b', network):
        network.load_state_dict(state, strict=False)
    assert not warnings
    with what_fits(network[0], 'b', network), pytest.raises(RuntimeError, match='size mismatch'):
        network.load_state_dict({**state, '1.bias': torch.ones(3)})


def test_only_whole_makes_mmengines_warning_an_error():
    from mmengine.runner.checkpoint import load_state_dict

    network = nn.Linear(2, 2)
    only_whole(network, "checkpoint='a.pth'")
    load_state_dict(network, network.state_dict())
    with pytest.raises(RuntimeError, match="checkpoint='a.pth' does not fit the model: 1 missing"):
        load_state_dict(network, dict(weight=torch.ones(2, 2)))
    with pytest.raises(
        RuntimeError, match=r'1 wrongly shaped keys \(bias: \[3\], not \[2\]\); half'
    ):
        load_state_dict(network, dict(network.state_dict(), bias=torch.ones(3)))
