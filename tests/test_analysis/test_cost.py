"""What a classroom's step costs: what is timed, and how it is reported."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.datasets import BaseDataset
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import DATASETS, MODELS

from classroomkd_mm import ClassroomDistiller
from classroomkd_mm.analysis import cost
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.mentors import Mentor
from classroomkd_mm.parts import DistillLoss, build_part
from classroomkd_mm.structures import Reading

ROOT = Path(__file__).parents[2]


PARTS = ['student', 'mentor large', 'mentor medium', 'mentor small']
WORK = [*PARTS, 'classroom', 'classroom with memory', 'distillation loss']
RATIOS = [
    'classroom / sum of its parts',
    'classroom / student',
    'with memory / student',
    'distillation loss / classroom',
]


@pytest.fixture
def config(demo_config, tmp_path):
    cfg = demo_config('classroom')
    for mentor in cfg.model.mentors:
        mentor.checkpoint = '/nowhere.pth'  # no time depends on the weights
    cfg.dump(str(tmp_path / 'c.py'))
    return str(tmp_path / 'c.py')


def test_a_classroom_is_measured_against_its_parts(config, capsys):
    assert cost.main([config, '--batch-size', '2', '--rounds', '2']) == 0
    *lines, kept = capsys.readouterr().out.splitlines()[-len(WORK) - len(RATIOS) - 1 :]
    rows, ratios = lines[: len(WORK)], lines[len(WORK) :]
    assert kept == 'bytes a sample kept for backward: 52224, with one mentor 52224'
    assert [row[:22].rstrip() for row in rows] == WORK
    assert all(float(row[22:].split(' ms')[0]) > 0 for row in rows)
    assert [line.split(': ')[0] for line in ratios] == RATIOS
    assert all(line.endswith(' (median of 2 turns)') for line in ratios)


def test_a_program_reads_all_turns(config, capsys):
    assert cost.main([config, '--batch-size', '2', '--rounds', '2', '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found['seconds']) == WORK and list(found['ratios']) == RATIOS
    assert all(len(turns) == 2 for turns in found['seconds'].values())
    sums = [sum(turn) for turn in zip(*(found['seconds'][name] for name in PARTS))]
    ratios = sorted(w / s for w, s in zip(found['seconds']['classroom'], sums))
    assert found['ratios'][RATIOS[0]] == pytest.approx(sum(ratios) / 2)


def test_with_a_memory_no_mentor_runs_after_the_first_turn(config, tmp_path):
    work = cost.steps(Config.fromfile(config), 2, memory=str(tmp_path / 'memory'))
    work['classroom with memory']()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mentor, '__call__', lambda *args: pytest.fail('asked'))
        work['classroom with memory']()
        with pytest.raises(pytest.fail.Exception, match='asked'):
            work['classroom']()


def test_stock_inference_is_without_cheap_settings(config):
    cfg = Config.fromfile(config)
    for mentor in cfg.model.mentors:
        mentor.fuse = True
    norms, forward = [], torch.nn.BatchNorm2d.forward

    def watched(self, x):
        norms.append(self)
        return forward(self, x)

    work = cost.steps(cfg, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.BatchNorm2d, 'forward', watched)
        work['mentor large']()
    assert norms


def test_mentors_are_timed_by_cheap_settings_too(config, capsys):
    cheap = ['fuse,channels_last', 'dtype=bfloat16']
    flags = [flag for each in cheap for flag in ('--cheap', each)]
    assert cost.main([config, '--batch-size', '2', '--rounds', '2', '--json', *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [f'cheap {name}: {each}' for each in cheap for name in ('large', 'medium', 'small')]
    assert [name for name in found['seconds'] if name not in WORK] == names
    assert list(found['ratios']) == [*RATIOS, *(f'{name} / stock' for name in names)]
    last, stock = (found['seconds'][name] for name in (names[-1], 'mentor small'))
    want = sum(a / b for a, b in zip(last, stock)) / 2
    assert found['ratios'][f'{names[-1]} / stock'] == pytest.approx(want)


def test_forwards_run_in_autocast_and_backwards_outside(config, capsys, monkeypatch):
    seen, forward = set(), torch.nn.BatchNorm2d.forward

    def watched(self, x):
        seen.add((x.dtype, torch.is_grad_enabled()))
        return forward(self, x)

    monkeypatch.setattr(torch.nn.BatchNorm2d, 'forward', watched)
    argv = [config, '--batch-size', '2', '--rounds', '1', '--json', '--mentors', '1']
    assert cost.main([*argv, '--amp', 'bfloat16']) == 0
    # A memory's answers must not depend on a run's precision.
    assert seen == {(torch.bfloat16, True), (torch.bfloat16, False), (torch.float32, False)}
    found = json.loads(capsys.readouterr().out)['seconds']
    assert [name for name in found if name.startswith('mentor')] == ['mentor large']


def test_a_batch_that_comes_again_is_no_evidence(config, capfd):
    """Of mentors with random weights it would be said that their keypoints are others."""
    cost.main([config, '--batch-size', '8', '--rounds', '30'])
    assert 'in another order than its outputs' not in capfd.readouterr().err


def test_cheap_settings_are_those_of_a_mentor_whatever_the_config_has(demo_config, caplog):
    cfg = demo_config('classroom')
    cfg.model.mentors[0].update(channels_last=True, tolerance=1e-12)
    made = cost.with_cheap(cfg, cost.parsed('fuse,dtype=bfloat16')).model.mentors
    assert all(m.fuse is True and m.dtype == 'bfloat16' and 'channels_last' not in m for m in made)
    assert cfg.model.mentors[0].channels_last  # a copy
    with pytest.raises(ValueError, match='bfloat16, float16'):
        cost.steps(cfg, 2, cheap=['dtype=int8'])
    with pytest.raises(ValueError, match='did you mean fuse'):
        cost.steps(cfg, 2, cheap=['fused'])


def test_whole_runs_are_drawn(config, tmp_path, capsys):
    flags = ['--batch-size', '2', '--rounds', '1', '--plot', str(tmp_path / 'runs.png')]
    assert cost.main([config, *flags]) == 0
    assert plt.imread(tmp_path / 'runs.png').std() > 0.01


@pytest.mark.parametrize('epochs, views', [(1, 8), (8, 8), (9, 8), (100, 1), (100, float('inf'))])
def test_a_whole_run_is_the_sum_of_its_epochs(epochs, views):
    want = sum(6.4 if epoch < views else 1.03 for epoch in range(epochs)) / epochs
    assert cost.whole_run(6.4, 1.03, epochs, views) == pytest.approx(want)


def test_weights_are_loaded_where_it_is_asked(config, capsys):
    with pytest.raises(IN_WORDS, match='nowhere.pth'):
        cost.main([config, '--batch-size', '2', '--rounds', '1', '--weights'])


def test_what_is_kept_for_backward_does_not_grow_with_mentors(demo_config):
    kept = [cost.kept_for_backward(demo_config('classroom'), mentors) for mentors in (1, 2, 6)]
    assert kept == [17 * 32 * 24 * 4] * 3


@pytest.mark.parametrize('kind', ['KLDistillLoss', 'DKDDistillLoss', 'DISTDistillLoss'])
def test_a_mentor_of_some_classes_is_compared_on_those(kind):
    loss = build_part(dict(type=kind), DistillLoss)
    student = torch.randn(2, 1, 5, requires_grad=True)
    whole, few = torch.randn(2, 1, 5), torch.randn(2, 1, 3)
    readings = [
        Reading(whole[:, 0], (whole,)),
        Reading(few[:, 0], (few,), places=torch.tensor([0, 2, 4])),
    ]
    (gradient,) = torch.autograd.grad(cost.everybody(loss, student, [few], readings[1:]), student)
    assert (gradient[..., [1, 3]] == 0).all() and gradient[..., [0, 2, 4]].any(-1).all()
    assert cost.everybody(loss, student, [whole, few], readings).isfinite()


def test_the_student_is_timed_as_the_stock_model(demo_config, monkeypatch):
    """Nothing of the classroom is in what the classroom is compared with."""
    work = cost.steps(demo_config('classroom'), 2)

    def loss(self, *args, **kwargs):
        raise AssertionError('a lesson')

    monkeypatch.setattr(ClassroomDistiller, 'loss', loss)
    for name, call in work.items():
        if name != 'classroom':
            call()
    with pytest.raises(AssertionError, match='a lesson'):
        work['classroom']()


def test_a_mentor_is_timed_on_its_own_view_without_gradients(demo_config):
    cfg = demo_config('classroom')
    other = demo_config('mentor_small').model.to_dict()
    other['data_preprocessor'].update(mean=[0, 0, 0], std=[255, 255, 255])
    other['head']['decoder'].update(input_size=(96, 128), heatmap_size=(24, 32))
    cfg.model.mentors = [dict(name='other', config=other, checkpoint=None)]
    shapes, forward = [], torch.nn.Conv2d.forward

    def watched(self, x):
        shapes.append((tuple(x.shape), torch.is_grad_enabled()))
        return forward(self, x)

    work = cost.steps(cfg, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Conv2d, 'forward', watched)
        work['mentor other']()
    assert shapes[0] == ((2, 3, 128, 96), False)


@MODELS.register_module()
class SeenPreprocessor(ClsDataPreprocessor):
    """Remembers that it was asked."""

    seen = 0

    def forward(self, data, training=False):
        type(self).seen += 1
        return super().forward(data, training)


@DATASETS.register_module()
class GreyPictures(BaseDataset):
    """Three pictures without a file."""

    def load_data_list(self):
        grey = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28, 1)
        return [dict(img=grey, gt_label=label) for label in range(3)]


def test_a_classifiers_preprocessor_stands_beside_its_model():
    """In MMPretrain's configs; a step without it is another step."""
    cfg = Config.fromfile(ROOT / 'configs/cls/fashion_mnist/classroom.py')
    for mentor in cfg.model.mentors:
        mentor.config = str(ROOT / mentor.config)
    cfg.data_preprocessor.type = 'SeenPreprocessor'
    pack = [dict(type='PackInputs')]
    cfg.train_dataloader.dataset = dict(type='GreyPictures', ann_file='', pipeline=pack)
    work = cost.steps(cfg, 2)
    assert SeenPreprocessor.seen == 1
    work['student'](), work['classroom']()


def test_what_cannot_be_measured_is_said(demo_config, tmp_path):
    cfg = demo_config('classroom')
    cfg.dump(str(tmp_path / 'c.py'))
    with pytest.raises(IN_WORDS, match='--batch-size 99: there are 24 training samples'):
        cost.main([str(tmp_path / 'c.py'), '--batch-size', '99'])
    demo_config('alone').dump(str(tmp_path / 'a.py'))
    with pytest.raises(IN_WORDS, match='not a ClassroomDistiller'):
        cost.main([str(tmp_path / 'a.py')])
    cfg.train_dataloader.dataset.data_root = '/nowhere/'
    with pytest.raises(ValueError, match='the measurement needs the training data: .*/nowhere/'):
        cost.steps(cfg, 2)


def test_turns_that_warm_up_do_not_count():
    calls = []
    work = dict(student=lambda: calls.append('s'), classroom=lambda: calls.append('c'))
    times = cost.measure(work, rounds=2)
    assert [len(values) for values in times.values()] == [2, 2]
    assert calls == ['s', 'c'] * (2 + cost.WARM_UP)
