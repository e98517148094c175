"""Lessons that neither outweigh nor contradict the labels, with real students and mentors."""

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample
from torch import nn

from classroomkd_mm import consent, distiller
from classroomkd_mm.functional import gradient_norm
from classroomkd_mm.parts import DistillLoss, build_part
from classroomkd_mm.registry import MODELS

SIMCC = dict(
    type='SimCCLabel', input_size=(48, 64), sigma=(2.0, 2.3), simcc_split_ratio=2.0, normalize=False
)
KL = dict(type='KLDistillLoss', loss_weight=0.5)
CLASSES = 5


def simcc_head():
    return dict(
        type='RTMCCHead', in_channels=64, out_channels=17, input_size=SIMCC['input_size'],
        in_featuremap_size=(2, 2), simcc_split_ratio=2.0, final_layer_kernel_size=1,
        gau_cfg=dict(hidden_dims=16, s=8, expansion_factor=2, dropout_rate=0.0, drop_path=0.0,
                     act_fn='SiLU', use_rel_bias=False, pos_enc=False),
        loss=dict(type='KLDiscretLoss', use_target_weight=True, beta=10.0, label_softmax=True),
        decoder=dict(SIMCC),
    )  # fmt: skip


def classifier():
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor', mean=[0.0], std=[1.0]),
        backbone=dict(
            type='classroomkd_mm.CIFARResNet', depth=8, widths=(4, 4, 4, 4), in_channels=1
        ),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=4),
    )


def pictures(soft=False):
    torch.manual_seed(1)
    samples = [DataSample().set_gt_label(label) for label in torch.randint(0, CLASSES, (6,))]
    if soft:  # as mixup makes them
        samples = [s.set_gt_score(torch.rand(CLASSES).softmax(0)) for s in samples]
    return dict(inputs=torch.rand(6, 1, 16, 16) * 255, data_samples=samples)


@pytest.fixture
def classroom(demo_config, packed):
    """``classroom(kind, **loss)``: a model in training mode and a batch that is preprocessed."""

    def make(kind, **loss):
        cfg = demo_config('classroom').model
        cfg.knowledge_filter = dict(type='KnowledgeFilter', task_bias=0.5)
        cfg.distill_loss = {**KL, 'beta': 10.0 if kind == 'heatmaps' else 1.0, **loss}
        scope = 'mmpose'
        if kind == 'simcc':
            cfg.student.backbone.strides = (1, 2, 2, 2)
            cfg.student.head = simcc_head()
        if kind.startswith('classes'):
            mentors = [dict(name=n, config=classifier(), checkpoint=None) for n in 'ab']
            cfg.scorer = None
            cfg.student, cfg.mentors, scope = classifier(), mentors, 'mmpretrain'
            cfg.knowledge_filter = dict(type='UniformFilter', task_weight=0.5)
        with DefaultScope.overwrite_default_scope(scope):
            torch.manual_seed(0)
            model = MODELS.build(cfg)
            model.init_weights()
            for mentor in model.mentors if scope == 'mmpretrain' else ():
                mentor.network.head.fc.weight.data.mul_(100)  # sure of what is often wrong
            torch.manual_seed(2)
            data = pictures('soft' in kind) if scope == 'mmpretrain' else packed(4)
            return model.train(), model.data_preprocessor(data, True)

    return make


def at_output(model, data):
    """A lesson's losses, and both sides' gradients at the output of the student's head."""
    kept = []
    forward = model.task.forward

    def keep(student, inputs):
        feats, output = forward(student, inputs)
        kept.extend([output] if isinstance(output, torch.Tensor) else output)
        return feats, output

    model.task.forward = keep
    try:
        losses = model(**copy.deepcopy(data), mode='loss')
    finally:
        del model.task.forward
    task = sum(v for k, v in losses.items() if 'loss_task' in k)
    both = (losses['loss_distill'], task)
    return losses, *(torch.autograd.grad(x, kept, retain_graph=True) for x in both)


def weights_gradient(model, data):
    model.zero_grad()
    losses = model(**copy.deepcopy(data), mode='loss')
    model.parse_losses(losses)[0].backward()
    grads = [p.grad.clone() for p in model.parameters()]
    return {k: v for k, v in losses.items() if 'loss' in k}, grads


KINDS = ['heatmaps', 'simcc', 'classes', 'classes soft']


@pytest.mark.parametrize('kind', KINDS)
def test_where_nothing_is_asked_nothing_changes(classroom, kind, monkeypatch):
    """To the bit, also beside a lesson that nobody has looked at."""
    model, data = classroom(kind)
    losses, grads = weights_gradient(model, data)
    monkeypatch.setattr(distiller, 'consented', lambda distill, *_: (distill, None))
    want, expected = weights_gradient(model, data)
    assert losses['loss_distill'] > 0
    assert all(torch.equal(losses[key], want[key]) for key in want)
    assert all(torch.equal(a, b) for a, b in zip(grads, expected))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('rho', [0.1, 0.5])
@pytest.mark.parametrize('per', ['batch', 'sample'])
def test_a_lesson_weighs_rho_times_the_task(classroom, kind, rho, per):
    model, data = classroom(kind, loss_weight=5.0)
    before, plain, task = at_output(model, data)
    model.distill_loss.balance, model.distill_loss.balance_per = rho, per
    losses, lesson, same = at_output(model, data)
    heavy = gradient_norm(plain, per) > rho * gradient_norm(task, per)
    want = torch.where(heavy, rho * gradient_norm(task, per), gradient_norm(plain, per))
    assert heavy.any()
    torch.testing.assert_close(gradient_norm(lesson, per), want)
    assert all(torch.equal(a, b) for a, b in zip(task, same))
    ratio = gradient_norm(plain)[0] / gradient_norm(task)[0]
    after = gradient_norm(lesson)[0] / gradient_norm(task)[0]
    torch.testing.assert_close(losses['classroom/lesson_to_task'], ratio)
    torch.testing.assert_close(losses['classroom/lesson_to_task_after'], after)
    assert 'classroom/lesson_to_task_after' not in before
    share = losses['loss_distill'] / before['loss_distill']
    torch.testing.assert_close(share, after / ratio)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('conflict', ['keep', 'project'])
@pytest.mark.parametrize('per', ['batch', 'sample'])
@pytest.mark.parametrize('power', [True, 2, 0.5])
def test_a_lesson_may_weigh_more_the_more_of_it_agrees(classroom, kind, conflict, per, power):
    """By the odds of the whole lesson, also where what contradicts is taken out of it."""
    model, data = classroom(kind, loss_weight=50.0, conflict=conflict)
    if kind == 'heatmaps':  # a student that is right where its mentors are not
        with torch.no_grad():
            model.head.final_layer.bias += 1
    loss = model.distill_loss
    _, heavy, task = at_output(model, data)
    loss.conflict = 'keep'
    _, plain, _ = at_output(model, data)
    loss.conflict, loss.balance, loss.balance_per, loss.balance_odds = conflict, 0.01, per, power
    _, lesson, _ = at_output(model, data)
    votes = [
        torch.sign((a * b).flatten(2).sum(-1)) if a.dim() > 2 else torch.sign((a * b).sum(-1, True))
        for a, b in zip(plain, task)
    ]
    votes = torch.cat(votes, dim=-1)
    votes = votes if per == 'sample' else votes.view(1, -1)
    odds = torch.stack([((row > 0).sum() + 1) / ((row < 0).sum() + 1) for row in votes])
    limit = 0.01 * odds**power * gradient_norm(task, per)
    assert (limit < gradient_norm(heavy, per)).any()
    want = torch.minimum(gradient_norm(heavy, per), limit)
    torch.testing.assert_close(gradient_norm(lesson, per), want, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('rule', [dict(), dict(balance=0.2, conflict='project')])
def test_a_lesson_fades_evenly_over_the_run(classroom, kind, rule, monkeypatch):
    """After what else is asked; where no runner trains it does not."""
    model, data = classroom(kind, loss_weight=5.0, **rule)
    whole, plain, _ = at_output(model, data)
    model.distill_loss.fade = True
    for told, left in [
        ({}, 1.0),
        (dict(iter=0, max_iters=8), 1.0),
        (dict(iter=6, max_iters=8), 0.25),
    ]:
        monkeypatch.setattr(consent.MessageHub, 'get_current_instance', lambda told=told: Hub(told))
        losses, lesson, _ = at_output(model, data)
        for got, want in zip(lesson, plain):
            torch.testing.assert_close(got, want * left)
        torch.testing.assert_close(losses['loss_distill'], whole['loss_distill'] * left)


class Hub(dict):
    """What a runner tells, in place of MMEngine's hub."""

    get_info = dict.get


@pytest.mark.parametrize('kind', KINDS)
def test_a_lesson_that_is_light_enough_is_itself(classroom, kind):
    model, data = classroom(kind)
    losses, grads = weights_gradient(model, data)
    model.distill_loss.balance = 1e9
    same, expected = weights_gradient(model, data)
    assert torch.equal(losses['loss_distill'], same['loss_distill'])
    for a, b in zip(grads, expected):
        torch.testing.assert_close(a, b)


def dots(lesson, task):
    """Of each keypoint's gradients, or each sample's, relative to their size."""
    found = []
    for a, b in zip(lesson, task):
        first = 2 if a.dim() > 2 else 1
        a, b = a.double().flatten(first), b.double().flatten(first)
        found.append(((a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + 1e-30)).flatten())
    return torch.cat(found)


@pytest.mark.parametrize('kind', KINDS)
def test_a_projected_lesson_contradicts_no_label(classroom, kind):
    model, data = classroom(kind)
    if kind == 'heatmaps':  # a student that is right where its mentors are not
        with torch.no_grad():
            model.head.final_layer.bias += 1
    _, plain, task = at_output(model, data)
    model.distill_loss.conflict = 'project'
    losses, lesson, _ = at_output(model, data)
    before, after = dots(plain, task), dots(lesson, task)
    assert (before < 0).any() and (after > -1e-5).all()
    torch.testing.assert_close(after[before > 0], before[before > 0])
    share = (before < 0).sum() / (before != 0).sum()
    torch.testing.assert_close(losses['classroom/against'], share.float())
    assert losses['classroom/lesson_to_task_after'] < losses['classroom/lesson_to_task']


@pytest.mark.parametrize('kind', ['heatmaps', 'simcc', 'classes'])
def test_each_mentor_s_contradictions_are_counted(classroom, kind, monkeypatch):
    """One after the other, by loops: would its answer in place of the student's help the label?"""
    monkeypatch.setitem(consent.MessageHub.get_current_instance()._runtime_info, 'iter', 0)
    model, data = classroom(kind, loss_weight=5.0)
    kept = []
    monitored = consent.contradictions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            distiller, 'contradictions', lambda *told: kept.append(told) or monitored(*told)
        )
        _, _, task = at_output(model, data)
    student, mentors, lesson, *_ = kept[0]
    scale = model.distill_loss.sharpness
    for m, mentor in enumerate(mentors):
        against = looked = 0
        for own, z, theirs in zip(task, student.parts, mentor.parts):
            way = (z.softmax(-1) - theirs.softmax(-1)) * scale
            own = own.reshape(z.shape)
            for n in range(z.shape[0]):
                for k in range(z.shape[1]):
                    along = float((way[n, k] * own[n, k]).sum())
                    listens = lesson.active[m, n, min(k, lesson.active.shape[-1] - 1)]
                    looked += bool(listens) and bool(own[n, k].any())
                    against += bool(listens) and along < 0
        line = model.record.line()['mentors'][model.mentors[m].name]
        assert looked and line['against'] == pytest.approx(against / looked)


def test_a_mentor_is_looked_at_by_itself_in_every_tenth_iteration(classroom, monkeypatch):
    model, data = classroom('classes')
    seen = []
    for i in (0, 1, 9, 10):
        monkeypatch.setitem(consent.MessageHub.get_current_instance()._runtime_info, 'iter', i)
        model(**copy.deepcopy(data), mode='loss')
        seen.append(bool(model.record.against[1].any()))
    assert seen == [True, False, False, True]


def test_projection_comes_before_balance(classroom):
    model, data = classroom('simcc', loss_weight=50.0, balance=0.5, conflict='project')
    _, lesson, task = at_output(model, data)
    assert (dots(lesson, task) > -1e-5).all()
    torch.testing.assert_close(gradient_norm(lesson), 0.5 * gradient_norm(task))


@pytest.mark.parametrize('kind', ['heatmaps', 'simcc', 'classes'])
def test_under_float16_nothing_is_too_small(classroom, kind):
    model, data = classroom(kind, loss_weight=5.0, balance=0.1)
    with torch.autocast('cpu', dtype=torch.float16):
        losses, lesson, _ = at_output(model, data)
    assert lesson[0].dtype is torch.float16 and losses['classroom/lesson_to_task'] > 0.1
    after = losses['classroom/lesson_to_task_after']
    torch.testing.assert_close(after, torch.tensor(0.1), rtol=1e-5, atol=0)


@pytest.mark.parametrize('kind', ['heatmaps', 'simcc', 'classes'])
def test_in_half_precision_gradients_meet_in_float32(classroom, kind):
    """At the head's bfloat16 output they are rounded to three digits, and no more is lost."""
    model, data = classroom(kind, loss_weight=5.0, balance=0.1, conflict='project')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses, lesson, task = at_output(model, data)
    assert lesson[0].dtype is torch.bfloat16
    after = losses['classroom/lesson_to_task_after']
    torch.testing.assert_close(after, torch.tensor(0.1), rtol=1e-5, atol=0)
    rounded = gradient_norm(lesson)[0] / gradient_norm(task)[0]
    torch.testing.assert_close(rounded, after, rtol=1e-2, atol=0)
    assert consent.in_float32((torch.ones(1).half(), torch.ones(1)))[0].dtype is torch.float32


def test_gradients_too_small_for_float16_are_compared(classroom):
    """Of a mean over all places of a batch: a value of 1e-9 is 0 in float16."""
    output = torch.rand(4, 17, 32, 24).half().requires_grad_()
    wide = consent.in_float32(output)
    task = 1e-4 * nn.functional.mse_loss(wide, torch.rand(4, 17, 32, 24))
    rule = build_part(dict(type='KLDistillLoss', balance=1.0), DistillLoss)
    loss, pull = consent.consented(wide.softmax(-1).square().sum(), task, wide, rule)
    assert 0 < pull.task < 1e-6 < pull.lesson
    torch.testing.assert_close(pull.given, pull.task)
    (got,) = torch.autograd.grad(loss, wide)
    torch.testing.assert_close(gradient_norm([got])[0], pull.task)


@pytest.mark.parametrize('per', ['sample', 'batch'])
def test_two_processes_with_half_a_batch_each(classroom, per):
    """A sample's factor is the same in any batch; each half of a batch has its own."""
    model, data = classroom('heatmaps', loss_weight=5.0, balance=0.1, balance_per=per)
    model.eval()

    def gradient(part):
        half = dict(inputs=data['inputs'][part], data_samples=data['data_samples'][part])
        return at_output(model, half)[1][0]

    whole = gradient(slice(0, 4))
    halves = torch.cat([gradient(slice(0, 2)), gradient(slice(2, 4))]) / 2
    same = torch.allclose(halves, whole, rtol=1e-3, atol=1e-9)
    assert same == (per == 'sample')


def test_without_labels_there_is_no_balanced_lesson_and_no_nan(classroom):
    model, data = classroom('heatmaps', balance=1.0, conflict='project')
    for sample in data['data_samples']:
        sample.gt_instance_labels.keypoint_weights.zero_()
    losses, grads = weights_gradient(model, data)
    assert losses['loss_distill'] == 0 and all((g == 0).all() for g in grads)
    told = model.record.scalars()
    assert told['classroom/lesson_to_task'] == told['classroom/lesson_to_task_after'] == 0


@pytest.mark.parametrize('balance', [None, 1.0])
def test_a_task_that_is_not_made_of_the_output_has_no_gradient_there(balance):
    """It counts as 0: a balanced lesson is not given, one that is only projected stays."""
    output, elsewhere = torch.rand(2, 3, requires_grad=True), torch.ones(1, requires_grad=True)
    rule = build_part(dict(KL, balance=balance, conflict='project'), DistillLoss)
    for task in (elsewhere.sum(), torch.zeros(()), 0):
        loss, pull = consent.consented(output.square().sum(), task, output, rule)
        (grad,) = torch.autograd.grad(loss, output)
        want = 2 * output if balance is None else torch.zeros(2, 3)
        torch.testing.assert_close(grad, want.detach())
        assert pull.task == pull.compared == 0 and pull.lesson > 0


def test_without_gradients_the_loss_is_itself(classroom):
    model, data = classroom('heatmaps', balance=1e-3)
    with torch.no_grad():
        losses = model(**data, mode='loss')
    assert losses['loss_distill'] > 0 and losses['classroom/lesson_to_task'] == 0


def test_all_losses_of_a_head_are_the_task(classroom):
    """As the runner sums them: a list of losses, each a mean; what is no loss has no part."""
    model, data = classroom('heatmaps', loss_weight=5.0, balance=0.001)
    stock = model.task.task_loss

    def several(student, feats, output, *rest):
        more = [output.square(), 3 * output.abs().mean()]
        found = stock(student, feats, output, *rest)
        return dict(found, loss_more=more, acc_pose=output.detach().mean())

    model.task.task_loss = several
    kept = []
    read = model.task.read
    model.task.read = lambda output: (kept.append(output), read(output))[1]
    losses = model(**data, mode='loss')
    first, second = losses['loss_task_more']
    task = losses['loss_task_kpt'] + first.mean() + second
    (own,) = torch.autograd.grad(task, kept, retain_graph=True)
    (lesson,) = torch.autograd.grad(losses['loss_distill'], kept)
    torch.testing.assert_close(gradient_norm([lesson]), 0.001 * gradient_norm([own]))


def test_a_loss_that_knows_no_balance_still_teaches(classroom):
    @MODELS.register_module(force=True)
    class Plain(DistillLoss):
        def __init__(self):
            self.loss_weight = 2.0

        def distance(self, student, mentors, weight, tau, tau_s, target):
            gaps = [w * (student - z).square().mean(-1) for z, w in zip(mentors, weight)]
            return sum(gaps).sum()

    model, data = classroom('heatmaps')
    model.distill_loss = build_part(dict(type='Plain'), DistillLoss)
    losses = model(**data, mode='loss')
    assert losses['loss_distill'] > 0 and losses['classroom/lesson_to_task'] > 0


def test_a_balance_with_a_task_that_weighs_nothing_is_refused(demo_config):
    cfg = demo_config('classroom').model
    cfg.knowledge_filter = dict(type='UniformFilter', task_weight=0.0)
    cfg.distill_loss = dict(type='KLDistillLoss', balance=1.0)
    words = 'distill_loss.balance=1.0 .*knowledge_filter.task_weight=0.*set distill_loss.balance='
    with pytest.raises(ValueError, match=words):
        MODELS.build(cfg)
    cfg.distill_loss = dict(type='KLDistillLoss')
    assert MODELS.build(cfg).distill_loss.balance is None


@pytest.mark.parametrize('accumulate', [1, 2])
def test_a_run_tells_the_ratio(demo_config, train, accumulate):
    """Gradients that are accumulated are divided afterwards: the ratio is that of the batch."""
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    cfg.model.distill_loss.update(loss_weight=1.0, balance=0.25)
    cfg.optim_wrapper.accumulative_counts = accumulate
    cfg.default_hooks.logger.interval = 1
    runner = train(cfg)
    line = json.loads(open(f'{cfg.work_dir}/classroom.jsonl').read())
    assert line['lesson_to_task'] > 0.25 and 0 <= line['against'] <= 1
    assert line['lesson_to_task_after'] == pytest.approx(0.25, rel=1e-3)
    told = runner.message_hub.get_scalar('train/classroom/lesson_to_task').data[0]
    assert len(told) == 3 and (told > 0.25).all()


def test_in_a_run_the_lesson_fades_to_its_end_and_after_a_resume(demo_config, train):
    cfg = demo_config('classroom')
    cfg.model.distill_loss.update(loss_weight=1.0, balance=0.25, fade=True)
    cfg.train_cfg.max_epochs = 3
    cfg.default_hooks.logger.interval = cfg.default_hooks.checkpoint.interval = 1
    train(cfg)
    cfg.update(resume=True, load_from=f'{cfg.work_dir}/epoch_2.pth')
    runner = train(cfg)
    told = runner.message_hub.get_scalar('train/classroom/lesson_to_task_after').data[0]
    assert told == pytest.approx([0.25 * (9 - i) / 9 for i in range(9)], rel=1e-3)


def test_a_run_warns_of_lessons_that_outweigh_the_labels(demo_config, train):
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    cfg.model.distill_loss.loss_weight = 3.0
    train(cfg)
    (log,) = Path(cfg.work_dir).rglob('*.log')
    text = log.read_text()
    assert 'lessons outweighed the labels' in text and 'balance_odds=2' in text
