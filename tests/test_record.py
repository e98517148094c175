"""The statistics of lessons, added up and reduced."""

import json
import re
from dataclasses import fields, replace

import pytest
import torch
from fresh import ranks

from classroomkd_mm import AdaptiveMentoring, KnowledgeFilter
from classroomkd_mm.record import LessonRecord, warnings_of
from classroomkd_mm.structures import Lesson, Pull, Scores

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
        weights = [lesson.weight[m][c].item() for c in taught] or [0.0]
        mean = sum(weights) / len(weights)
        assert got[f'classroom/{name}/weight'].item() == pytest.approx(mean, rel=1e-5)


def test_the_mean_temperature_is_one_over_lessons_not_batches():
    def batch(active, temperature):
        one = torch.ones(1)
        return LessonRecord(
            ('m',),
            one[0],
            one * active,
            one,
            one,
            one * active * temperature,
            one,
            one[0],
            one[0],
            judged=torch.ones(2),
            teachable=one,
        )

    # Batch 1: half active at tau 3; batch 2: nobody.
    total = batch(0.5, 3.0) + batch(0.0, 1.0)
    line = total.line()['mentors']['m']
    assert line['temperature'] == 3.0 and line['active'] == 0.25 and line['muted_batches'] == 2


def test_a_mean_is_over_the_batches_in_which_there_was_something_to_judge():
    """Batch 2 has no label, so nothing is known of anybody; of batch 3 mentor b knows nothing."""
    values = torch.full((3, 2, 5), 0.8)
    some = torch.tensor([[True] * 5, [False] * 5])
    total = None
    for labelled, known in ((True, None), (False, None), (True, some)):
        scores = Scores(values, torch.full((2, 5), labelled), known=known)
        lesson = KnowledgeFilter(task_bias=1.0)(scores)
        tau, finite = AdaptiveMentoring(3.0)(lesson), torch.ones(2, 2) > 0
        made = LessonRecord.of(NAMES, scores, lesson, tau, finite).double()
        total = made if total is None else total + made
    line = total.line()
    assert line['student_score'] == pytest.approx(0.8) and line['task_weight'] == pytest.approx(1.8)
    for name in NAMES:
        told = line['mentors'][name]
        assert told['score'] == pytest.approx(0.8) and told['active'] == 1
    assert total.judged.tolist() == [2, 2, 1] and total.teachable.tolist() == [3, 2]


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
    keys = ['active', 'score', 'rank', 'weight', 'temperature', 'against', 'muted_batches']
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
    ranks(_reduce, str(tmp_path))
    both = [record(r)[3].with_losses(dict(loss=torch.tensor(float(r)))).double() for r in (0, 1)]
    assert torch.load(tmp_path / 'line.pth') == (both[0] + both[1]).line()


def _with(rank):
    """A record of losses that the other rank has not, or has in another order."""
    losses = [dict(loss=1.0, loss_kpt=2.0), dict(loss_vis=4.0, loss_kpt=8.0, loss=16.0)][rank]
    losses = {key: torch.tensor(value) for key, value in losses.items()}
    return record(rank)[3].with_losses(losses).double()


def _reduce_others(rank, folder):
    import torch.distributed as dist

    dist.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=2)
    torch.save(_with(rank).reduced().line(), f'{folder}/line_{rank}.pth')
    dist.destroy_process_group()


def test_ranks_that_had_other_losses_sum_each_by_its_name(tmp_path):
    """Where one has seen nobody with a label, whose head has no loss of visibility."""
    ranks(_reduce_others, str(tmp_path))
    both = (_with(0) + _with(1)).line()
    for rank in (0, 1):
        assert torch.load(tmp_path / f'line_{rank}.pth') == both
    assert both['losses'] == {'loss': 8.5, 'loss_kpt': 5.0, 'loss_vis': 2.0}


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
            'gradient of loss_distill was 16.9 times .* 26% .* distill_loss.balance=0.1 with',
        ),
        (dict(lesson_to_task=16.94, against=0.26, lesson_to_task_after=1.0), set(), ''),
        (dict(lesson_to_task=16.94, against=0.1), set(), ''),
        (dict(lesson_to_task=16.94), set(), ''),
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


# What the sums are made of, each against plain loops


def by_hand(values, lesson_of=None):
    """A record of given scores of three samples; the last has no label."""
    labelled = torch.tensor([[True, True], [True, False], [False, False]])
    scores = Scores(torch.tensor(values), labelled)
    weight = torch.tensor([0.25, 0.75, 9.0])
    active = torch.tensor([[[True], [False], [True]], [[True], [True], [True]]])
    ranks = torch.tensor([[[0.5]] * 3, [[0.2], [0.4], [5.0]], [[0.6], [1.0], [7.0]]])
    lesson = Lesson(active, active.float(), ranks, weight)
    lesson = lesson if lesson_of is None else lesson_of(lesson)
    tau = torch.tensor([[[2.0], [8.0], [4.0]], [[1.0], [2.0], [3.0]]])
    finite = [torch.ones(3).bool(), torch.tensor([True, False, True])]
    return LessonRecord.of(
        NAMES, scores, lesson, (tau, 100 * tau), finite, against=torch.tensor([[1, 2], [3, 4]])
    )


VALUES = [[[0.2, 0.4], [0.6, 0.9], [0.9, 0.9]]] * 2 + [[[0.1, 0.3], [0.5, 0.9], [0.9, 0.9]]]


def test_of_a_batch_with_a_sample_without_label():
    """It is taught, and counts for what was taught; not for scores, ranks or the task's weight."""
    made = by_hand(VALUES)
    assert made.student_score.item() == pytest.approx((0.2 + 0.4 + 0.6) / 3)
    assert made.score.tolist() == pytest.approx([0.4, 0.3])
    assert made.active.tolist() == pytest.approx([2 / 3, 1.0])
    assert made.rank.tolist() == pytest.approx([0.3, 0.8])
    assert made.warmth.tolist() == pytest.approx([(2 + 4) / 2 * 2 / 3, (1 + 2 + 3) / 3])
    assert made.muted.tolist() == [0.0, 1.0] and made.muted.dtype is torch.float32
    assert made.task_weight.item() == pytest.approx(0.5)
    assert (made.batches.item(), made.unlabelled.item(), made.corrected) == (1.0, 1.0, False)
    assert made.against.tolist() == [[1.0, 2.0], [3.0, 4.0]] and made.pull.tolist() == [0.0] * 5
    line = (made + made).line()
    assert line['unlabelled'] == 2 and line['task_weight'] == pytest.approx(0.5)
    assert [line['mentors'][n]['against'] for n in NAMES] == pytest.approx([1 / 3, 0.5])
    scores, _, _, labelled = record()
    assert scores.labelled.any(-1).all() and 'unlabelled' not in labelled.line()


@pytest.mark.parametrize('granularity', ['sample', 'keypoint'])
def test_of_a_single_labelled_keypoint_all_means_are_its_own(granularity):
    labelled = torch.tensor([[False, True], [False, False]])
    scores = Scores(torch.tensor([[[0.9, 0.3]] * 2, [[0.9, 0.6]] * 2]), labelled)
    lesson = KnowledgeFilter(granularity, task_bias=0.5)(scores)
    told = scores, lesson, AdaptiveMentoring(3.0)(lesson), [torch.ones(2).bool()]
    made = LessonRecord.of(NAMES[:1], *told)
    assert made.student_score.item() == pytest.approx(0.3)
    assert made.score.tolist() == pytest.approx([0.6])
    assert made.rank.tolist() == pytest.approx([2 / 3])
    assert made.task_weight.item() == pytest.approx(0.8)
    # The other sample has no label: all of it is taught, at 1.
    taught = 3 if granularity == 'keypoint' else 2
    assert made.warmth.tolist() == pytest.approx([(1 + 3 * 0.5 + taught - 1) / taught])
    assert made.unlabelled.dtype is made.against.dtype is made.muted.dtype is torch.float32
    line = (made + made).line()
    assert line['student_score'] == pytest.approx(0.3)
    assert (made + made).scalars()['classroom/student_score'].item() == pytest.approx(0.3)
    alone = replace(lesson, active=lesson.active & labelled[:, 1:], task_weight=None)
    made = LessonRecord.of(NAMES[:1], scores, alone, *told[2:])
    assert made.warmth[0].item() == pytest.approx(made.active[0].item() * (1 + 3 * 0.5))
    nobody = replace(made, active=made.active * 0, warmth=made.warmth * 0)
    assert nobody.line()['mentors']['a']['temperature'] == 1.0


def test_ratios_of_small_gradients_and_counts_are_kept_in_the_records_precision():
    counted = torch.tensor([[1, 0], [2, 1]])
    scores, lesson, tau, _ = record()
    given = Pull(*(torch.tensor(v).double() for v in (0.25, 0.5, 0.125, 0.5, 0.5)))
    finite = torch.ones(2, 4, dtype=torch.bool)
    made = LessonRecord.of(NAMES, scores, lesson, tau, finite, given, counted)
    assert made.pull.dtype is made.against.dtype is torch.float32
    line = made.line()
    assert (line['lesson_to_task'], line['lesson_to_task_after'], line['against']) == (2, 0.5, 1)


def test_a_filter_with_one_weight_for_all_counts_as_one():
    made = by_hand(VALUES, lambda lesson: replace(lesson, task_weight=None))
    assert made.task_weight.item() == 1.0 and made.task_weight.dim() == 0
    scores = Scores(torch.ones(1, 1, 1), torch.ones(1, 1).bool())  # of a student alone
    lesson = replace(KnowledgeFilter()(scores), task_weight=None)
    assert LessonRecord.of((), scores, lesson, lesson.weight, []).line()['task_weight'] == 1


def test_where_nothing_can_be_judged_all_means_are_zero_and_nothing_fails():
    scores = Scores(torch.rand(3, 2, 4), torch.zeros(2, 4).bool())
    lesson = KnowledgeFilter()(scores)
    told = (scores, lesson, AdaptiveMentoring(3.0)(lesson), torch.ones(2, 2).bool())
    line = LessonRecord.of(NAMES, *told).line()
    assert line['student_score'] == 0 and line['task_weight'] is None and line['unlabelled'] == 2
    assert 'task_weight' not in warnings_of(line)
    want = dict(active=1.0, score=0.0, rank=0.0, temperature=1.0, against=0, muted_batches=0)
    assert line['mentors'] == {name: dict(want, weight=0.5) for name in NAMES}  # 1 / M each


def test_the_scalars_are_in_a_fixed_order_under_their_names():
    made = record(pull=pull(2.0, 8.0, 1.0, 3, 4))[3]
    assert made.corrected
    found = made.scalars()
    each = ('active', 'score', 'rank', 'weight', 'temperature', 'muted')
    assert list(found) == [
        'classroom/student_score',
        'classroom/lesson_to_task',
        'classroom/against',
        'classroom/lesson_to_task_after',
        *(f'classroom/{name}/{key}' for name in NAMES for key in each),
    ]
    assert made.pull.tolist() == [2.0, 8.0, 1.0, 3.0, 4.0]
    assert record(pull=pull(2.0, 8.0))[3].pull.tolist() == [2.0, 8.0, 8.0, 0.0, 0.0]
    halves = (made + replace(made, muted=made.muted + 1)).scalars()
    for m, name in enumerate(NAMES):
        muted = made.muted[m].item()
        assert halves[f'classroom/{name}/muted'].item() == pytest.approx(muted + 0.5)


def tensors(made):
    values = {f.name: getattr(made, f.name) for f in fields(made)}
    values.update({f'losses {key}': value for key, value in values.pop('losses').items()})
    return {key: value for key, value in values.items() if isinstance(value, torch.Tensor)}


def test_a_sum_has_the_losses_of_either_and_keeps_every_shape():
    one = record(0)[3].with_losses(dict(loss=1.0, loss_kpt=torch.tensor(2.0)))
    other = record(1)[3].with_losses({'loss': 3.0, 'aux.loss': torch.tensor(5.0)})
    total = one + other
    assert {key: v.item() for key, v in total.losses.items()} == {
        'loss': 4.0, 'loss_kpt': 2.0, 'aux.loss': 5.0,
    }  # fmt: skip
    assert total.names == NAMES
    for key, value in tensors(record(0)[3]).items():
        both = getattr(one, key) + getattr(other, key)
        assert torch.equal(getattr(total, key), both) and both.shape == value.shape


def test_losses_are_kept_without_their_graph():
    loss = torch.ones((), requires_grad=True) * 2
    kept = record()[3].with_losses(dict(loss=loss)).losses['loss']
    assert kept.item() == 2 and not kept.requires_grad


def test_what_all_processes_sum_up_comes_back_in_its_place(monkeypatch):
    """Of two that have the same: twice everything, in double precision, losses too."""
    monkeypatch.setattr('classroomkd_mm.record.all_reduce', lambda values: values.mul_(2))
    made = record(1, pull=pull(2.0, 8.0, 1.0, 3, 4))[3]
    losses = {'loss': torch.tensor(1.5), 'loss_x': torch.tensor(3)}
    made = made.with_losses(losses).double()
    assert all(value.dtype is torch.float64 for value in tensors(made).values())
    total = made.reduced()
    assert (total.names, total.corrected) == (NAMES, True)
    assert list(tensors(total)) == list(tensors(made))
    for key, value in tensors(total).items():
        assert value.dtype is torch.float64 and torch.equal(value, 2 * tensors(made)[key]), key


def test_losses_of_another_precision_do_not_change_the_records(monkeypatch):
    monkeypatch.setattr('classroomkd_mm.record.all_reduce', lambda values: None)
    made = record()[3].with_losses(dict(loss=torch.tensor(1.5, dtype=torch.float64), loss_x=2))
    total = made.reduced()
    assert all(value.dtype is torch.float32 for value in tensors(total).values())
    assert total.line() == made.line()


# The sentences, in full


def told(**contest):
    return warnings_of(dict(line((0.5, 0.1)), **contest))


def test_who_taught_nobody_is_told_in_full():
    given = line((0.5, 0.0, 0.0))
    sentence = (
        "mentor '{}' taught nobody: its mean score is 0.200, the student's 0.700; it costs time "
        'and adds nothing'
    )
    assert warnings_of(given) == {name: sentence.format(name) for name in 'bc'}
    assert warnings_of(line((0.0,))) == dict(
        nobody='nobody taught: no mentor did better than the student on any sample. Did their '
        'weights load (MentorEvalHook tells), do keypoints, classes and normalisation fit, is '
        'min_score too high?'
    )


def test_a_task_weight_of_next_to_nothing_is_told_in_full():
    assert warnings_of(line((0.5,), 0.1)) == {}
    assert warnings_of(line((0.5,), 0.0996)) == dict(
        task_weight='the mean weight of the task loss is 0.100: the student hardly learns from its '
        'labels; set knowledge_filter.task_bias, e.g. to 1'
    )


def test_a_lesson_that_outweighs_the_labels_is_told_in_full():
    """By more than twice the odds that it agrees with them, which count for 1 at least."""
    sentence = (
        'lessons outweighed the labels: at the output the gradient of loss_distill was {} times '
        'that of the task, {} of the lessons contradicted their labels, and they may undo what '
        'these teach; set {}'
    )
    unset = 'distill_loss.balance=0.1 with balance_odds=2, or a smaller loss_weight'
    is_set = 'a smaller distill_loss.balance, with balance_odds=2'
    half, quarter = (
        sentence.format(*numbers, unset) for numbers in (('2.0', '50%'), ('6.0', '25%'))
    )
    assert told(lesson_to_task=2.04, against=0.5) == dict(outweighed=half)
    assert told(lesson_to_task=6.04, against=0.25) == dict(outweighed=quarter)
    assert told(lesson_to_task=5.96, against=0.25) == told(lesson_to_task=1.96, against=0.5) == {}
    both = dict(lesson_to_task=1.0, lesson_to_task_after=3.0, against=0.5)
    assert told(**both) == dict(outweighed=sentence.format('3.0', '50%', is_set))
    assert 'outweighed' in told(lesson_to_task=2.04, against=0.9)
    assert 'outweighed' not in told(lesson_to_task=1.96, against=0.9)


def test_labels_that_ask_for_nothing_are_told_in_full():
    assert told(lesson_to_task_after=0.0) == dict(
        unopposed='the task losses had no gradient at the output of the student: with '
        'distill_loss.balance no lesson is given then. Are there labels? Without them set '
        'distill_loss.balance=None'
    )
    assert told(lesson_to_task=0.5, lesson_to_task_after=0.0) == {}


def test_lessons_that_contradict_are_told_in_full_with_the_mentors_whose_most_do():
    sentence = (
        '{:.0%} of the lessons contradicted the labels{}: mentors know other data, or another '
        'convention (MentorEvalHook tells how well they do on these); '
        "what contradicts is taken out of each lesson by distill_loss.conflict='project'"
    )
    assert told(against=0.504) == dict(contradicted=sentence.format(0.5, ''))
    given = line((0.5, 0.5, 0.5))
    for name, share in (('a', 0.61), ('b', 0.5), ('c', 0.9)):
        given['mentors'][name]['against'] = share
    each = ' (a 61%, c 90% of its own)'
    assert warnings_of(given) == dict(contradicted=sentence.format(0.0, each))
    assert warnings_of(dict(given, against=0.3)) == dict(contradicted=sentence.format(0.3, each))
