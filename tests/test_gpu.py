"""What only a GPU shows. Without one all of it is skipped, as `pytest -rs` says."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from classroomkd_mm.analysis import cost
from classroomkd_mm.analysis.check import build_classroom, first_samples, training_set
from classroomkd_mm.datasets import FixedViews

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
CONFIGS = Path(__file__).parents[1] / 'configs'
KINDS = dict(heatmap='mmpose', simcc='mmpose', classes='mmpretrain')
CONSENT = dict(balance=0.1, balance_odds=2, conflict='project')


@pytest.fixture(params=KINDS)
def cfg(request, demo_config, fashion):
    """A classroom of each kind of head, with mentors of random weights."""
    with DefaultScope.overwrite_default_scope(KINDS[request.param]):
        if request.param == 'classes':
            yield fashion('classroom')
            return
        found = demo_config('classroom')
        if request.param == 'simcc':
            found.merge_from_dict(simcc())
        found.model.student.train_cfg = dict(compute_acc=False)  # MMPose reckons it by numpy
        yield found


def simcc():
    """The model, and the data's codec, of the drawn people with RTMPose's head."""
    found = Config.fromfile(CONFIGS / 'pose/synthetic_rtmpose/classroom.py')
    for mentor in found.model.mentors:
        mentor.update(config=str(CONFIGS.parent / mentor.config), checkpoint=None)
    pipeline = found.train_dataloader.dataset.pipeline
    return dict(
        model=dict(found.model, _delete_=True),
        train_dataloader=dict(dataset=dict(pipeline=pipeline)),
    )


def lesson(cfg, device, dataset, **memory):
    """A classroom on a device and a batch there: always the same weights, and augmentations."""
    torch.manual_seed(0)
    model = build_classroom(cfg, memory=memory or None).to(device).train()
    model.prepare(dataset)
    np.random.seed(0)
    return model, model.data_preprocessor(first_samples(dataset, 8, '--batch-size'), True)


def step(model, data):
    """A training step, and its losses."""
    model.zero_grad()
    total, told = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    return told


@pytest.fixture
def exact():
    """Convolutions in float32, as a CPU has them; products are by default."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def no_accuracy(output, **told):
    return None, output[0].new_zeros(()), None


@pytest.fixture
def waits_for_nothing(monkeypatch):
    """Whoever waits for the GPU is an error, in the backward pass as well.

    But for RTMCCHead, which reckons its accuracy by numpy, whether it is asked to or not.
    """
    head = 'mmpose.models.heads.coord_cls_heads.rtmcc_head'
    monkeypatch.setattr(f'{head}.to_numpy', lambda output: output)
    monkeypatch.setattr(f'{head}.simcc_pck_accuracy', no_accuracy)
    yield lambda: torch.cuda.set_sync_debug_mode('error')
    torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('consent', [{}, CONSENT])
def test_a_lesson_is_the_cpus(cfg, exact, consent):
    cfg.model.distill_loss.update(consent)
    dataset = training_set(cfg, 'the test')
    told, gradients = [], []
    for device in ('cpu', 'cuda'):
        model, data = lesson(cfg, device, dataset)
        MessageHub.get_current_instance().update_info('iter', 0)
        told.append({key: float(value) for key, value in step(model, data).items()})
        gradients.append([p.grad.cpu() for p in model.parameters() if p.grad is not None])
    assert told[1] == pytest.approx(told[0], rel=2e-3, abs=1e-5)
    norm = torch.cat([each.flatten() for each in gradients[0]]).norm()
    apart = torch.cat([(a - b).flatten() for a, b in zip(*gradients)]).norm()
    assert apart < 1e-2 * norm


@pytest.mark.parametrize('kind', ['live', 'remembered', 'consent', 'cheap'])
@pytest.mark.parametrize('amp', [None, torch.float16, torch.bfloat16])
def test_a_step_waits_for_nothing(cfg, kind, amp, tmp_path, waits_for_nothing):
    """But for what is looked at once, in the first."""
    dataset, memory = training_set(cfg, 'the test'), {}
    if kind == 'remembered':
        dataset, memory = FixedViews(dataset, views=1), dict(dir=str(tmp_path / 'memory'))
    if kind == 'consent':
        cfg.model.distill_loss.update(CONSENT)
    if kind == 'cheap':
        cfg = cost.with_cheap(cfg, dict(fuse=True, channels_last=True, dtype='float16'))
    model, data = lesson(cfg, 'cuda', dataset, **memory)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for i in range(3):
        MessageHub.get_current_instance().update_info('iter', 10 * i)  # mentors are looked at, too
        if i:
            waits_for_nothing()
        with torch.autocast('cuda', amp or torch.float16, enabled=amp is not None):
            losses = model(**data, mode='loss')
        model.parse_losses(losses)[0].backward()
        optimizer.step()
    torch.cuda.set_sync_debug_mode('default')
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('settings', [
    dict(device='cuda:0'), dict(dtype='float16'), dict(dtype='bfloat16', channels_last=True),
    dict(fuse=True, channels_last=True), dict(compile=True),
])  # fmt: skip
@pytest.mark.parametrize('student', ['cpu', 'cuda'])
def test_mentors_of_cheap_settings_answer_as_stock_ones(demo_config, settings, student):
    """Also where the student is on another device than they: it is asked for its own."""
    cfg = demo_config('classroom')
    if student == 'cpu' and settings.get('dtype') == 'float16':
        pytest.skip('float16 is for GPUs')
    dataset = training_set(cfg, 'the test')
    stock, data = lesson(cfg, student, dataset)
    cheap, _ = lesson(cost.with_cheap(cfg, settings), student, dataset)
    for one, other in zip(stock.mentors, cheap.mentors):
        want = one(data['inputs'], (), data['data_samples']).parts[0]
        wait = other.begin(data['inputs'], data['data_samples'])
        assert (wait is not None) == ('device' in settings)
        found = wait() if wait else other(data['inputs'], (), data['data_samples'])
        assert found.parts[0].device.type == student
        assert cost_of(found.parts[0], want) < (0.1 if 'dtype' in settings else 0.01)


def cost_of(found, want):
    return float((found - want).abs().max() / (want.max() - want.min()))


def test_what_a_step_takes_does_not_grow_with_mentors(demo_config):
    """One map is kept for the backward pass, and mentors' own activations are let go."""
    found = []
    for number in (1, 3):
        cfg = copy.deepcopy(demo_config('classroom'))
        cfg.model.mentors = [dict(cfg.model.mentors[0], name=f'm{i}') for i in range(number)]
        work = cost.steps(cfg, 8, 'cuda')
        cost.measure(work, 1, 'cuda')
        found.append(cost.peaks(work))
    maps = 8 * 17 * 32 * 24 * 4
    assert found[1]['classroom'] < found[0]['classroom'] + 2 * 6 * maps
    assert found[1]['student'] == found[0]['student']


def test_cost_tells_memory_and_times_autocast(demo_config, tmp_path, capsys):
    cfg = demo_config('classroom')
    cfg.dump(str(tmp_path / 'c.py'))
    argv = [str(tmp_path / 'c.py'), '--batch-size', '4', '--rounds', '1', '--device', 'cuda']
    assert cost.main([*argv, '--amp', 'float16', '--mentors', '1']) == 0
    lines = capsys.readouterr().out.splitlines()
    timed = [line for line in lines if ' ms' in line]
    assert [line.split('  ')[0] for line in timed] == [
        'student', 'mentor large', 'classroom', 'classroom with memory', 'distillation loss',
    ]  # fmt: skip
    assert all(line.endswith(' MB') for line in timed)
