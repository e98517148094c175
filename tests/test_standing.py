"""Samples without a label are judged by how well everybody has done on the others so far."""

from dataclasses import replace

import pytest
import torch

from classroomkd_mm.parts import AdaptiveMentoring, KnowledgeFilter
from classroomkd_mm.standing import KEPT, Standing
from classroomkd_mm.structures import Scores


def batch(seed, known=None, rival=False, labelled=None):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(3, 4, 5, generator=generator)
    if labelled is None:
        labelled = torch.rand(4, 5, generator=generator) < 0.6
        labelled[1] = False
    own = torch.rand(2, 4, 5, generator=generator) if rival else None
    return Scores(values, labelled, known=known, rival=own)


@pytest.mark.parametrize('rival', [False, True])
@pytest.mark.parametrize('known', [None, torch.tensor([[1, 1, 0, 0, 1], [0, 0, 0, 0, 1]]).bool()])
def test_the_running_means_against_plain_loops(known, rival):
    standing, sums = Standing(), [[[0.0, 0.0] for _ in range(3)] for _ in range(2)]
    for seed in range(3):
        scores = batch(seed, known, rival)
        for kind in range(2):
            for c in range(3):
                sums[kind][c] = [KEPT * each for each in sums[kind][c]]
                values = scores.values[c]
                if kind == 1:
                    values = scores.rival[c - 1] if rival and c else scores.values[0]
                for n in range(4):
                    own = [
                        values[n, k].item()
                        for k in range(5)
                        if scores.labelled[n, k] and (known is None or c == 0 or known[c - 1, k])
                    ]
                    if own:
                        sums[kind][c][0] += sum(own) / len(own)
                        sums[kind][c][1] += 1
        got = standing.after(scores).standing
        want = torch.tensor([[total / count for total, count in row] for row in sums])
        torch.testing.assert_close(got, want)


def test_nothing_is_known_before_the_first_label_and_a_batch_without_any_changes_nothing():
    standing, blank = Standing(), batch(0, labelled=torch.zeros(4, 5, dtype=torch.bool))
    assert not standing.after(blank).standing.any()
    told = standing.after(batch(1)).standing
    torch.testing.assert_close(standing.after(blank).standing, told)
    assert told.dtype is torch.float32 and not told.isnan().any()


@pytest.mark.parametrize('broken', [float('nan'), float('inf')])
def test_a_score_that_is_no_number_does_not_stay(broken):
    standing, whole, some = Standing(), batch(1), batch(1)
    some.values[0, 0] = broken
    got = standing.after(some).standing
    kept = [n for n in range(1, 4) if whole.labelled[n].any()]
    own = [whole.values[0, n][whole.labelled[n]].mean() for n in kept]
    torch.testing.assert_close(got[0, 0], torch.stack(own).mean())
    torch.testing.assert_close(got[0, 1:], Standing().after(whole).standing[0, 1:])


def test_a_guess_for_a_sample_on_which_a_mentor_is_muted_counts_for_nothing():
    scores = batch(1)
    finite = torch.ones(2, 4, dtype=torch.bool)
    finite[0, 0] = False
    muted = replace(scores, finite=finite)
    got, plain = (Standing().after(each).standing for each in (muted, scores))
    kept = [n for n in range(1, 4) if scores.labelled[n].any()]
    for kind, values in enumerate((scores.values[1], scores.values[0])):  # its own, the student's
        own = [values[n][scores.labelled[n]].mean() for n in kept]
        torch.testing.assert_close(got[kind, 1], torch.stack(own).mean())
    torch.testing.assert_close(got[:, [0, 2]], plain[:, [0, 2]])


@pytest.mark.parametrize('ranking', ['score', 'ordinal'])
@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_who_is_behind_on_the_others_is_silent_where_no_label_tells(granularity, ranking):
    scores = batch(0)
    stood = Scores(
        scores.values, scores.labelled, standing=torch.tensor([[0.5, 0.4, 0.8], [0.5] * 3])
    )
    rule = KnowledgeFilter(granularity, ranking=ranking, min_score=0.99)
    lesson, before = rule(stood), rule(scores)
    assert not lesson.active[0, 1].any() and lesson.active[1, 1].all()
    share = [2 / 6, 1 / 6, 3 / 6] if ranking == 'ordinal' else [0.5 / 1.7, 0.4 / 1.7, 0.8 / 1.7]
    ranks = [2 * each for each in share]
    width = lesson.active.shape[-1]
    torch.testing.assert_close(lesson.ranks[:, 1], torch.tensor(ranks)[:, None].expand(-1, width))
    torch.testing.assert_close(lesson.weight[:, 1, 0], torch.tensor([0.0, ranks[2]]))
    tau = AdaptiveMentoring(alpha=2.0)(lesson)[1, 1]
    torch.testing.assert_close(tau, torch.full_like(tau, 1 + 2 * (1 - ranks[0] / ranks[2])))
    others = [0, 2, 3]  # they have labels
    assert torch.equal(lesson.active[:, others], before.active[:, others])
    assert torch.equal(lesson.weight[:, others], before.weight[:, others])


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
@pytest.mark.parametrize('standing', [None, torch.zeros(2, 3)], ids=['not asked', 'nothing known'])
def test_without_a_standing_everybody_teaches(granularity, standing):
    scores = batch(0)
    lesson = KnowledgeFilter(granularity)(Scores(scores.values, scores.labelled, standing=standing))
    assert lesson.active[:, 1].all() and (lesson.weight[:, 1] == 1 / 2).all()


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_who_was_never_judged_teaches_where_no_label_tells(granularity):
    """Its zero is no score; that of a mentor beside which the student has one is."""
    scores = batch(0)
    for own, teaches in ((0.0, True), (0.5, False)):
        standing = torch.tensor([[0.5, 0.0, 0.8], [0.5, own, 0.5]])
        stood = Scores(scores.values, scores.labelled, standing=standing)
        lesson = KnowledgeFilter(granularity)(stood)
        assert lesson.active[0, 1].all() == teaches and lesson.active[1, 1].all()
        assert (lesson.weight[0, 1] == (0.5 if teaches else 0)).all()


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_a_mentor_of_some_keypoints_stands_against_the_student_on_those(granularity):
    known = torch.tensor([[True, True, False, False, False], [True] * 5])
    scores = batch(0, known)
    # On what the first mentor knows the student has 0.7, on all 0.3.
    stood = Scores(
        scores.values,
        scores.labelled,
        known=known,
        standing=torch.tensor([[0.3, 0.5, 0.4], [0.3, 0.7, 0.3]]),
    )
    lesson = KnowledgeFilter(granularity)(stood)
    assert not lesson.active[0, 1].any() and lesson.active[1, 1].all()
    ahead = Scores(
        scores.values,
        scores.labelled,
        known=known,
        standing=torch.tensor([[0.3, 0.5, 0.4], [0.3, 0.4, 0.3]]),
    )
    taught = KnowledgeFilter(granularity)(ahead).active[0, 1]
    assert taught.tolist() == (known[0].tolist() if granularity == 'keypoint' else [True])
