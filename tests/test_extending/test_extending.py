"""A file outside the package adds a task and four rules; what breaks a contract is refused."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.runner.checkpoint import load_checkpoint
from mmengine.structures import BaseDataElement
from torch import nn

from classroomkd_mm.parts import DistillLoss, Filter, Mentoring, Scorer
from classroomkd_mm.registry import MODELS, TASKS
from classroomkd_mm.structures import Lesson, Scores
from classroomkd_mm.tasks import Task

SCOPE = 'mmengine'
HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / 'docs' / 'extending.md'
CLASSES, SIDE, UNKNOWN = 4, 8, 255
RUN = """
work_dir = 'PLACE/run'
data = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=4, dataset=dict(type='Patches', n=16), sampler=dict(type='DefaultSampler'), **data)
val_dataloader = dict(
    batch_size=4, dataset=dict(type='Patches', n=8, seed=9),
    sampler=dict(type='DefaultSampler', shuffle=False), **data)
val_evaluator = dict(type='PixelAccuracy')
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
visualizer = dict(type='Visualizer', vis_backends=[])
randomness = dict(seed=3)
"""


class Patches(torch.utils.data.Dataset):
    """Blocks of four colours in noise; the last row has no label."""

    metainfo = dict(classes=tuple('abcd'))

    def __init__(self, n, seed=0):
        rng = torch.Generator().manual_seed(seed)
        blocks = torch.randint(CLASSES, (n, 2, 2), generator=rng)
        self.pixels = blocks.repeat_interleave(SIDE // 2, 1).repeat_interleave(SIDE // 2, 2)
        colours = torch.rand(CLASSES, 3, generator=torch.Generator().manual_seed(7))
        noise = 0.1 * torch.randn(n, 3, SIDE, SIDE, generator=rng)
        self.pictures = colours[self.pixels].movedim(-1, 1) + noise
        self.pixels[:, -1] = UNKNOWN

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        return dict(inputs=self.pictures[i], data_samples=BaseDataElement(pixels=self.pixels[i]))


class PixelAccuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        for sample, guess in zip(data_batch['data_samples'], data_samples):
            known = sample.pixels != UNKNOWN
            self.results.append((guess[known] == sample.pixels[known]).float().mean().item())

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / len(results))


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A user's directory with their file and config; what they register is gone afterwards."""
    place = tmp_path_factory.mktemp('user')
    shutil.copy(HERE / 'outsider.py', place)
    (place / 'classroom.py').write_text(
        config_in(HERE / 'outsider.py') + RUN.replace('PLACE', str(place))
    )
    DATASETS.register_module(module=Patches)
    METRICS.register_module(module=PixelAccuracy)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))
        yield place
    sys.modules.pop('outsider', None)
    for registry in (MODELS, TASKS, MMENGINE_MODELS, DATASETS, METRICS):
        for name, cls in list(registry.module_dict.items()):
            if cls.__module__ in ('outsider', __name__):
                del registry.module_dict[name]


@pytest.fixture
def cfg(place):
    return Config.fromfile(place / 'classroom.py')


@pytest.fixture
def outsider(cfg, place):
    assert Path(sys.modules['outsider'].__file__).parent == place  # the config has imported it
    return sys.modules['outsider']


def config_in(file):
    """The config that the file's docstring says."""
    return file.read_text().split('"""')[1].split(':\n\n', 1)[1]


def built(cfg, seed=0, **parts):
    torch.manual_seed(seed)
    return MODELS.build({**cfg.model, **parts})


def batch_of(model, n=4, seed=0):
    data = Patches(n, seed)
    return model.data_preprocessor(pseudo_collate([data[i] for i in range(n)]), True)


# The whole way, in MMEngine's runner


def lessons(work_dir):
    return [json.loads(line) for line in (work_dir / 'classroom.jsonl').read_text().splitlines()]


def test_an_epoch_is_trained_then_resumed_and_every_checkpoint_is_the_plain_network(
    cfg, outsider, train
):
    work_dir = Path(cfg.work_dir)
    first = train(cfg)
    cfg.train_cfg.max_epochs = 2
    runner = train(cfg, resume=True)
    assert (first.epoch, runner.epoch, runner.iter) == (1, 2, 8)
    # Who taught is on record, and it was not always the same.
    assert [(line['epoch'], line['iterations']) for line in lessons(work_dir)] == [(1, 4), (2, 4)]
    last = lessons(work_dir)[-1]
    assert {'loss_task_pixels', 'loss_distill'} <= set(last['losses'])
    assert 0 < sum(mentor['active'] for mentor in last['mentors'].values()) < 1
    assert all(mentor['temperature'] >= 1 for mentor in last['mentors'].values())
    # The checkpoint is one of the class in the registry, by the config that the run wrote as well.
    model, inputs = runner.model, batch_of(runner.model)['inputs']
    for student in (cfg.model.student, Config.fromfile(work_dir / 'student.py').model):
        plain = MMENGINE_MODELS.build(student)
        load_checkpoint(plain, str(work_dir / 'epoch_2.pth'), strict=True)
        assert type(plain) is outsider.DenseNet
        assert torch.equal(plain(inputs), model(inputs))
    assert type(model.export()) is outsider.DenseNet
    assert torch.equal(model.export()(inputs), model(inputs))
    assert set(model.export().state_dict()) == set(model.state_dict()) == set(plain.state_dict())


def test_a_run_in_two_halves_ends_as_one_that_was_not_interrupted(cfg, train, place):
    ends = []
    for name, epochs in (('whole', [2]), ('halves', [1, 2])):
        cfg.work_dir = str(place / name)
        for last in epochs:
            cfg.train_cfg.max_epochs = last
            runner = train(cfg, resume=True)
        ends.append(runner.model.state_dict())
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_mentors_are_evaluated_with_the_runs_own_metric(cfg, train, place):
    cfg.work_dir = str(place / 'evaluated')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='classroomkd_mm.MentorEvalHook')]
    train(cfg)
    log = ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))
    assert re.search(r'mentor  accuracy *\na +0\.\d+ *\nb +0\.\d+', log)


# Each rule by its numbers


def by_hand(model, data, each_pixel, gain, loss_weight):
    """The losses of a batch in plain loops: what the four rules of ``outsider.py`` say."""
    inputs, labels = data['inputs'], [sample.pixels for sample in data['data_samples']]
    nets = {mentor.name: mentor.network for mentor in model.mentors}
    # The student's inputs are (x - 0.5) / 0.25, which mentor a sees too; b sees x itself.
    outputs = [model(inputs), nets['a'](inputs), nets['b'](inputs * 0.25 + 0.5)]
    total, task, distill = sum((label != UNKNOWN).sum() for label in labels), 0, 0
    for n, label in enumerate(labels):
        pixels = [(y, x) for y in range(SIDE) for x in range(SIDE) if label[y, x] != UNKNOWN]
        probability = [
            torch.stack([z[n, :, y, x].softmax(0)[label[y, x]] for y, x in pixels]) for z in outputs
        ]
        score = [p.mean() for p in probability]
        for k, (y, x) in enumerate(pixels):
            task = task - (1 + score[0].detach()) * probability[0][k].log() / total
            compared = [p[k] for p in probability] if each_pixel else score
            best = compared.index(max(compared))
            if best:
                z, s = outputs[best][n, :, y, x], outputs[0][n, :, y, x]
                h = [-(v.softmax(0) * v.log_softmax(0)).sum().detach() for v in (s, z)]
                tau = 1 + gain * max(h[0] - h[1], 0)
                q, p = (s / tau).softmax(0), (z / tau).softmax(0)
                distill = distill + tau**2 * (q * (q / p).log()).sum() / len(pixels) / len(labels)
    return task, loss_weight * distill


@pytest.mark.parametrize('each_pixel', [False, True], ids=['per sample', 'per pixel'])
@pytest.mark.parametrize('gain, loss_weight', [(2.0, 0.5), (0.5, 3.0)])
def test_a_batchs_losses_and_gradients_are_those_of_plain_loops(cfg, each_pixel, gain, loss_weight):
    model = built(
        cfg,
        knowledge_filter=dict(type='BestFilter', each_pixel=each_pixel),
        mentoring=dict(type='EntropyMentoring', gain=gain),
        distill_loss=dict(type='ReverseKLDistillLoss', loss_weight=loss_weight),
    )
    data = batch_of(model)
    losses = model(**data, mode='loss')
    ours = losses['loss_task_pixels'], losses['loss_distill']
    theirs = by_hand(model, data, each_pixel, gain, loss_weight)
    assert theirs[1] > 0
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        weights = list(model.parameters())
        gradients = [torch.autograd.grad(x, weights, retain_graph=True) for x in (one, other)]
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('changed', ['knowledge_filter', 'mentoring', 'distill_loss', 'scorer'])
def test_no_rule_can_be_exchanged_unnoticed(cfg, outsider, changed):
    class WorstPixelScorer(outsider.PixelScorer):
        def forward(self, guesses, truth, metainfo):
            return super().forward(-guesses, truth, metainfo)

    MODELS.register_module(module=WorstPixelScorer, force=True)
    stock = dict(
        knowledge_filter=dict(type='KnowledgeFilter'),
        mentoring=dict(type='FixedMentoring', tau=1.0),
        distill_loss=dict(type='KLDistillLoss'),
        scorer=dict(type='WorstPixelScorer'),
    )
    models = built(cfg), built(cfg, **{changed: stock[changed]})
    for mentor in (*models[0].mentors, *models[1].mentors):
        mentor.network.head.weight.mul_(20)  # surer than a random network is
    one, other = (model(**batch_of(model), mode='loss')['loss_distill'] for model in models)
    assert not torch.isclose(one, other, rtol=1e-3)


def test_the_packages_own_rules_serve_the_new_task(cfg):
    for granularity in ('sample', 'batch', 'keypoint'):
        for loss in ('KLDistillLoss', 'DKDDistillLoss', 'DISTDistillLoss', 'MSEDistillLoss'):
            model = built(
                cfg,
                scorer=None,
                knowledge_filter=dict(type='KnowledgeFilter', granularity=granularity),
                mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
                distill_loss=dict(type=loss),
            )
            losses = model(**batch_of(model), mode='loss')
            assert losses['loss_distill'].isfinite() and losses['loss_task_pixels'] > 0


# Properties of both forms of a lesson, K' = 1 and K' = K


def random_lesson(outsider, each_pixel, seed, n=3, k=5, m=2):
    torch.manual_seed(seed)
    scores = Scores(torch.rand(1 + m, n, k), torch.rand(n, k) > 0.3)
    student, mentors = torch.randn(n, k, 4), [3 * torch.randn(n, k, 4) for _ in range(m)]
    lesson = outsider.BestFilter(each_pixel)(scores, mentors)
    temperature = outsider.EntropyMentoring(2.0)(lesson, student, mentors)
    return scores, lesson, temperature, student, mentors


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('each_pixel', [False, True])
def test_at_most_one_mentor_teaches_and_never_below_temperature_one(outsider, each_pixel, seed):
    scores, lesson, temperature, *_ = random_lesson(outsider, each_pixel, seed)
    assert lesson.active.shape == (2, 3, 5 if each_pixel else 1)
    assert (lesson.active.sum(0) <= 1).all() and (lesson.weight.bool() == lesson.active).all()
    assert (temperature >= 1).all() and (temperature[~lesson.active.expand(2, 3, 5)] == 1).all()


@pytest.mark.parametrize('seed', range(5))
def test_a_lesson_per_sample_is_one_per_pixel_that_is_everywhere_the_same(outsider, seed):
    scores, lesson, temperature, student, mentors = random_lesson(outsider, False, seed)
    wide = Lesson(
        lesson.active.expand(-1, -1, 5), lesson.weight.expand(-1, -1, 5), lesson.ranks,
        lesson.task_weight,
    )  # fmt: skip
    loss = outsider.ReverseKLDistillLoss()
    one, other = (loss(student, mentors, x, temperature, scores.labelled) for x in (lesson, wide))
    assert one == other > 0
    level = Scores(scores.values[..., :1].expand(-1, -1, 5), torch.ones_like(scores.labelled))
    filters = outsider.BestFilter(False), outsider.BestFilter(True)
    one, other = (rule(level, mentors).active.expand(-1, -1, 5) for rule in filters)
    assert torch.equal(one, other)


def test_without_mentors_and_with_a_better_student_there_is_nothing_to_distil(cfg, outsider):
    model = built(cfg, mentors=[])
    assert model(**batch_of(model), mode='loss')['loss_distill'] == 0
    scores = Scores(torch.tensor([0.9, 0.5, 0.5]).view(3, 1, 1), torch.ones(1, 1).bool())
    assert not outsider.BestFilter()(scores).active.any()


# What breaks a contract is refused by name when the model is built


def shapes(m, n, active=1, weight=1, ranks=1, task=()):
    return Lesson(
        torch.ones(m, n, active).bool(), torch.ones(m, n, weight), torch.ones(1 + m, n, ranks),
        torch.ones(n, *task),
    )  # fmt: skip


class Silent(Filter):
    pass


class Deaf(Scorer):
    pass


class Cold(Mentoring):
    pass


class Far(DistillLoss):
    pass


class Pair(Filter):
    def forward(self, scores, mentors=()):
        return scores.values[1:], scores.values


class Shape(Filter):
    def __init__(self, **sizes):
        super().__init__()
        self.sizes = sizes

    def forward(self, scores, mentors=()):
        return shapes(len(scores.values) - 1, scores.values.shape[1], **self.sizes)


class Flat(Mentoring):
    def forward(self, lesson, student, mentors):
        return torch.ones(len(mentors))


class Number(Mentoring):
    def forward(self, lesson, student, mentors):
        return 4.0


class HalfPair(Mentoring):
    def forward(self, lesson, student, mentors):
        return torch.ones(len(mentors), len(student), 1), torch.ones(3)


class Vector(DistillLoss):
    def distance(self, student, mentors, weight, tau, tau_s, target):
        return weight.sum((0, 2))


class Loud(Filter):
    """Weighs whom it calls silent."""

    task_weight = 1.0

    def forward(self, scores, mentors=()):
        lesson = shapes(len(scores.values) - 1, scores.values.shape[1])
        return replace(lesson, active=~lesson.active, task_weight=None)


class Frozen(Mentoring):
    def forward(self, lesson, student, mentors):
        return torch.zeros_like(lesson.weight)


class Detached(DistillLoss):
    def distance(self, student, mentors, weight, tau, tau_s, target):
        return student.detach().sum() + weight.sum()


class Broken(Mentoring):
    def forward(self, lesson, student, mentors):
        return torch.zeros(2) + torch.zeros(3)


class Floats(Filter):
    def forward(self, scores, mentors=()):
        lesson = shapes(len(scores.values) - 1, scores.values.shape[1])
        return replace(lesson, active=lesson.weight)


class NoWeight(Filter):
    def forward(self, scores, mentors=()):
        return replace(shapes(len(scores.values) - 1, scores.values.shape[1]), task_weight=None)


class Untrue(Scorer):
    def forward(self, guesses, truth, metainfo):
        return truth


class Stranger(nn.Module):
    def forward(self, scores, mentors=()):
        return shapes(2, 2)


def alone(**network):
    return [dict(name='a', config=dict(type='DenseNet', **network), checkpoint=None)]


PARTS = (
    Deaf, Silent, Cold, Far, Pair, Shape, Flat, Number, HalfPair, Vector, Stranger, Loud, Frozen,
    Detached, Broken, Floats, NoWeight, Untrue,
)  # fmt: skip
REFUSED = [
    # a method that is missing
    ('scorer', dict(type='Deaf'), TypeError, 'scorer: .*Deaf.*forward'),
    ('knowledge_filter', dict(type='Silent'), TypeError, 'knowledge_filter: .*Silent.*forward'),
    ('mentoring', dict(type='Cold'), TypeError, 'mentoring: .*Cold.*forward'),
    ('distill_loss', dict(type='Far'), TypeError, 'distill_loss: .*Far.*distance'),
    # what it gives
    ('knowledge_filter', dict(type='Pair'), TypeError, '=Pair must give a Lesson.* got tuple'),
    (
        'knowledge_filter', dict(type='Shape', active=4), TypeError,
        r'=Shape must give active shaped \(2, 2, 1\) or \(2, 2, 6\) .* got shape \(2, 2, 4\)',
    ),
    ('knowledge_filter', dict(type='Shape', weight=4), TypeError, '=Shape must give weight shaped'),
    ('knowledge_filter', dict(type='Shape', ranks=4), TypeError, '=Shape must give ranks shaped'),
    ('knowledge_filter', dict(type='Shape', task=(1,)), TypeError, '=Shape must give task_weight'),
    ('mentoring', dict(type='Flat'), TypeError, r'=Flat must give temperatures shaped .*\(2,\)'),
    ('mentoring', dict(type='Number'), TypeError, '=Number must give temperatures .* got float'),
    ('mentoring', dict(type='HalfPair'), TypeError, r'=HalfPair must give temperatures .*\(3,\)'),
    ('distill_loss', dict(type='Vector'), TypeError, r'=Vector must give a scalar .*\(2,\)'),
    ('mentoring', dict(type='Frozen'), TypeError, '=Frozen must give positive temperatures'),
    ('distill_loss', dict(type='Detached'), TypeError, '=Detached must give .* the gradient of'),
    ('mentoring', dict(type='Broken'), RuntimeError, 'mentoring=Broken fails on 2 made-up samples'),
    ('knowledge_filter', dict(type='Floats'), TypeError, '=Floats must give active as bool'),
    ('knowledge_filter', dict(type='NoWeight'), TypeError, '=NoWeight must give task_weight sh'),
    ('scorer', dict(type='Untrue'), TypeError, 'scorer=Untrue must say in `truth`'),
    # what it is
    (
        'knowledge_filter', dict(type='Stranger'), TypeError,
        'knowledge_filter=Stranger must derive from classroomkd_mm.parts.Filter',
    ),
    (
        'mentoring', dict(type='BestFilter'), ValueError,
        'mentoring=BestFilter is a knowledge_filter: it belongs in knowledge_filter=',
    ),
    ('scorer', dict(type='OKSScorer'), ValueError, '=OKSScorer does not fit .*; use PixelScorer'),
    # how it is spelt
    ('mentoring', dict(type='EntropyMentoring', gian=2.0), TypeError, r'\.gian is .*mean gain\?'),
    (
        'knowledge_filter', dict(type='BestFliter'), KeyError,
        "knowledge_filter: type='BestFliter' .* did you mean BestFilter",
    ),
    ('distill_loss', dict(loss_weight=1.0), TypeError, 'distill_loss=.* must be a dict'),
    # mentors
    ('mentors', alone(classes=3), ValueError, "mentor 'a' must be a DenseNet of 4 classes"),
    (
        'mentors', [dict(alone()[0], letterbox=True)], ValueError,
        "mentor 'a': letterbox is for .* another task",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    'setting, value, error, message', REFUSED, ids=[f'{case[0]} {case[3]}' for case in REFUSED]
)
def test_a_breach_is_refused_by_name_when_the_model_is_built(
    cfg, outsider, setting, value, error, message
):
    for part in PARTS:
        MODELS.register_module(module=part, force=True)
    with pytest.raises(error, match=message):
        built(cfg, **{setting: value})


def test_whom_a_filter_calls_silent_does_not_teach_whatever_the_weight(cfg):
    MODELS.register_module(module=Loud, force=True)
    model = built(cfg, knowledge_filter=dict(type='Loud'))
    losses = model(**batch_of(model), mode='loss')
    assert losses['loss_distill'] == 0 and losses['classroom/a/active'] == 0


@pytest.mark.parametrize(
    'give, found',
    [
        (lambda scores: scores.values, r'Scores .* got shape \(3, '),
        (lambda scores: replace(scores, values=scores.values[1:]), r'1 \+ M = 3 .* got \(2, '),
        (lambda scores: replace(scores, values=scores.values[..., :1]), r'got \(3, \d+, 1\) and'),
    ],
)
def test_what_is_no_score_is_refused_by_name(cfg, outsider, monkeypatch, give, found):
    forward = outsider.PixelScorer.forward
    monkeypatch.setattr(outsider.PixelScorer, 'forward', lambda *args: give(forward(*args)))
    model = built(cfg)
    with pytest.raises(TypeError, match=f'scorer=PixelScorer must give .*{found}'):
        model(**batch_of(model), mode='loss')


@pytest.mark.parametrize(
    'value, found', [(-0.5, '-0.5'), (1.5, '1.5'), (float('nan'), 'nan'), (100.0, '100.0')]
)
def test_what_is_no_score_between_0_and_1_is_refused_in_the_first_lesson(
    cfg, outsider, monkeypatch, value, found
):
    own = outsider.PixelScorer.forward

    def give(self, *args):
        scores = own(self, *args)
        values = scores.values.clone()
        values[-1, 0, 0] = value
        return replace(scores, values=values)

    monkeypatch.setattr(outsider.PixelScorer, 'forward', give)
    told = r'^scorer=PixelScorer must give scores in \[0, 1\] for what is labelled for 4 samples, '
    with pytest.raises(TypeError, match=f'{told}got {found}$'):
        built(cfg)(**batch_of(built(cfg)), mode='loss')


def test_a_student_that_breaks_is_not_its_scorers_fault(cfg):
    model = built(cfg)
    batch = batch_of(model)
    with torch.no_grad():
        model.head.weight.fill_(float('nan'))
    assert model(**batch, mode='loss')['loss_task_pixels'].isnan()


def test_a_label_that_is_a_number_is_no_label(cfg, outsider, monkeypatch):
    own = outsider.PixelScorer.forward
    monkeypatch.setattr(
        outsider.PixelScorer,
        'forward',
        lambda self, *args: replace(s := own(self, *args), labelled=s.labelled.float()),
    )
    with pytest.raises(TypeError, match='PixelScorer must give labelled as bool .*got torch.float'):
        built(cfg)(**batch_of(built(cfg)), mode='loss')


@pytest.mark.parametrize(
    'give, found',
    [
        (lambda losses: losses['loss_pixels'], 'Tensor'),
        (lambda losses: dict(pixels=losses['loss_pixels']), r"\['pixels'\]"),
        (lambda losses: None, 'NoneType'),
    ],
)
def test_what_mmengine_would_not_train_on_is_no_task_loss(
    cfg, outsider, monkeypatch, give, found
):
    own = outsider.PixelTask.task_loss
    monkeypatch.setattr(outsider.PixelTask, 'task_loss', lambda *args: give(own(*args)))
    told = rf'^PixelTask.task_loss must give a dict of losses, with "loss" .*got {found}$'
    with pytest.raises(TypeError, match=told):
        built(cfg)(**batch_of(built(cfg)), mode='loss')


@pytest.mark.parametrize(
    'give, found',
    [
        (lambda read: replace(read, parts=tuple(p[..., :3] for p in read.parts)), r'\[.*, 3\)\]'),
        (lambda read: replace(read, guess=read.guess[:, :5]), r'\[\(4, 5, 4\), '),
        (lambda read: replace(read, parts=read.parts * 2), r'\[\(4, 64, 4\)(, \(4, 64, 4\)){2}\]'),
        (lambda read: read.guess, 'a Reading, got Tensor'),
    ],
)
def test_a_bridge_reads_in_the_students_terms(cfg, outsider, monkeypatch, give, found):
    own, name = outsider.PixelBridge.read, cfg.model.mentors[0].name
    monkeypatch.setattr(outsider.PixelBridge, 'read', lambda *args: give(own(*args)))
    with pytest.raises(TypeError, match=f'^mentor {name!r}: PixelBridge.read must give .*{found}'):
        built(cfg)(**batch_of(built(cfg)), mode='loss')


def test_a_loss_that_forgets_its_settings_is_told_what_to_call(cfg, outsider):
    class Forgetful(outsider.ReverseKLDistillLoss):
        def __init__(self):
            self.mine = 1

    MODELS.register_module(module=Forgetful, force=True)
    with pytest.raises(TypeError, match=r'^distill_loss=Forgetful.__init__ must call super\(\)'):
        built(cfg, distill_loss=dict(type='Forgetful'))


def test_a_student_that_fits_no_task_is_refused(cfg):
    class Nobody(BaseModel):
        def forward(self, inputs, data_samples=None, mode='tensor'):
            return inputs

    MMENGINE_MODELS.register_module(module=Nobody, force=True)
    with pytest.raises(ValueError, match=r'student=Nobody fits none of the tasks .*PixelTask'):
        built(cfg, student=dict(type='Nobody'))


def test_a_task_that_lacks_a_method_is_refused(cfg, outsider, monkeypatch):
    monkeypatch.setattr(TASKS, '_module_dict', dict(TASKS.module_dict))

    @TASKS.register_module()
    class Lazy(Task):
        @classmethod
        def fits(cls, student):
            return isinstance(student, outsider.DenseNet)

    with pytest.raises(TypeError, match='Lazy.*ground_truth.*task_loss'):
        built(cfg)


def test_data_that_do_not_fit_are_refused_before_the_first_iteration(cfg, outsider, train, place):
    cfg.work_dir = str(place / 'three_classes')
    for network in (cfg.model.student, *(mentor.config for mentor in cfg.model.mentors)):
        network.classes = 3
    with pytest.raises(ValueError, match='the data set has classes {.*3.*}, the student 3'):
        train(cfg)
    assert not list(Path(cfg.work_dir).glob('*.pth'))


# The guide


def test_every_block_of_the_guide_is_part_of_the_file():
    source = (HERE / 'outsider.py').read_text()
    blocks = re.findall(r'```python\n(.*?)```', GUIDE.read_text(), re.S)
    assert len(blocks) >= 6
    for block in blocks:
        block = dedent(block)
        assert block in source or indent(block, ' ' * 4) in source, block
