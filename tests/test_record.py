"""The statistics of lessons, added up and reduced."""

import json
import re

import pytest
import torch

from classroomkd_mm import AdaptiveMentoring, KnowledgeFilter
from classroomkd_mm.record import LessonRecord, warnings_of
from classroomkd_mm.structures import Pull, Scores

NAMES = ('a', 'b')


def record(seed=0, known=None, granularity='sample', mentors=2, pull=None):
    g = torch.Generator().manual_seed(seed)
    labelled = torch.rand(4, 5, generator=g) > 0.3
    scores = Scores(torch.rand(1 + mentors, 4, 5, generator=g), labelled, known=known)
    lesson = KnowledgeFilter(granularity)(scores)
    tau = AdaptiveMentoring(3.0)(lesson)
    finite = [torch.ones(4) > 0, torch.arange(4) % 4 >= seed % 2][:mentors]  # b: but the first
    told = (scores, lesson, tau, finite, pull)
    return scores, lesson, tau, LessonRecord.of(NAMES[:mentors], *told)


@pytest.mark.parametrize('granularity', ['sample', 'keypoint'])
@pytest.mark.parametrize('partly', [False, True])
def test_the_scalars_are_plain_means(granularity, partly):
    known = torch.tensor([[True] * 5, [False, False, True, True, True]]) if partly else None
    scores, lesson, tau, made = record(known=known, granularity=granularity)
    got = made.scalars()
    for m, name in enumerate(NAMES):
        own = scores.labelled if known is None else scores.labelled & known[m]
        assert got[f'classroom/{name}/score'].item() == pytest.approx(
            scores.values[m + 1][own].mean().item()
        )
        if granularity == 'keypoint':
            cells = [(n, k) for n in range(4) for k in range(5) if own[n, k]]
        else:
            cells = [(n, 0) for n in range(4) if own[n].any()]
        taught = [c for c in cells if lesson.active[m][c]]
        assert got[f'classroom/{name}/active'].item() == pytest.approx(len(taught) / len(cells))
        ranks = [lesson.ranks[m + 1][c].item() for c in cells]
        assert got[f'classroom/{name}/rank'].item() == pytest.approx(sum(ranks) / len(cells))
        warmth = [tau[m][c].item() for c in taught] or [1.0]
        mean = sum(warmth) / len(warmth)
        assert got[f'classroom/{name}/temperature'].item() == pytest.approx(mean, rel=1e-5)


def test_the_mean_temperature_is_one_over_lessons_not_batches():
    def batch(active, temperature):
        one = torch.ones(1)
        return LessonRecord(
            ('m',), one[0], one * active, one, one, one * active * temperature, one, one[0], one[0]
        )

    # Batch 1: half active at tau 3; batch 2: nobody.
    total = batch(0.5, 3.0) + batch(0.0, 1.0)
    line = total.line()['mentors']['m']
    assert line['temperature'] == 3.0 and line['active'] == 0.25 and line['muted_batches'] == 2


def test_a_sum_counts_batches_losses_and_who_was_muted():
    parts = [
        record(seed)[3].with_losses(
            dict(loss=torch.tensor(seed), loss_x=2.0 * seed, acc=1.0, **{'classroom/loss/score': 1})
        )
        for seed in range(3)
    ]
    total = parts[0].double() + parts[1].double() + parts[2].double()
    line = json.loads(json.dumps(total.line()))
    assert line['losses'] == dict(loss=1.0, loss_x=2.0)
    assert [line['mentors'][n]['muted_batches'] for n in NAMES] == [0, 1]
    want = sum(part.scalars()['classroom/student_score'].item() for part in parts) / 3
    assert line['student_score'] == pytest.approx(want)
    keys = ['active', 'score', 'rank', 'temperature', 'against', 'muted_batches']
    assert list(line['mentors']['a']) == keys


def test_a_mentor_s_contradictions_are_a_share_of_its_sums():
    """In most iterations nobody looks; they count for nothing."""
    scores, lesson, tau, _ = record()
    counts = [torch.tensor([[1, 4], [4, 4]]), None, torch.tensor([[0, 0], [1, 0]])]
    finite = torch.ones(2, 4, dtype=torch.bool)
    made = [LessonRecord.of(NAMES, scores, lesson, tau, finite, against=n) for n in counts]
    total = made[0].double() + made[1].double() + made[2].double()
    assert [total.line()['mentors'][n]['against'] for n in NAMES] == [0.2, 1.0]
    assert made[1].line()['mentors']['a']['against'] == 0


def test_without_mentors_there_is_the_student_alone():
    made = record(mentors=0)[3]
    assert list(made.scalars()) == ['classroom/student_score'] and made.line()['mentors'] == {}


def _reduce(rank, folder):
    import torch.distributed as dist

    dist.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    total = record(rank)[3].with_losses(dict(loss=torch.tensor(float(rank)))).double().reduced()
    if rank == 0:
        torch.save(total.line(), f'{folder}/line.pth')
    dist.destroy_process_group()


def test_two_ranks_give_the_record_of_both(tmp_path):
    torch.multiprocessing.spawn(_reduce, (str(tmp_path),), nprocs=2)
    both = [record(r)[3].with_losses(dict(loss=torch.tensor(float(r)))).double() for r in (0, 1)]
    assert torch.load(tmp_path / 'line.pth') == (both[0] + both[1]).line()


def line(active, task_weight=1.0):
    mentors = {name: dict(active=share, score=0.2) for name, share in zip('abc', active)}
    return dict(student_score=0.7, task_weight=task_weight, mentors=mentors)


@pytest.mark.parametrize(
    'given, about, words',
    [
        (line((0.5, 0.1)), set(), ''),
        (
            line((0.5, 0.0)),
            {'b'},
            "'b' taught nobody: its mean score is 0.200, the student's 0.700",
        ),
        (line((0.0, 0.0)), {'nobody'}, 'nobody taught: .* weights load .MentorEvalHook'),
        (line((0.0, 0.0), 0.09), {'nobody', 'task_weight'}, 'is 0.090: .*knowledge_filter.task_b'),
        (line(()), set(), ''),
    ],
)
def test_what_the_reader_should_know(given, about, words):
    found = warnings_of(given)
    assert set(found) == about
    assert not about or any(re.search(words, text) for text in found.values())


def test_the_task_weight_is_a_mean(monkeypatch):
    scores, lesson, tau, made = record()
    assert made.line()['task_weight'] == pytest.approx(lesson.task_weight.mean().item())


def pull(task, lesson, given=None, against=0, compared=0):
    values = (task, lesson, given, against, compared)
    return Pull(*(None if v is None else torch.tensor(v) for v in values))


def test_how_lessons_weigh_against_labels_is_a_ratio_of_sums():
    """A batch without a label has no ratio, and does not spoil the epoch's."""
    given = [pull(2.0, 8.0, 1.0, 3, 4), pull(1.0, 1.0, 1.0, 0, 4), pull(0.0, 3.0, 0.0)]
    made = [record(pull=each)[3].double() for each in given]
    first, last = made[0].scalars(), made[2].scalars()
    assert first['classroom/lesson_to_task'] == 4 and first['classroom/against'] == 0.75
    assert first['classroom/lesson_to_task_after'] == 0.5
    assert last['classroom/lesson_to_task'] == last['classroom/lesson_to_task_after'] == 0
    line = (made[0] + made[1] + made[2]).line()
    assert line['lesson_to_task'] == 4 and line['against'] == 3 / 8
    assert line['lesson_to_task_after'] == pytest.approx(2 / 3)


def test_a_ratio_after_is_told_only_where_lessons_are_corrected():
    line = record(pull=pull(2.0, 8.0))[3].line()
    assert line['lesson_to_task'] == 4 and 'lesson_to_task_after' not in line
    assert record()[3].line()['lesson_to_task'] == 0
    assert 'lesson_to_task' not in record(mentors=0, pull=pull(2.0, 8.0))[3].line()


@pytest.mark.parametrize(
    'contest, about, words',
    [
        (dict(lesson_to_task=2.0, against=0.5), set(), ''),
        (
            dict(lesson_to_task=16.94, against=0.26),
            {'outweighed'},
            'gradient of loss_distill was 16.9 times .* set distill_loss.balance=1',
        ),
        (dict(lesson_to_task=16.94, lesson_to_task_after=1.0), set(), ''),
        (dict(lesson_to_task=0.0), set(), ''),
        (
            dict(lesson_to_task=0.0, lesson_to_task_after=0.0),
            {'unopposed'},
            'no gradient at the output .*: with distill_loss.balance no lesson .*balance=None',
        ),
        (
            dict(lesson_to_task=1.0, against=0.61),
            {'contradicted'},
            "61% of the lessons contradicted the labels: .*distill_loss.conflict='project'",
        ),
    ],
)
def test_lessons_against_the_labels_are_told(contest, about, words):
    found = warnings_of(dict(line((0.5, 0.1)), **contest))
    assert set(found) == about
    assert all(re.search(words, text) for text in found.values())
