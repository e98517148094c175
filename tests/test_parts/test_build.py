"""Parts from their configs, and what a rehearsal shows them and refuses."""

import re
import threading
from dataclasses import replace

import pytest
import torch
from torch import nn

from classroomkd_mm.parts import (
    AdaptiveMentoring,
    DistillLoss,
    Filter,
    FixedMentoring,
    KLDistillLoss,
    Mentoring,
    OKSScorer,
    PCKScorer,
    Scorer,
    UniformFilter,
)
from classroomkd_mm.parts.build import build_part, check_scores, rehearse
from classroomkd_mm.registry import MODELS
from classroomkd_mm.structures import Lesson, Scores

M, K, D = 3, 4, 5
SAMPLES = 2


@pytest.fixture
def registered():
    """``registered(*classes)``: known by their names until the test ends."""
    names = []

    def register(*kinds):
        for kind in kinds:
            names.append(kind.__name__)
            MODELS.register_module(module=kind)

    yield register
    for name in names:
        del MODELS.module_dict[name]


def says(error, words):
    """Raises it with exactly these words."""
    return pytest.raises(error, match=f'^{re.escape(words)}$')


# From a config


class Untrue(Scorer):
    def forward(self, guesses, truth, metainfo):
        raise NotImplementedError


class Silent(Filter):
    pass


class Stranger(nn.Module):
    pass


def test_a_part_is_built_by_its_name_or_its_class_and_without_a_scope():
    for kind in ('PCKScorer', PCKScorer):
        part = build_part(dict(type=kind, thr=0.3, _scope_='classroomkd_mm'), Scorer)
        assert type(part) is PCKScorer and part.thr == 0.3
    with pytest.raises(TypeError, match=r'^scorer\.size is no setting of PCKScorer; it takes'):
        build_part(dict(type=PCKScorer, size=3), Scorer)


def rule_of(tau):
    return FixedMentoring(2 * tau)


def test_a_function_that_makes_a_part_will_do(registered):
    registered(rule_of)
    assert build_part(dict(type='rule_of', tau=2.0), Mentoring).tau == 4.0


def test_a_class_of_the_same_name_in_the_students_library_is_not_meant():
    from mmpose.registry import MODELS as LIBRARY

    LIBRARY.register_module(name='FixedMentoring', module=Stranger)
    try:
        assert type(build_part(dict(type='FixedMentoring', tau=2.0), Mentoring)) is FixedMentoring
    finally:
        del LIBRARY.module_dict['FixedMentoring']


@pytest.mark.parametrize('cfg', ['OKSScorer', dict(thr=0.2), None])
def test_what_is_no_config_is_refused(cfg):
    with says(TypeError, f'scorer={cfg!r} must be a dict(type=...)'):
        build_part(cfg, Scorer)


def test_a_name_that_is_not_registered_is_refused_with_the_nearest_two():
    near = 'did you mean AdaptiveMentoring or FixedMentoring?'
    with pytest.raises(KeyError) as refused:
        build_part(dict(type='AdaptivMentoring'), Mentoring)
    words = f"mentoring: type='AdaptivMentoring' is not registered; {near}"
    assert refused.value.args == (words,)
    with pytest.raises(KeyError) as refused:
        build_part(dict(type='zzz'), Scorer)
    words = "scorer: type='zzz' is not registered; is its module in custom_imports?"
    assert refused.value.args == (words,)


def test_a_part_that_belongs_elsewhere_or_lacks_something_is_refused(registered):
    registered(Untrue, Silent, Stranger)
    wrong = 'mentoring=PCKScorer is a scorer: it belongs in scorer='
    with says(ValueError, wrong):
        build_part(dict(type='PCKScorer'), Mentoring)
    with says(TypeError, 'scorer=Untrue must say in `truth` which ground truth it takes'):
        build_part(dict(type='Untrue'), Scorer)
    with says(TypeError, 'scorer=Stranger must derive from classroomkd_mm.parts.Scorer'):
        build_part(dict(type='Stranger'), Scorer)
    with pytest.raises(TypeError, match='^knowledge_filter: .*Silent.*forward') as refused:
        build_part(dict(type='Silent'), Filter)
    assert isinstance(refused.value.__cause__, TypeError)


# A rehearsal


def rehearsed(mentors=M, has_target=False, **parts):
    parts = {
        'knowledge_filter': UniformFilter(),
        'mentoring': FixedMentoring(2.0),
        'distill_loss': KLDistillLoss(),
        **parts,
    }
    rehearse(**parts, mentors=mentors, shape=(K, D), has_target=has_target)


class Watching:
    """Keeps what it was asked; holds a lock, so it is asked itself and not a copy."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.lock = threading.Lock()
        self.asked = []

    def __call__(self, *args):
        self.asked.append((args, torch.is_grad_enabled()))
        return super().__call__(*args)


class WatchingFilter(Watching, UniformFilter):
    pass


class WatchingMentoring(Watching, FixedMentoring):
    pass


class WatchingLoss(Watching, KLDistillLoss):
    pass


@pytest.mark.parametrize('has_target', [False, True])
def test_parts_are_shown_level_scores_and_logits_without_any_difference(has_target):
    parts = WatchingFilter(), WatchingMentoring(2.0), WatchingLoss()
    names = 'knowledge_filter', 'mentoring', 'distill_loss'
    rehearsed(has_target=has_target, **dict(zip(names, parts)))
    asked = [part.asked[0] for part in parts]
    assert [len(part.asked) for part in parts] == [1, 1, 1]
    assert [grad for _, grad in asked] == [False, False, True]
    (scores, logits), (lesson, seen, theirs), (student, taught, told, tau, labelled, target) = [
        args for args, _ in asked
    ]
    assert torch.equal(scores.values, torch.full((1 + M, SAMPLES, K), 0.5))
    assert scores.labelled.shape == (SAMPLES, K) and scores.labelled.dtype is torch.bool
    assert scores.labelled.all() and labelled is scores.labelled and target is scores.target
    if has_target:
        assert scores.correct.shape == (M, SAMPLES) and scores.correct.dtype is torch.bool
        assert scores.correct.all() and target.dtype is torch.int64
        assert target.shape == (SAMPLES, K) and not target.any()
    else:
        assert scores.correct is None and target is None
    assert logits is theirs is taught and len(logits) == M
    for each in (*logits, seen, student):
        assert torch.equal(each.detach(), torch.zeros(SAMPLES, K, D))
    assert student.requires_grad and not seen.requires_grad
    assert isinstance(lesson, Lesson) and told is lesson and (tau == 2).all()


class Counting(FixedMentoring):
    def __init__(self, tau):
        super().__init__(tau)
        self.lessons = []

    def forward(self, lesson, student=None, mentors=()):
        self.lessons.append(lesson)
        return super().forward(lesson, student, mentors)


def test_a_copy_is_asked_so_that_what_a_part_counts_begins_with_real_lessons():
    part = Counting(2.0)
    rehearsed(mentoring=part)
    assert part.lessons == []


class Made(Filter):
    """A plan that fits, but for the fields that are given."""

    def __init__(self, **fields):
        self.fields = fields

    def forward(self, scores, mentors=()):
        lesson = UniformFilter()(scores)
        return replace(lesson, **self.fields) if self.fields else scores


class Gives(Mentoring):
    def __init__(self, value):
        self.value = value

    def forward(self, lesson, student, mentors):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Distance(DistillLoss):
    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def distance(self, student, mentors, weight, tau, tau_s, target):
        return self.rule(student)


ones = torch.ones
EITHER = '(3, 2, 1) or (3, 2, 4)'
BREACHES = [
    (dict(knowledge_filter=Made()), 'knowledge_filter=Made must give a Lesson', 'Scores'),
    (
        dict(knowledge_filter=Made(active=ones(M, 2, 5).bool())),
        f'knowledge_filter=Made must give active shaped {EITHER}', 'shape (3, 2, 5)',
    ),
    (
        dict(knowledge_filter=Made(weight=ones(M, 1, 1))),
        f'knowledge_filter=Made must give weight shaped {EITHER}', 'shape (3, 1, 1)',
    ),
    (
        dict(knowledge_filter=Made(ranks=ones(M, 2, 1))),
        'knowledge_filter=Made must give ranks shaped (4, 2, 1) or (4, 2, 4)', 'shape (3, 2, 1)',
    ),
    (
        dict(knowledge_filter=Made(active=ones(M, 2, 1))),
        'knowledge_filter=Made must give active as bool and weight as float', 'torch.float32',
    ),
    (
        dict(knowledge_filter=Made(weight=ones(M, 2, 1).long())),
        'knowledge_filter=Made must give active as bool and weight as float', 'torch.bool',
    ),
    *(
        (
            dict(knowledge_filter=Made(weight=ones(M, 2, 1) * wrong)),
            'knowledge_filter=Made must give finite weights of at least 0', str(wrong),
        )
        for wrong in (-1.0, float('nan'), float('inf'))
    ),
    (
        dict(knowledge_filter=Made(task_weight=None)),
        'knowledge_filter=Made must give task_weight shaped (2,)', 'NoneType',
    ),
    (
        dict(knowledge_filter=Made(task_weight=ones(2, 1))),
        'knowledge_filter=Made must give task_weight shaped (2,)', 'shape (2, 1)',
    ),
    (
        dict(mentoring=Gives(4.0)), f'mentoring=Gives must give temperatures shaped {EITHER}',
        'float',
    ),
    (
        dict(mentoring=Gives((ones(M, 2, 1), ones(M, 2)))),
        f'mentoring=Gives must give temperatures shaped {EITHER}', 'shape (3, 2)',
    ),
    (
        dict(mentoring=Gives((ones(M, 2, 1), torch.zeros(M, 2, 1)))),
        'mentoring=Gives must give positive temperatures', '0.0',
    ),
    (
        dict(distill_loss=Distance(lambda student: student.sum((1, 2)))),
        'distill_loss=Distance must give a scalar with the gradient of the student', 'shape (2,)',
    ),
    (
        dict(distill_loss=Distance(lambda student: student.detach().sum())),
        'distill_loss=Distance must give a scalar with the gradient of the student',
        'one without any gradient',
    ),
    (
        dict(distill_loss=Distance(lambda student: 0.0)),
        'distill_loss=Distance must give a scalar with the gradient of the student', 'float',
    ),
]  # fmt: skip


@pytest.mark.parametrize('parts, wanted, found', BREACHES)
def test_a_breach_is_told_in_full(parts, wanted, found):
    with says(TypeError, f'{wanted} for 2 samples, got {found}'):
        rehearsed(**parts)


def test_what_is_allowed_besides():
    """A filter with a weight for all; temperatures of each keypoint; no mentor, no gradient."""
    rule = Made(task_weight=None)
    rule.task_weight = 1.0
    rehearsed(knowledge_filter=rule, mentoring=Gives((ones(M, 2, K), ones(M, 2, 1) / 9)))
    rehearsed(mentors=0, distill_loss=Distance(lambda student: student.detach().sum()))


@pytest.mark.parametrize('error', [ValueError, TypeError])
def test_a_part_s_own_sentence_is_handed_on(error):
    with says(error, 'not for this task'):
        rehearsed(mentoring=Gives(error('not for this task')))


def test_whatever_else_a_part_raises_is_told_with_its_name():
    told = 'mentoring=Gives fails on 2 made-up samples: no such row'
    cause = IndexError('no such row')
    with says(RuntimeError, told) as refused:
        rehearsed(mentoring=Gives(cause))
    assert isinstance(refused.value.__cause__, IndexError)


# Scores of a batch


def scores(values, labelled):
    return Scores(ones(values), ones(labelled, dtype=torch.bool))


def test_scores_of_the_batch_are_taken():
    check_scores(OKSScorer(), scores((3, 7, 4), (7, 4)), members=3, samples=7)


@pytest.mark.parametrize(
    'values, labelled, found',
    [
        ((2, 7, 4), (7, 4), '(2, 7, 4) and (7, 4)'),
        ((3, 6, 4), (6, 4), '(3, 6, 4) and (6, 4)'),
        ((3, 7, 1), (7, 4), '(3, 7, 1) and (7, 4)'),
        ((3, 7), (7,), '(3, 7) and (7,)'),
        ((3, 7, 4, 2), (7, 4, 2), '(3, 7, 4, 2) and (7, 4, 2)'),
    ],
)
def test_what_are_no_scores_of_the_batch_is_told_in_full(values, labelled, found):
    wanted = 'values (1 + M, N, K) with 1 + M = 3 and labelled (N, K)'
    with says(TypeError, f'scorer=OKSScorer must give {wanted} for 7 samples, got {found}'):
        check_scores(OKSScorer(), scores(values, labelled), members=3, samples=7)
    with says(TypeError, 'scorer=OKSScorer must give Scores for 7 samples, got AdaptiveMentoring'):
        check_scores(OKSScorer(), AdaptiveMentoring(1.0), members=3, samples=7)
