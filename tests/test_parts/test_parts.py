"""Filters, mentoring rules, losses and scorers: what the thin classes add to the functions."""

import numpy as np
import pytest
import torch

from classroomkd_mm import (
    AdaptiveMentoring,
    ConfidenceFilter,
    DISTDistillLoss,
    DKDDistillLoss,
    DTKDMentoring,
    EntropyFilter,
    FixedMentoring,
    KLDistillLoss,
    KnowledgeFilter,
    MSEDistillLoss,
    OKSScorer,
    PCKScorer,
    UniformFilter,
)
from classroomkd_mm.functional import kl_distill
from classroomkd_mm.parts import DistillLoss, Mentoring, Scorer, build_part
from classroomkd_mm.structures import PoseTruth, Scores


def scores(seed=0, mentors=2, samples=4, keypoints=5):
    g = torch.Generator().manual_seed(seed)
    labelled = torch.rand(samples, keypoints, generator=g) > 0.3
    labelled[0] = False
    return Scores(torch.rand(1 + mentors, samples, keypoints, generator=g), labelled)


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_whom_the_filter_lets_teach(granularity):
    given = scores()
    lesson = KnowledgeFilter(granularity, task_bias=0.25)(given)
    mean = [
        [
            (
                np.mean([given.values[c, n, k] for k in range(5) if given.labelled[n, k]])
                if given.labelled[n].any()
                else 0.0
            )
            for n in range(4)
        ]
        for c in range(3)
    ]
    assert not given.labelled[0].any() and given.labelled[1:].any(-1).all()
    assert lesson.active[:, 0].all() and (lesson.weight[:, 0] == 1 / 2).all()
    assert (AdaptiveMentoring(3.0)(lesson)[:, 0] == 1).all()
    for m in range(2):
        for n in range(1, 4):
            for k in range(lesson.active.shape[-1]):
                own, his = {
                    'sample': (mean[0][n], mean[m + 1][n]),
                    'batch': (np.mean(mean[0][1:]), np.mean(mean[m + 1][1:])),
                    'keypoint': (given.values[0, n, k], given.values[m + 1, n, k]),
                }[granularity]
                labelled = granularity != 'keypoint' or bool(given.labelled[n, k])
                assert lesson.active[m, n, k] == bool(labelled and his >= own and his > 0)
                assert (lesson.weight[m, n, k] > 0) == lesson.active[m, n, k]
    task = mean[0] if granularity != 'batch' else [0.0] + [np.mean(mean[0][1:])] * 3
    np.testing.assert_allclose(lesson.task_weight, np.array(task) + 0.25, rtol=1e-5)


def test_strict_and_min_score():
    tie = Scores(torch.full((2, 1, 1), 0.5), torch.ones(1, 1, dtype=torch.bool))
    assert KnowledgeFilter()(tie).active.all()
    assert not KnowledgeFilter(strict=True)(tie).active.any()
    assert not KnowledgeFilter(min_score=0.6)(tie).active.any()
    wrong = Scores(tie.values, tie.labelled, correct=torch.zeros(1, 1, dtype=torch.bool))
    assert not KnowledgeFilter(min_score=0.1)(wrong).active.any()


def test_permuting_mentors_permutes_the_lesson():
    given = scores(mentors=3)
    swapped = Scores(given.values[[0, 3, 1, 2]], given.labelled)
    a, b = (KnowledgeFilter()(s) for s in (given, swapped))
    torch.testing.assert_close(a.weight[[2, 0, 1]], b.weight)


def test_uniform_filter_and_fixed_mentoring():
    lesson = UniformFilter()(scores(mentors=4))
    assert (lesson.weight == 0.25).all() and lesson.active.all()
    assert (lesson.task_weight == 1).all()
    assert (UniformFilter(weight=2.0)(scores()).weight == 2).all()
    assert (FixedMentoring(4.0)(lesson) == 4).all()
    healthy = torch.ones(4, lesson.active.shape[1], dtype=torch.bool)
    healthy[1, 0] = False
    told = (lesson.keep(healthy).weight > 0).any(-1)
    assert torch.equal(told, healthy)


def test_the_kl_is_the_lessons_weighted_sum_and_leaves_beta_to_the_readouts():
    given = scores()
    lesson = KnowledgeFilter()(given)
    tau = AdaptiveMentoring(3.0)(lesson)
    student, mentors = torch.randn(4, 5, 7), [torch.randn(4, 5, 7), torch.randn(4, 5, 7)]
    loss = KLDistillLoss(loss_weight=0.5, beta=6.0)
    assert loss.sharpness == 6.0
    got = loss(student, mentors, lesson, tau, given.labelled)
    share = given.labelled / given.labelled.sum(-1, keepdim=True).clamp(min=1) / 4
    want = 0.5 * kl_distill(student, mentors, lesson.weight * share, tau.expand(-1, -1, 5))
    torch.testing.assert_close(got, want)


def test_at_beta_one_kl_on_faint_heatmaps_is_half_the_squared_error():
    # Why heatmaps need beta: their softmax is almost flat, and tau then has no effect.
    labelled = torch.ones(1, 1, dtype=torch.bool)
    lesson = UniformFilter()(Scores(torch.ones(2, 1, 1), labelled))
    student, mentor = (
        1e-2 * torch.randn(1, 1, 4000).double(),
        1e-2 * torch.randn(1, 1, 4000).double(),
    )
    kl, mse = (
        loss(student, [mentor], lesson, FixedMentoring(1)(lesson), labelled).item()
        for loss in (KLDistillLoss(), MSEDistillLoss())
    )
    assert kl == pytest.approx(mse / 2, rel=0.05)


def truth(**fields):
    keypoints = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    return PoseTruth(keypoints, torch.ones(1, 2, dtype=torch.bool), **fields)


def test_pck_norms():
    guess = torch.tensor([[[[0.0, 1.9], [3.0, 4.0]]]])
    names = dict(keypoint_name2id=dict(left_shoulder=0, right_hip=1))
    for norm, fields, length in (
        ('bbox', dict(bbox=torch.tensor([[4.0, 10.0]])), 10),
        ('head', dict(head=torch.tensor([8.0])), 8),
        ('torso', {}, 5),
    ):
        for thr, right in ((1.8 / length, 0.0), (2.0 / length, 1.0)):
            got = PCKScorer(thr, norm)(guess, truth(**fields), names).values
            assert got.flatten().tolist() == [right, 1.0], norm


@pytest.mark.parametrize(
    'scorer, message',
    [
        (OKSScorer(), "no 'area' in its annotations"),
        (PCKScorer(norm='bbox'), 'needs bounding boxes'),
        (PCKScorer(norm='head'), 'needs head sizes'),
        (PCKScorer(norm='torso'), 'needs keypoints named left_shoulder'),
    ],
)
def test_what_the_data_set_lacks_is_named(scorer, message):
    with pytest.raises(ValueError, match=message):
        scorer(torch.zeros(1, 1, 2, 2), truth(), {})


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: KnowledgeFilter(ranking='best'), "ranking='best' is unknown"),
        (lambda: FixedMentoring(0), 'tau=0 is not positive'),
        (lambda: DTKDMentoring(-1), 'tau=-1 is not positive'),
        (lambda: ConfidenceFilter('2'), "knowledge_filter.total='2' is unknown"),
        (lambda: EntropyFilter('log'), "knowledge_filter.form='log' is unknown"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_misspelt_part_is_named_with_its_setting_and_the_nearest():
    with pytest.raises(KeyError, match="mentoring: type='AdaptivMentoring' .*AdaptiveMentoring"):
        build_part(dict(type='AdaptivMentoring', alpha=1.0), Mentoring)
    with pytest.raises(KeyError, match="scorer: type='zzz' is not reg.* module in custom_imports"):
        build_part(dict(type='zzz'), Scorer)
    with pytest.raises(TypeError, match=r"scorer='OKSScorer' must be a dict\(type=...\)"):
        build_part('OKSScorer', Scorer)


# Mentors that know a part: three keypoints; a knows all, b the last only


def partly(values, labelled, known):
    return Scores(torch.tensor(values), torch.tensor(labelled), known=torch.tensor(known))


@pytest.mark.parametrize('ranking', ['score', 'ordinal'])
@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_in_a_sample_of_which_it_knows_nothing_a_mentor_has_no_part(granularity, ranking):
    """Beside a sample of which it knows something; the others rank as in a room without it."""
    given = partly(
        [
            [[0.2, 0.4, 0.3], [0.2, 0.4, 0.9]],
            [[0.5, 0.7, 0.6], [0.1, 0.3, 0.2]],
            [[0.9, 0.9, 0.8], [0.9, 0.9, 0.8]],
        ],
        [[True, True, True], [True, True, False]],
        [[True, True, True], [False, False, True]],
    )
    rule = KnowledgeFilter(granularity, ranking=ranking)
    lesson = rule(given)
    assert not lesson.active[1, 1].any() and not lesson.weight[1, 1].any()
    assert not lesson.ranks[2, 1].any()
    alone = rule(Scores(given.values[:2], given.labelled))
    torch.testing.assert_close(lesson.ranks[:2, 1], alone.ranks[:, 1])
    torch.testing.assert_close(lesson.weight[0, 1], alone.weight[0, 1])


@pytest.mark.parametrize('rule', [UniformFilter(), ConfidenceFilter()])
def test_without_a_filter_temperatures_compare_on_what_a_mentor_knows(rule):
    """The student has 0.5 on what b knows, b 0.4: behind, however bad the student is elsewhere."""
    given = partly(
        [[[0.1, 0.1, 0.5]], [[0.4, 0.4, 0.4]], [[0.0, 0.0, 0.4]]],
        [[True, True, True]],
        [[True, True, True], [False, False, True]],
    )
    lesson = rule(given)
    tau = AdaptiveMentoring(2.0)(lesson).flatten()
    mean = (0.1 + 0.1 + 0.5) / 3
    torch.testing.assert_close(tau, torch.tensor([1 + 2 * (0.4 - mean) / 0.4, 1.0]))


LOSSES = [KLDistillLoss, MSEDistillLoss, DKDDistillLoss, DISTDistillLoss]


@pytest.mark.parametrize('kind', LOSSES)
def test_every_loss_takes_what_a_lesson_may_do(kind):
    loss = kind()
    assert (loss.balance, loss.balance_per, loss.conflict) == (None, 'batch', 'keep')
    assert (loss.balance_odds, loss.fade) == (False, False)
    cfg = dict(type=kind.__name__, loss_weight=0.5, balance=2, conflict='project')
    loss = build_part(dict(cfg, balance_per='sample', balance_odds=True, fade=True), DistillLoss)
    assert (loss.balance_odds, loss.fade) == (True, True)
    assert (loss.balance, loss.balance_per, loss.conflict) == (2, 'sample', 'project')
    assert loss.loss_weight == 0.5
    with pytest.raises(TypeError, match=r'distill_loss\.balanc is .* did you mean balance\?'):
        build_part(dict(type=kind.__name__, balanc=1), DistillLoss)


@pytest.mark.parametrize('kind', LOSSES)
@pytest.mark.parametrize('balance', [0, -1.0, float('nan'), float('inf'), '1', True])
def test_a_balance_is_a_positive_number(kind, balance):
    with pytest.raises(ValueError, match=r'distill_loss\.balance=.* is no positive number: 1 lets'):
        kind(balance=balance)


def test_what_a_lesson_may_do_is_one_of_few_words():
    with pytest.raises(ValueError, match="distill_loss.conflict='drop' is unknown; .*'project'"):
        KLDistillLoss(conflict='drop')
    with pytest.raises(ValueError, match="distill_loss.balance_per='epoch' is unknown; .*'sample'"):
        KLDistillLoss(balance_per='epoch')
