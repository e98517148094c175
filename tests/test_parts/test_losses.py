"""What the loss classes add to the formulas: weights, known classes, the anchor, settings."""

import re
from dataclasses import replace

import pytest
import torch

from classroomkd_mm.functional import dist_distill, dkd_distill, kl_distill, mse_distill
from classroomkd_mm.parts import DISTDistillLoss, DKDDistillLoss, KLDistillLoss, MSEDistillLoss
from classroomkd_mm.parts.base import lesson_weights
from classroomkd_mm.structures import Lesson

M, N, K, D = 3, 4, 2, 6
PLACES = (torch.tensor([4, 1]), None, torch.tensor([0, 2, 5]))


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def lesson(wide=K, places=None):
    active = rand(M, N, wide, seed=1) > 0.2
    weight = torch.where(active, 0.1 + rand(M, N, wide, seed=2), 0)
    return Lesson(active, weight, rand(1 + M, N, wide, seed=3), places=places)


def logits(places=(None,) * M):
    """The student's, and the mentors' of the places that they know."""
    sizes = [D if each is None else len(each) for each in places]
    theirs = [3 * rand(N, K, size, seed=5 + m) for m, size in enumerate(sizes)]
    return (3 * rand(N, K, D, seed=4)).requires_grad_(), theirs


LABELLED = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
TARGET = torch.tensor([[0, 4], [1, -1], [5, 2], [3, 0]])


# Each loss by its class, and what it is of one mentor alone.
FORMULAS = {
    'kl': (
        KLDistillLoss(0.5),
        lambda z, m, w, tau, tau_s, t: kl_distill(z, m, w, tau, tau_s),
    ),
    'mse': (MSEDistillLoss(0.5), lambda z, m, w, tau, tau_s, t: mse_distill(z, m, w)),
    'dkd': (
        DKDDistillLoss(1.5, 4.0, 0.5),
        lambda z, m, w, tau, tau_s, t: dkd_distill(z, m, w, tau, t, 1.5, 4.0),
    ),
    'dist': (
        DISTDistillLoss(2.0, 3.0, 0.5),
        lambda z, m, w, tau, tau_s, t: dist_distill(z, m, w, tau, 2.0, 3.0),
    ),
}


@pytest.mark.parametrize('wide', [1, K])
def test_weights_are_means_over_samples_and_what_is_labelled(wide):
    each = lesson(wide)
    per_mentor = torch.stack([LABELLED, ~LABELLED, LABELLED | True])
    shares = rand(M, N, K, seed=9)
    for labelled in (LABELLED, per_mentor, shares):
        got = lesson_weights(each, labelled)
        for m in range(M):
            own = labelled if labelled.dim() == 2 else labelled[m]
            for n in range(N):
                count = max(own[n].sum().item(), 1)
                for k in range(K):
                    weight = each.weight[m, n, k if wide == K else 0].item()
                    want = weight * float(own[n, k]) / count / N
                    assert got[m, n, k].item() == pytest.approx(want, rel=1e-5)
    first = lesson_weights(replace(each, weight=each.weight[:, :1]), LABELLED[:1])
    torch.testing.assert_close(first, N * lesson_weights(each, LABELLED)[:, :1])
    assert lesson_weights(replace(each, weight=each.weight[:, :0]), LABELLED[:0]).shape == (M, 0, K)


@pytest.mark.parametrize('places', [None, PLACES, PLACES[:1] * M], ids=['all', 'some', 'parts'])
@pytest.mark.parametrize('wide', [1, K])
@pytest.mark.parametrize('kind', FORMULAS)
def test_a_lesson_is_the_sum_of_the_formula_of_each_mentor_on_what_it_knows(kind, wide, places):
    loss, formula = FORMULAS[kind]
    plan = lesson(wide, places)
    known = places or (None,) * M
    student, mentors = logits(known)
    tau, tau_s = (1 + rand(M, N, wide, seed=seed) for seed in (11, 12))
    weight = lesson_weights(plan, LABELLED)
    want = 0.0
    for m, each in enumerate(known):
        own = student if each is None else student[..., each]
        target = TARGET.clone()
        if each is not None:
            listed = each.tolist()
            target = torch.tensor(
                [[listed.index(t) if t in listed else -1 for t in row] for row in TARGET.tolist()]
            )
        temperatures = (t[m : m + 1].expand(1, N, K) for t in (tau, tau_s))
        want = want + formula(own, [mentors[m]], weight[m : m + 1], *temperatures, target)
    got = loss(student, mentors, plan, (tau, tau_s), LABELLED, TARGET)
    both = got, 0.5 * want
    torch.testing.assert_close(*both)
    torch.testing.assert_close(*(torch.autograd.grad(each, student)[0] for each in both))
    same = loss(student, mentors, plan, tau, labelled=LABELLED, target=TARGET)
    torch.testing.assert_close(same, loss(student, mentors, plan, (tau, tau), LABELLED, TARGET))


def test_without_a_true_class_the_others_need_none():
    student, mentors = logits(PLACES)
    plan, tau = lesson(places=PLACES), torch.ones(M, N, K)
    for loss in (KLDistillLoss(), MSEDistillLoss(), DISTDistillLoss()):
        with_one, without = (
            loss(student, mentors, plan, tau, LABELLED, target) for target in (TARGET, None)
        )
        assert torch.equal(with_one, without)


def test_a_half_precise_student_is_compared_in_single():
    student, mentors = logits()
    for loss, _ in FORMULAS.values():
        half = student.detach().half().requires_grad_()
        got = loss(half, mentors, lesson(), torch.ones(M, N, K), LABELLED, TARGET)
        assert got.dtype is torch.float32
        want = loss(half.float(), mentors, lesson(), torch.ones(M, N, K), LABELLED, TARGET)
        assert torch.equal(got, want)


# The anchor: one more KL with the first mentor


@pytest.mark.parametrize('both', [False, True], ids=['one temperature', 'two'])
@pytest.mark.parametrize('differ', [False, True], ids=['all know all', 'each its own'])
@pytest.mark.parametrize('healthy', [False, True])
@pytest.mark.parametrize('places', [None, PLACES])
def test_the_anchor_is_one_more_lesson_of_the_first_mentor(places, healthy, differ, both):
    student, mentors = logits(places or (None,) * M)
    plan, sound = lesson(places=places), rand(M, N, seed=20) > 0.4
    sound[0, :2] = torch.tensor([True, False])
    if healthy:
        plan = plan.keep(sound)
    labelled = torch.stack([LABELLED, ~LABELLED, LABELLED | True]) if differ else LABELLED
    tau, tau_s = (1 + rand(M, N, K, seed=seed) for seed in (11, 12))
    temperature = (tau, tau_s) if both else tau
    taught = labelled[0] if differ else labelled
    row = 3.0 * (sound[0].float() if healthy else torch.ones(N))[:, None]
    weight = (row * taught / taught.sum(-1, keepdim=True).clamp(min=1) / N)[None]
    one = torch.ones(1, N, K)
    own = student if places is None else student[..., places[0]]
    plain = KLDistillLoss(0.5)(student, mentors, plan, temperature, labelled)
    want = plain + 0.5 * kl_distill(own, mentors[:1], weight, one, one)
    got = KLDistillLoss(0.5, anchor=3.0)(student, mentors, plan, temperature, labelled)
    torch.testing.assert_close(got, want)


def test_without_mentors_there_is_no_anchor():
    student, _ = logits()
    none = Lesson(*(torch.zeros(m, N, K) for m in (0, 0, 1)))
    loss = KLDistillLoss(anchor=1.0)(student, [], none, torch.ones(0, N, K), LABELLED)
    assert loss.item() == 0


# Settings


def test_what_a_loss_has_without_any_setting():
    for kind in (KLDistillLoss, MSEDistillLoss, DKDDistillLoss, DISTDistillLoss):
        loss = kind()
        assert (loss.loss_weight, loss.sharpness, loss.fade) == (1.0, 1.0, False)
        assert loss.compares_values == (kind is MSEDistillLoss)
        assert kind(balance=0.5).balance == 0.5
        assert kind(fade=True, loss_weight=0.0).fade and kind(loss_weight=0.0).loss_weight == 0
    assert (KLDistillLoss().anchor, KLDistillLoss(1.0, 6.0, 2.0).anchor) == (0.0, 2.0)
    assert (DKDDistillLoss().alpha, DKDDistillLoss().beta) == (1.0, 8.0)
    assert (DISTDistillLoss().beta, DISTDistillLoss().gamma) == (1.0, 1.0)


@pytest.mark.parametrize(
    'make, words',
    [
        (lambda: KLDistillLoss(beta=0), 'distill_loss.beta=0 is not positive'),
        (lambda: KLDistillLoss(anchor=-1), 'distill_loss.anchor=-1 must not be negative'),
        (lambda: MSEDistillLoss(-0.5), 'distill_loss.loss_weight=-0.5 must not be negative'),
        (lambda: DKDDistillLoss(alpha=-1), 'distill_loss.alpha=-1 must not be negative'),
        (lambda: DKDDistillLoss(beta=-1), 'distill_loss.beta=-1 must not be negative'),
        (lambda: DISTDistillLoss(beta=-1), 'distill_loss.beta=-1 must not be negative'),
        (lambda: DISTDistillLoss(gamma=-1), 'distill_loss.gamma=-1 must not be negative'),
        (
            lambda: KLDistillLoss(balance=0),
            'distill_loss.balance=0 is no positive number: 1 lets a lesson weigh as much as the '
            'task, None does not look',
        ),
        (
            lambda: KLDistillLoss(balance_odds=True),
            'distill_loss.balance_odds=True multiplies a balance, and there is none: set '
            'distill_loss.balance=1.0, or balance_odds=False',
        ),
        (
            lambda: KLDistillLoss(balance_per='epoch'),
            "distill_loss.balance_per='epoch' is unknown; choose one of ('batch', 'sample')",
        ),
        (
            lambda: KLDistillLoss(conflict='drop'),
            "distill_loss.conflict='drop' is unknown; choose one of ('keep', 'project')",
        ),
    ],
)
def test_wrong_settings_are_told_in_full(make, words):
    with pytest.raises(ValueError, match=f'^{re.escape(words)}$'):
        make()


def test_decoupled_distillation_is_refused_where_there_is_nothing_to_decouple():
    student, mentors = logits()
    told = (lesson(), torch.ones(M, N, K), LABELLED)
    words = (
        'distill_loss=DKDDistillLoss needs a true class: it is for classification; use '
        'KLDistillLoss for heatmaps'
    )
    with pytest.raises(ValueError, match=f'^{words}$'):
        DKDDistillLoss()(student, mentors, *told)
    two = [mentor[..., :2] for mentor in mentors]
    words = (
        'distill_loss=DKDDistillLoss with alpha=0 compares the classes beside the true one, and '
        'with two classes there is only one: the loss would be 0; set alpha'
    )
    with pytest.raises(ValueError, match=f'^{words}$'):
        DKDDistillLoss(alpha=0)(student[..., :2], two, *told, TARGET.clamp(max=1))
    DKDDistillLoss(alpha=0)(student[..., :3], [m[..., :3] for m in mentors], *told, TARGET % 3)
    DKDDistillLoss(alpha=1)(student[..., :2], two, *told, TARGET.clamp(max=1))
