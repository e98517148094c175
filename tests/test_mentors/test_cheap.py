"""Cheap settings: the same answers for less, said once, and refused where they are others."""

import copy
import functools
import re
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn

from classroomkd_mm.analysis.compare import compare
from classroomkd_mm.mentors import CheapNetwork, InputView, Mentor, MentorSettings
from classroomkd_mm.mentors.cheap import Cheap, distance
from classroomkd_mm.mentors.memory.facts import differences, mentor_facts
from classroomkd_mm.registry import MODELS

INPUTS = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
SAFE = dict(fuse=True, channels_last=True)


@pytest.fixture
def entry(demo_config, tmp_path):
    """A mentor whose batch norms have something to fold into the convolutions."""
    cfg = demo_config('mentor_small')
    torch.manual_seed(0)
    network = MODELS.build(cfg.model)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.save(network.state_dict(), tmp_path / 'small.pth')
    cfg.dump(str(tmp_path / 'small.py'))
    return dict(name='m', config=str(tmp_path / 'small.py'), checkpoint=str(tmp_path / 'small.pth'))


@pytest.fixture
def members(demo_config):
    """``members(*entries, **settings)``: those of a demo classroom with these mentors."""

    def build(*entries, **settings):
        cfg = demo_config('classroom').model
        cfg.mentors = [dict(entry) for entry in entries]
        cfg.update(settings)
        return MODELS.build(cfg).members

    return build


@pytest.fixture
def said(monkeypatch):
    """What is logged."""
    lines = []
    monkeypatch.setattr(MMLogger, 'info', lambda self, line, *_: lines.append(line))
    return lines


@pytest.fixture
def eager(monkeypatch):
    """Compiles without generating code; what it has compiled is in the list."""
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, 'compile', functools.partial(torch.compile, backend=backend))
    torch.compiler.reset()
    return graphs


@pytest.mark.parametrize(
    'settings, within',
    [
        (dict(fuse=True), 1e-5),
        (dict(channels_last=True), 1e-5),
        (SAFE, 1e-5),
        (dict(compile=True), 1e-5),
        (dict(device='cpu'), 0),
        (dict(dtype='bfloat16'), 0.05),
        (dict(dtype='float16'), 0.01),
        (dict(SAFE, dtype='bfloat16', compile=True, device='cpu'), 0.05),
    ],
    ids=str,
)
def test_a_cheap_mentor_says_what_the_stock_one_says_and_how_far_off_it_is(
    entry, members, said, eager, settings, within
):
    (stock, _), (cheap, _) = members(entry, dict(entry, name='c', **settings))
    want, got = stock(INPUTS), cheap(INPUTS)
    (part,) = got.parts
    assert part.dtype == torch.float32 and part.is_contiguous() and got.finite.all()
    largest, mean = distance(got.parts, want.parts)
    assert mean <= largest <= within and (largest > 0 or not {'fuse', 'dtype'} & set(settings))
    again = cheap(INPUTS)
    assert torch.equal(again.parts[0], part)
    (line,) = [line for line in said if 'outputs moved' in line]
    words = ', '.join(f'{key}={settings[key]!r}' for key in vars(Cheap()) if key in settings)
    limit = 0.1 if 'dtype' in settings else 0.01
    moved = f'by {largest:.2g} of their range at most, by {mean:.2g} on average'
    assert line == f"mentor 'c' with {words}: outputs moved {moved} (tolerance {limit})"
    assert bool(eager) == ('compile' in settings) and cheap.cheap.stock is None
    # Only those behind the two transposed convolutions are left.
    left = sum(isinstance(module, nn.BatchNorm2d) for module in cheap.network.modules())
    assert (left == 2) == ('fuse' in settings)
    assert not any(p.requires_grad for p in cheap.network.parameters())


def test_distance_against_a_plain_loop():
    stock, ours = [torch.randn(2, 3), torch.randn(2, 4)], [torch.randn(2, 3), torch.randn(2, 4)]
    off = []
    for theirs, mine in zip(stock, ours):
        reach = float(theirs.max()) - float(theirs.min())
        off += [abs(float(a) - float(b)) / reach for a, b in zip(mine.view(-1), theirs.view(-1))]
    assert distance(ours, stock) == pytest.approx((max(off), sum(off) / len(off)))


class Crossed(nn.Module):
    """Its batch norm is not of the convolution that is written before it."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = nn.Module()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.norm.running_mean.fill_(1.0)
        self.test_cfg = None

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.conv2(self.norm(self.conv1(inputs)).relu())


def mentor(network, **settings):
    view = InputView(False, torch.ones(3, 1, 1), torch.zeros(3, 1, 1), True)
    return Mentor('m', network, view, cheap=CheapNetwork(network, Cheap(**settings), 'mentor m'))


def test_outputs_beyond_the_tolerance_are_refused(entry, members):
    text = r"mentor 'm' with fuse=True: its outputs move by \d.* of their range at most, by .* on "
    end = r'average, which is beyond tolerance=0.01: take fuse out, or set tolerance= above it'
    with pytest.raises(ValueError, match=text + end):
        mentor(Crossed(), fuse=True)(INPUTS)
    mentor(Crossed(), fuse=True, tolerance=10)(INPUTS)
    ((strict, _),) = members(dict(entry, **SAFE, dtype='bfloat16', tolerance=1e-6))
    for _ in range(2):  # as long as somebody asks
        with pytest.raises(ValueError, match='take fuse, channels_last or dtype out, or set toler'):
            strict(INPUTS)


def test_what_is_not_finite():
    broken = mentor(Crossed(), dtype='bfloat16')
    assert not broken(INPUTS * float('nan')).finite.any() and broken.cheap.stock is not None
    assert broken(INPUTS).finite.all() and broken.cheap.stock is None  # the next batch was compared
    overflows = mentor(Crossed(), dtype='float16')
    for network in (overflows.network, overflows.stock):
        nn.init.constant_(network.conv2.bias, 1e6)
    with pytest.raises(ValueError, match="m' with dtype='float16': its outputs move by (inf|nan)"):
        overflows(INPUTS)


def test_in_a_run_in_reduced_precision_rounding_is_no_wrong_setting(entry, members):
    ((fused, _),) = members(dict(entry, **SAFE))
    with torch.autocast('cpu', torch.bfloat16):
        fused(INPUTS)
    assert fused.cheap.stock is None


def test_a_failure_names_the_settings(entry, members, monkeypatch):
    ((half, _),) = members(dict(entry, dtype='float16'))

    def lacking(*_, **__):
        raise RuntimeError('"scan" not implemented for \'Half\'')

    monkeypatch.setattr(half.network, 'forward', lacking)
    with pytest.raises(RuntimeError, match=r"'m' \(.*, dtype='float16'\) fails .*for 'Half'"):
        half(INPUTS)
    there = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"'m': device='cuda:{there}' cannot be done here .*out"):
        members(dict(entry, device=f'cuda:{there}'))
    network = Crossed()
    network.norm = nn.BatchNorm2d(4, affine=False)
    with pytest.raises(ValueError, match='mentor m: fuse=True cannot be done here .*: take it out'):
        mentor(network, fuse=True)


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(channel_last=True), 'channel_last: did you mean channels_last'),
        (dict(dytpe='float16'), 'dytpe: did you mean dtype'),
        (dict(fuse=1), "mentor 'm': fuse=1 must be True or False"),
        (dict(compile='yes'), "mentor 'm': compile='yes' must be True or False"),
        (dict(dtype='float64'), "mentor 'm': dtype='float64' must be one of bfloat16, float16"),
        (dict(device='gpu'), "mentor 'm': device='gpu' is none; 'cuda:1', for example, is"),
        (dict(batch_size=0), "mentor 'm': batch_size=0 must be a whole number above 0"),
        (dict(batch_size=2.0), "mentor 'm': batch_size=2.0 must be a whole number above 0"),
        (dict(tolerance=0), "mentor 'm': tolerance=0 must be a number above 0"),
        (dict(tolerance=True), "mentor 'm': tolerance=True must be a number above 0"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MentorSettings.of(dict(name='m', config={}, checkpoint=None, **settings), 0)


def test_nothing_is_on_by_default_and_off_is_as_if_not_there(entry, members):
    assert MentorSettings.of(entry, 0).cheap == Cheap() and Cheap().changes == {}
    off = dict(fuse=False, channels_last=False, dtype=None, compile=False, device=None)
    ((stock, _),) = members(dict(entry, **off, tolerance=0.5))
    assert stock.cheap is None and stock.stock is stock.network


def test_who_has_the_same_settings_shares_a_network_and_is_compared_once(entry, members, said):
    entries = [dict(entry, name=name, fuse=name != 'other') for name in ('a', 'b', 'other')]
    (a, one), (b, two), (c, three) = members(*entries)
    assert a.network is b.network is not c.network and a.source == b.source != c.source
    assert one.readout == two.readout == three.readout and one.crop == two.crop == three.crop
    for each in (a, b, c):
        each(INPUTS)
    assert len([line for line in said if 'outputs moved' in line]) == 1


def test_inputs_that_need_no_adapting_are_one_tensor_for_all(entry, members):
    built = [m for m, _ in members(entry, dict(entry, name='c', **SAFE, dtype='bfloat16'))]
    given = []
    for each in built:
        each(INPUTS)  # compared: from now on one forward for each question
        each.network.backbone.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    for each in built:
        assert each.view(INPUTS) is INPUTS is each.shown(INPUTS)
        each(INPUTS)
    assert len(given) == 2 and all(tensor is INPUTS for tensor in given)


def test_a_mentor_with_its_own_device_stays_there(entry, members):
    (own, _), (follows, _) = members(dict(entry, device='cpu'), dict(entry, name='f', fuse=True))
    for each, dtype in ((own, torch.float32), (follows, torch.float64)):
        moved = each.moved(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)
        assert moved.network is each.network and moved.view.gain.dtype == torch.float64
        assert {p.dtype for p in each.network.parameters()} == {dtype}
        assert {p.dtype for p in each.stock.parameters()} == {torch.float64}  # the student's
    for settings, place in ((dict(fuse=True), 'meta'), (dict(device='cpu'), 'cpu')):
        kept = mentor(Crossed(), **settings).moved(lambda tensor: tensor.to('meta'))
        assert {p.device.type for p in kept.network.parameters()} == {place}


def test_asked_for_a_few_samples_at_a_time_it_is_never_shown_more(entry, members):
    (stock, _), (few, _) = members(entry, dict(entry, name='few', batch_size=2))
    five, shown = INPUTS.repeat(3, 1, 1, 1)[:5], []
    for network in (few.network, few.cheap.stock):
        network.backbone.register_forward_pre_hook(lambda _, args: shown.append(len(args[0])))
    answer = few(five)
    assert shown == [2, 2, 1] * 2  # compared with the stock network likewise
    assert torch.allclose(answer.parts[0], stock(five).parts[0], atol=1e-5) and answer.finite.all()


def test_a_mentor_with_its_own_device_begins_before_the_student(demo_config, entry, people):
    cfg = demo_config('classroom')
    apart = [dict(entry, name=name, device='cpu') for name in ('there', 'twin')]
    cfg.model.mentors = [dict(entry, name='here'), *apart]
    model, turns = MODELS.build(cfg.model), []
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    model.prepare(loader.dataset)
    batch = model.data_preprocessor(next(iter(loader)), True)
    here, there, twin = (mentor.network for mentor in model.mentors)
    assert twin is there
    for name, network in dict(student=model, here=here, there=there).items():
        network.backbone.register_forward_pre_hook(lambda *_, name=name: turns.append(name))
    losses = model.loss(**batch)
    assert turns == ['there', 'student', 'here']  # the same network given twice is asked once
    assert losses['classroom/here/score'] == losses['classroom/there/score']


def test_a_whole_run_with_evaluation_compares_before_the_first_iteration(
    demo_config, entry, train, eager
):
    """Also that the lesson, which is not compiled, does not stop a mentor from being so."""
    tables = []
    for name, settings in (('stock', {}), ('cheap', dict(SAFE, compile=True, device='cpu'))):
        cfg = demo_config('classroom')
        cfg.model.mentors = [dict(entry, **settings), dict(entry, name='n', **settings)]
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='classroomkd_mm.MentorEvalHook')]
        cfg.work_dir += name
        cfg.train_cfg.max_epochs = 1
        runner = train(cfg)
        (log,) = Path(cfg.work_dir).rglob('*.log')
        text = log.read_text()
        tables.append(text.split('Mentors on the validation set')[1].split('\n2')[0])
        assert text.count('outputs moved') == (name == 'cheap') and runner.iter == 3
    assert tables[0] == tables[1] and 'coco/AP' in tables[0]
    assert text.index('outputs moved') < text.index('Epoch(train)') and eager


def test_stock_inference_takes_a_fused_network(demo_config, entry):
    """What tools/compare_mentors asks of it."""
    found = []
    for settings in ({}, dict(SAFE, device='cpu')):
        cfg = demo_config('classroom')
        cfg.model.mentors = [dict(entry, **settings)]
        found.append(compare(cfg, 3)['m'])
    assert found[0].shape[0] == 2 and found[1] == pytest.approx(found[0], abs=0.01)


def test_a_memory_is_of_a_precision_but_of_no_other_cheap_setting(entry, members, tmp_path):
    stock, fused, half = (
        mentor_facts(MentorSettings.of(dict(entry, **settings), 0))
        for settings in ({}, dict(SAFE, compile=True), dict(dtype='bfloat16'))
    )
    assert stock == fused and 'dtype' not in stock['config']
    assert differences(half, stock) == ['dtype: bfloat16 in the memory, not set here']
    assert differences(stock, half) == ['dtype: not set in the memory, bfloat16 here']


def test_random_weights_are_the_same_ones_when_they_are_fused(entry, members, tmp_path):
    memory, rand = dict(dir=str(tmp_path / 'memory')), dict(entry, checkpoint=None)
    torch.manual_seed(0)
    ((plain, _),) = members(rand, memory=memory)
    ((fused, _),) = members(dict(rand, **SAFE), memory=memory)
    assert plain.memory.mentor == fused.memory.mentor
    assert plain.memory.portrait == fused.memory.portrait
    assert copy.copy(fused.shown(INPUTS)).equal(INPUTS) and fused.live.cheap.stock is not None
