"""Fine-tuning through the real runner: what fits of ``load_from`` is loaded, the rest is told."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from mmpose.registry import MODELS

from classroomkd_mm.commands import test as test_command
from classroomkd_mm.runs import take_what_fits

TOLD = 'fits in part'


@pytest.fixture
def cfg(demo_config):
    """The demo's classroom for one epoch that changes no parameter."""
    cfg = demo_config('classroom')
    cfg.train_cfg.update(max_epochs=1, val_interval=9)
    cfg.optim_wrapper.optimizer.lr = 0.0
    return cfg


@pytest.fixture
def weights(cfg):
    """A state dict of the student with values of its own."""
    torch.manual_seed(7)
    model = MODELS.build(cfg.model.student)
    state = model.state_dict()
    return {
        key: torch.randn_like(value) if value.is_floating_point() else value
        for key, value in state.items()
    }


def log_of(cfg):
    return ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))


def tellings(cfg):
    return [line for line in log_of(cfg).splitlines() if TOLD in line]


def fresh(cfg, train):
    """The student as a run initialises it, by its parameters' names."""
    other = cfg.copy()
    other.work_dir += '_fresh'
    return dict(train(other).model.named_parameters())


def with_other_head(state):
    changed = dict(state)
    changed['head.final_layer.weight'] = torch.ones(5, *state['head.final_layer.weight'].shape[1:])
    changed['head.final_layer.bias'] = torch.ones(5)
    return changed


@pytest.mark.parametrize('ema', [False, True])
def test_a_head_of_another_shape_stays_as_it_was_initialised(cfg, train, weights, tmp_path, ema):
    if ema:
        cfg.custom_hooks = [dict(type='EMAHook', momentum=0.5), *cfg.custom_hooks]
    start = fresh(cfg, train)
    torch.save(dict(state_dict=with_other_head(weights)), tmp_path / 'other.pth')
    runner = train(cfg, load_from=str(tmp_path / 'other.pth'))
    for name, parameter in runner.model.named_parameters():
        want = start[name] if name.startswith('head.final_layer') else weights[name]
        assert torch.equal(parameter, want), name
    (line,) = tellings(cfg)
    assert 'WARNING' in line and "load_from='" in line and 'other.pth' in line
    assert "100% of its backbone's parameters are loaded" in line
    assert '2 wrongly shaped keys (head.final_layer.weight: [5, ' in line
    assert 'do not match exactly' not in log_of(cfg)  # MMEngine's own, longer message
    if ema:
        saved = torch.load(f'{cfg.work_dir}/epoch_1.pth', weights_only=False)
        assert torch.equal(
            saved['state_dict']['backbone.conv1.weight'], weights['backbone.conv1.weight']
        )


def test_what_is_missing_or_not_known_is_counted_and_the_first_few_named(
    cfg, train, weights, tmp_path
):
    some = {key: value for key, value in weights.items() if not key.startswith('head.')}
    some.update({f'teacher.{i}': torch.ones(1) for i in range(7)})
    torch.save(dict(state_dict=some), tmp_path / 'backbone.pth')
    runner = train(cfg, load_from=str(tmp_path / 'backbone.pth'))
    assert torch.equal(runner.model.backbone.conv1.weight, weights['backbone.conv1.weight'])
    (line,) = tellings(cfg)
    head = [key for key in weights if key.startswith('head.') and 'num_batches' not in key]
    counted = [key for key in weights if 'num_batches' not in key]
    assert f'{len(counted) - len(head)} of {len(counted)} weights' in line
    assert f'{len(head)} missing keys ({", ".join(head[:5])}' in line
    assert '7 unexpected keys (teacher.0, teacher.1, teacher.2, teacher.3, teacher.4, ...)' in line


@pytest.mark.parametrize('ema', [False, True])
def test_a_file_without_state_dict_and_names_of_a_wrapper(cfg, train, weights, tmp_path, ema):
    if ema:  # MMEngine's own hook fails on such a file
        cfg.custom_hooks = [dict(type='EMAHook'), *cfg.custom_hooks]
    torch.save({f'module.{key}': value for key, value in weights.items()}, tmp_path / 'bare.pth')
    runner = train(cfg, load_from=str(tmp_path / 'bare.pth'))
    assert all(torch.equal(weights[name], p) for name, p in runner.model.named_parameters())
    assert not tellings(cfg) and 'do not match exactly' not in log_of(cfg)


def test_averages_in_the_checkpoint_are_what_is_loaded(cfg, train, weights, tmp_path):
    raw = {f'module.{key}': torch.zeros_like(value) for key, value in weights.items()}
    content = dict(state_dict=weights, ema_state_dict=dict(raw, steps=torch.tensor(4)))
    torch.save(content, tmp_path / 'averaged.pth')
    runner = train(cfg, load_from=str(tmp_path / 'averaged.pth'))
    assert all(torch.equal(weights[name], p) for name, p in runner.model.named_parameters())
    assert not tellings(cfg)


def test_training_by_iterations_takes_what_fits_as_well(cfg, train, weights, tmp_path):
    cfg.train_cfg = dict(by_epoch=False, max_iters=2, val_interval=9)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler, cfg.log_processor = [], dict(by_epoch=False)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    torch.save(dict(state_dict=with_other_head(weights)), tmp_path / 'other.pth')
    runner = train(cfg, load_from=str(tmp_path / 'other.pth'))
    assert torch.equal(runner.model.backbone.conv1.weight, weights['backbone.conv1.weight'])
    assert len(tellings(cfg)) == 1


@pytest.mark.parametrize('change', ['another', 'unprefixed', 'nested', 'half'])
def test_less_than_half_of_the_backbone_stops_the_run(cfg, train, weights, tmp_path, change):
    path = tmp_path / 'wrong.pth'
    backbone = [key for key in weights if key.startswith('backbone.')]
    if change == 'another':
        content = {key.replace('backbone.', 'backbone.net.'): v for key, v in weights.items()}
    elif change == 'unprefixed':
        content = {key.split('.', 1)[1]: weights[key] for key in backbone}
    elif change == 'nested':
        content = dict(model=weights, epoch=3)
    else:  # most names, few numbers
        largest = sorted(backbone, key=lambda key: -weights[key].numel())[: len(backbone) // 3]
        content = {key: value for key, value in weights.items() if key not in largest}
    torch.save(content, path)
    with pytest.raises(RuntimeError, match='is not of this backbone: only .*% of its para') as told:
        train(cfg, load_from=str(path))
    assert str(path) in str(told.value) and "init_cfg=dict(type='Pretrained'" in str(told.value)
    assert not list(Path(cfg.work_dir).glob('*.pth'))


def test_a_resume_is_strict(cfg, train, weights, tmp_path):
    train(cfg)
    saved = torch.load(f'{cfg.work_dir}/epoch_1.pth', weights_only=False)
    cfg.train_cfg.max_epochs = 2
    for changed, message in (
        (with_other_head(weights), r'2 wrongly shaped keys \(head.final_layer.weight: \(5, '),
        ({k: v for k, v in weights.items() if 'final_layer' not in k}, '2 missing keys .*head.fi'),
        (dict(weights, more=torch.ones(1)), r"1 unexpected keys \['more'\]"),
    ):
        saved['state_dict'] = changed
        torch.save(saved, tmp_path / 'other.pth')
        with pytest.raises(RuntimeError, match=f'{message}.*resumed or tested must fit whole'):
            train(cfg, resume=True, load_from=str(tmp_path / 'other.pth'))


@pytest.mark.parametrize('loop', ['test', 'val'])
def test_a_classroom_that_is_tested_is_loaded_whole(cfg, weights, tmp_path, loop):
    torch.save(dict(state_dict=with_other_head(weights)), tmp_path / 'other.pth')
    cfg.load_from = str(tmp_path / 'other.pth')
    cfg.experiment_name = cfg.visualizer.name = f'tested_{loop}_{tmp_path.name}'
    with pytest.raises(RuntimeError, match='2 wrongly shaped keys'):
        getattr(Runner.from_cfg(cfg), loop)()


def test_tools_test_evaluates_no_half_loaded_student(cfg, weights, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg.custom_hooks = [dict(type='EMAHook'), *cfg.custom_hooks]
    cfg.experiment_name = cfg.visualizer.name = f'tools_{tmp_path.name}'
    cfg.dump(str(tmp_path / 'run.py'))
    torch.save(dict(state_dict=with_other_head(weights)), tmp_path / 'other.pth')
    torch.save(dict(state_dict=weights), tmp_path / 'whole.pth')
    main = test_command.main
    argv = [str(tmp_path / 'run.py'), '--work-dir', str(tmp_path / 'w')]
    with pytest.raises(RuntimeError, match="checkpoint='.*other.pth' does not fit the model: 2 wr"):
        main([*argv, str(tmp_path / 'other.pth')])
    main([*argv, str(tmp_path / 'whole.pth'), '--out', str(tmp_path / 'metrics.json')])
    assert 'coco/AP' in (tmp_path / 'metrics.json').read_text()


def test_without_the_hook_load_from_must_fit_whole_and_the_error_names_it(
    cfg, train, weights, tmp_path
):
    cfg.custom_hooks = []
    torch.save(dict(state_dict=with_other_head(weights)), tmp_path / 'other.pth')
    with pytest.raises(RuntimeError, match='wrongly shaped.*ClassroomHook, which tools/train.py'):
        train(cfg, load_from=str(tmp_path / 'other.pth'))


def test_by_hand_a_load_is_strict_and_a_copy_loads_as_the_student_does(cfg, weights):
    import copy

    from mmengine.runner.checkpoint import load_state_dict

    model = MODELS.build(cfg.model)
    short = {key: value for key, value in weights.items() if key != 'head.final_layer.bias'}
    with pytest.raises(RuntimeError, match=r"1 missing keys \['head.final_layer.bias'\]"):
        model.load_state_dict(short)
    with pytest.raises(RuntimeError, match='2 wrongly shaped keys'):
        model.load_state_dict(with_other_head(weights))
    with pytest.raises(RuntimeError, match='1 missing keys'):
        load_state_dict(model, short)
    average = copy.deepcopy(model)
    load_state_dict(average, short)
    assert torch.equal(average.backbone.conv1.weight, weights['backbone.conv1.weight'])


def test_old_names_that_the_library_renames_fit(cfg, weights):
    """MMPose's estimators read ``keypoint_head`` of its version 0 as ``head``."""
    model = MODELS.build(cfg.model)
    old = {re.sub('^head', 'keypoint_head', key): value for key, value in weights.items()}
    checkpoint = dict(state_dict=old)
    take_what_fits(model, checkpoint, 'old.pth')
    assert set(checkpoint['state_dict']) == set(model.state_dict())
    bias = checkpoint['state_dict']['head.final_layer.bias']
    assert torch.equal(bias, weights['head.final_layer.bias'])
