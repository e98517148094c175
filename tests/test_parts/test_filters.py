"""The filters' lessons against plain loops over members, samples and keypoints."""

import math
import re
from dataclasses import replace
from functools import partial

import pytest
import torch

from classroomkd_mm.functional import confidence_weights, entropy_weights
from classroomkd_mm.parts import ConfidenceFilter, EntropyFilter, KnowledgeFilter, UniformFilter
from classroomkd_mm.structures import Scores

M, N, K = 3, 5, 4
KNOWN = torch.tensor([[True, True, True, True], [False, True, True, False], [False] * 3 + [True]])


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def poses(seed=0, known=None, geometric=False):
    """Of the first sample nothing is labelled; in the last the first mentor equals the student."""
    labelled = rand(N, K, seed=seed) > 0.35
    labelled[0], labelled[-1] = False, True
    values = 0.05 + 0.9 * rand(1 + M, N, K, seed=seed + 1)
    values[1, -1] = values[0, -1]
    return Scores(values, labelled, geometric, known=known)


def classes(seed=0):
    """Mentors that know shares of soft labels; the student's score on those is another.

    Of the sample without a label one alone has anything to say.
    """
    known = (rand(M, N, 1, seed=seed) * 1.5 - 0.5).clamp(0, 1)
    known[:, 0] = torch.tensor([[0.0], [1.0], [0.0]])
    labelled = torch.ones(N, 1, dtype=torch.bool)
    labelled[0] = False
    return Scores(
        0.05 + 0.9 * rand(1 + M, N, 1, seed=seed + 1), labelled, True, known=known,
        correct=rand(M, N, seed=seed + 2) > 0.5, rival=0.05 + 0.9 * rand(M, N, 1, seed=seed + 3),
    )  # fmt: skip


class ByHand:
    """A lesson of a :class:`KnowledgeFilter`, number by number."""

    def __init__(self, scores, rule):
        self.scores, self.rule = scores, rule
        self.keypoints = range(scores.values.shape[-1])
        self.places = len(self.keypoints) if rule.granularity == 'keypoint' else 1

    def knows(self, m, n, k):
        known = self.scores.known
        return known is None or bool((known[m, n, k] if known.dim() == 3 else known[m, k]) > 0)

    def blank(self, n):
        return not self.scores.labelled[n].any()

    def judged(self, c, n):
        """The keypoints that a member's own score is of."""
        there = [k for k, is_there in enumerate(self.scores.labelled[n].tolist()) if is_there]
        return [k for k in there if c == 0 or self.knows(c - 1, n, k)]

    def counts(self, m, n, k):
        """Whether a mentor has a part in a comparison."""
        taught = self.keypoints if self.blank(n) else self.judged(0, n)
        own = [i for i in taught if self.knows(m, n, i)]
        if self.scores.known is None:
            return True
        return k in own if self.rule.granularity == 'keypoint' else bool(own)

    def of_sample(self, values, c, n):
        judged = self.judged(c, n)
        return sum(values[n, k].item() for k in judged) / max(len(judged), 1)

    def compared(self, values, c, n, k):
        """A member's score, or the student's on what member c knows."""
        if self.rule.granularity == 'keypoint':
            return values[n, k].item() if k in self.judged(c, n) else 0.0
        if self.rule.granularity == 'sample':
            return self.of_sample(values, c, n)
        each = [self.of_sample(values, c, i) for i in range(N) if self.judged(c, i)]
        if not self.judged(c, n):
            return 0.0
        if self.scores.geometric:
            return math.exp(sum(map(math.log, each)) / len(each))
        return sum(each) / len(each)

    def rank(self, own, others):
        """Of a member among those that count."""
        room = [own, *others]
        if self.rule.ranking == 'ordinal':
            own, *others = [sum(v <= mine for v in room) if mine > 0 else 0 for mine in room]
        share = own / (own + sum(others)) if own else 0.0
        if self.rule.decimals is not None:
            share = round(share, self.rule.decimals)
        return share * (len(room) - 1)

    def mentor(self, m, n, k):
        """Its rank, the student's against it, whether it teaches, and with which weight."""
        scores, there = self.scores, [i for i in range(M) if self.counts(i, n, k)]
        theirs = {i: self.compared(scores.values[i + 1], i + 1, n, k) for i in range(M)}
        student = self.compared(scores.values[0], 0, n, k)
        if scores.rival is not None:
            student = self.compared(scores.rival[m], m + 1, n, k)
        elif scores.known is not None and self.rule.granularity != 'keypoint':
            student = self.compared(scores.values[0], m + 1, n, k)
        against = self.rank(student, [theirs[i] for i in there])
        rest = [theirs[i] for i in there if i != m]
        own = self.rank(theirs[m], [student, *rest]) if m in there else 0.0
        if self.blank(n):
            know = [i for i in range(M) if any(self.knows(i, n, j) for j in self.keypoints)]
            return own, against, m in know, 1 / len(know) if m in know else 0.0
        active = own > 0 and (own > against if self.rule.strict else own >= against)
        if self.rule.min_score is not None:
            right = self.of_sample(scores.values[m + 1], m + 1, n) >= self.rule.min_score
            active &= bool(scores.correct[m, n]) if scores.correct is not None else right
        return own, against, active, own if active else 0.0

    def student(self, n, k):
        there = [i for i in range(M) if self.counts(i, n, k)]
        own = self.compared(self.scores.values[0], 0, n, k)
        others = [self.compared(self.scores.values[i + 1], i + 1, n, k) for i in there]
        return self.rank(own, others)


RULES = {
    'plain': {},
    'strict': dict(strict=True),
    'only who is right': dict(min_score=0.45),
    'homogeneous': dict(task_bias=1.0, decimals=2),
    'ordinal': dict(ranking='ordinal'),
}


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('kind', ['all', 'all, geometric', 'some keypoints', 'some classes'])
@pytest.mark.parametrize('seed', [0, 10])
def test_a_lesson_equals_plain_loops(kind, rule, granularity, seed):
    given = {
        'all': lambda: poses(seed),
        'all, geometric': lambda: poses(seed, geometric=True),
        'some keypoints': lambda: poses(seed, KNOWN),
        'some classes': lambda: classes(seed),
    }[kind]()
    knowledge = KnowledgeFilter(granularity, **RULES[rule])
    lesson, hand = knowledge(given), ByHand(given, knowledge)
    close = dict(rel=1e-4, abs=1e-5)
    shape = (M, N, hand.places)
    assert lesson.active.shape == lesson.weight.shape == shape
    compared = granularity == 'keypoint' and given.rival is None
    assert (lesson.rival is None) == (given.known is None or compared)
    for n in range(N):
        bias = RULES[rule].get('task_bias', 0.0)
        whole = granularity == 'batch'
        score = hand.compared(given.values[0], 0, n, 0) if whole else None
        score = score if whole else hand.of_sample(given.values[0], 0, n)
        assert lesson.task_weight[n].item() == pytest.approx(bias + score, **close)
        for k in range(hand.places):
            assert lesson.ranks[0, n, k].item() == pytest.approx(hand.student(n, k), **close)
            for m in range(M):
                own, against, active, weight = hand.mentor(m, n, k)
                if lesson.rival is not None:
                    assert lesson.rival[m, n, k].item() == pytest.approx(against, **close)
                assert lesson.ranks[m + 1, n, k].item() == pytest.approx(own, **close)
                assert lesson.active[m, n, k].item() == active
                assert lesson.weight[m, n, k].item() == pytest.approx(weight, **close)


# Everybody teaches


@pytest.mark.parametrize('known', [None, KNOWN], ids=['all', 'some'])
@pytest.mark.parametrize('weight', [None, 0.4])
def test_everybody_who_knows_something_teaches_alike(weight, known):
    given = poses(known=known)
    lesson = UniformFilter(weight, 0.7)(given)
    plain = KnowledgeFilter()(given)
    for n in range(N):
        taught = range(K) if not given.labelled[n].any() else given.labelled[n].nonzero().flatten()
        there = [known is None or any(bool(known[m, k]) for k in taught) for m in range(M)]
        each = (1 / sum(there) if weight is None else weight) if any(there) else 0.0
        for m in range(M):
            assert lesson.active[m, n, 0].item() == there[m]
            assert lesson.weight[m, n, 0].item() == pytest.approx(each if there[m] else 0.0)
    torch.testing.assert_close(lesson.ranks, plain.ranks)
    assert (lesson.rival is None) == (known is None)
    assert known is None or torch.equal(lesson.rival, plain.rival)
    assert lesson.task_weight.tolist() == pytest.approx([0.7] * N)
    assert UniformFilter().task_weight == 1.0 and UniformFilter(task_weight=0.7).task_weight == 0.7
    assert UniformFilter()(Scores(given.values[:1], given.labelled)).weight.shape == (0, N, 1)


@pytest.mark.parametrize('known', [None, KNOWN], ids=['all', 'some'])
@pytest.mark.parametrize('kind', ['1', '1/M', 'softmax', 'share'])
def test_everybody_teaches_by_its_confidence_or_its_entropy(kind, known):
    given = poses(known=known)
    logits = [3 * rand(N, K, 6, seed=40 + m) for m in range(M)]
    alike = UniformFilter()(given)
    if kind in ('1', '1/M'):
        judged = given.judged.float()
        mean = (given.values * judged).sum(-1, keepdim=True) / judged.sum(-1, keepdim=True).clamp(1)
        rule = ConfidenceFilter(kind)
        who = M if known is None else given.counts.sum(0).clamp(min=1)
        want = confidence_weights(mean[1:], given.counts) / (who if kind == '1/M' else 1)
    else:
        rule = EntropyFilter(kind)
        want = entropy_weights(logits, None if known is None else given.taught, kind)
    lesson = rule(given, logits)
    there = alike.active if known is not None else torch.ones_like(alike.active)
    torch.testing.assert_close(lesson.weight, want * there)
    assert torch.equal(lesson.active, there.expand_as(lesson.active))
    torch.testing.assert_close(lesson.ranks, alike.ranks)
    assert (lesson.task_weight == 1).all() and rule.task_weight == 1.0


@pytest.mark.parametrize('known', [None, torch.ones(1, K).bool()], ids=['all', 'some'])
def test_a_mentor_that_is_alone_has_the_whole_weight(known):
    given = poses()
    alone = Scores(given.values[:2], given.labelled, known=known)
    for rule in (UniformFilter(), ConfidenceFilter()):
        assert (rule(alone).weight == 1).all()


def test_by_the_entropy_of_nobody_nothing_is_taught():
    given = poses()
    lesson = EntropyFilter()(Scores(given.values[:1], given.labelled), [])
    assert lesson.weight.shape[0] == lesson.active.shape[0] == 0


def test_what_filters_have_without_any_setting():
    rule = KnowledgeFilter()
    assert (rule.granularity, rule.strict, rule.min_score) == ('sample', False, None)
    assert (rule.task_bias, rule.decimals, rule.ranking) == (0.0, None, 'score')
    assert KnowledgeFilter(decimals=2).decimals == 2  # by which the loops above round, too
    assert rule.task_weight is None
    assert (UniformFilter().weight, ConfidenceFilter().total) == (None, '1')
    assert EntropyFilter().form == 'softmax'


@pytest.mark.parametrize(
    'make, words',
    [
        (
            lambda: KnowledgeFilter('person'),
            "granularity='person' is unknown; choose one of ('sample', 'batch', 'keypoint')",
        ),
        (
            lambda: KnowledgeFilter(ranking='best'),
            "ranking='best' is unknown; choose one of ('score', 'ordinal')",
        ),
        (lambda: KnowledgeFilter(min_score=-1), 'min_score=-1 must not be negative'),
        (lambda: KnowledgeFilter(task_bias=-1), 'task_bias=-1 must not be negative'),
        (lambda: KnowledgeFilter(decimals=-1), 'decimals=-1 must not be negative'),
        (lambda: UniformFilter(-1), 'weight=-1 must not be negative'),
        (lambda: UniformFilter(task_weight=-1), 'task_weight=-1 must not be negative'),
        (lambda: ConfidenceFilter('2'), "total='2' is unknown; choose one of ('1', '1/M')"),
        (lambda: EntropyFilter('log'), "form='log' is unknown; choose one of ('softmax', 'share')"),
    ],
)
def test_wrong_settings_are_told_in_full(make, words):
    with pytest.raises(ValueError, match=f'^knowledge_filter.{re.escape(words)}$'):
        make()


def without(scores, m, logits):
    """The scores of the other mentors, and their logits."""
    others = [each for each in range(M) if each != m]
    rest = replace(scores, values=scores.values[[0, *(each + 1 for each in others)]])
    for name in ('known', 'rival', 'correct'):
        value = getattr(scores, name)
        rest = rest if value is None else replace(rest, **{name: value[others]})
    return rest, [logits[each] for each in others], others


@pytest.mark.parametrize('make', [poses, partial(poses, known=KNOWN), classes])
@pytest.mark.parametrize(
    'rule',
    [
        *(KnowledgeFilter(granularity=g, ranking=r) for g in ('sample', 'keypoint')
          for r in ('score', 'ordinal')),
        UniformFilter(), ConfidenceFilter(), ConfidenceFilter('1/M'), EntropyFilter(),
        EntropyFilter('share'),
    ],
)  # fmt: skip
def test_a_muted_mentor_is_none_on_that_sample_and_itself_on_the_others(rule, make):
    scores = make(seed=3)
    logits = [rand(*scores.labelled.shape, 7, seed=m) for m in range(M)]
    finite = torch.ones(M, N, dtype=torch.bool)
    finite[1, 2] = False
    guess = scores.values.clone()
    guess[2, 2] = 1e-3
    got = rule(replace(scores, values=guess, finite=finite), logits)
    rest, theirs, others = without(scores, 1, logits)
    alone, whole = rule(rest, theirs), rule(scores, logits)
    for key in ('active', 'weight'):
        found = getattr(got, key)
        torch.testing.assert_close(found[others, 2], getattr(alone, key)[:, 2])
        assert not found[1, 2].any()
        healthy = [n for n in range(N) if n != 2]
        torch.testing.assert_close(found[:, healthy], getattr(whole, key)[:, healthy])


def test_a_muted_sample_says_nothing_of_a_mentors_batch():
    """Its guess of one in a thousand would pull the geometric mean of the other 31 down."""
    values = torch.tensor([0.75, 0.9])[:, None, None].repeat(1, 32, 1)
    values[1, 5] = 1e-3
    finite = torch.ones(1, 32, dtype=torch.bool)
    finite[0, 5] = False
    scores = Scores(values, torch.ones(32, 1, dtype=torch.bool), geometric=True, finite=finite)
    lesson = KnowledgeFilter(granularity='batch')(scores)
    assert lesson.active[0, finite[0]].all() and not lesson.active[0, 5]
    assert not KnowledgeFilter(granularity='batch')(replace(scores, finite=None)).active.any()
