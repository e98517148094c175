"""Scores of members that know some classes alone, against plain loops over samples."""

import math
from dataclasses import replace

import pytest
import torch

from classroomkd_mm.parts import TrueClassScorer
from classroomkd_mm.structures import ClassTruth, Reading
from classroomkd_mm.tasks.classification.limited import score_all

CLASSES = 5
PLACES = (None, (4, 0, 2), (1, 3))  # the student's and two mentors'; None is all
NAMES = dict(classes=tuple('abcde'))


class Told(TrueClassScorer):
    """The stock one; what it was told of the data set."""

    def __init__(self):
        self.metainfo = []

    def __call__(self, guesses, truth, metainfo=None):
        self.metainfo.append(metainfo)
        return super().__call__(guesses, truth, metainfo)


@pytest.fixture
def readings():
    generator = torch.Generator().manual_seed(0)
    return [
        Reading(
            torch.randn(6, len(known or range(CLASSES)), generator=generator),
            (),
            places=None if known is None else torch.tensor(known),
        )
        for known in PLACES
    ]


def known_of(places):
    return range(CLASSES) if places is None else places


def probability(row, label, mass):
    """``exp(sum_c y_c / mass log p_c)`` of a label that is a list of masses."""
    top = max(row)
    log_total = top + math.log(sum(math.exp(z - top) for z in row))
    return math.exp(sum(y / mass * (z - log_total) for y, z in zip(label, row) if y))


def check(scores, readings, masses):
    """``masses``: a list of lists, ``[n][c]``."""
    student = readings[0].guess.tolist()
    for m, reading in enumerate(readings[1:]):
        known = known_of(PLACES[m + 1])
        for n, label in enumerate(masses):
            part = [label[c] for c in known]
            if not sum(label):
                assert scores.known[m, n, 0] == 1  # nothing says that it lacks something
                continue
            assert scores.known[m, n, 0].item() == pytest.approx(sum(part) / sum(label), rel=1e-5)
            if not sum(part):
                continue
            theirs = reading.guess[n].tolist()
            ours = [student[n][c] for c in known]
            want = (probability(row, part, sum(part)) for row in (theirs, ours))
            got = scores.values[1 + m, n, 0].item(), scores.rival[m, n, 0].item()
            assert got == pytest.approx(tuple(want), rel=1e-5)
            right = theirs.index(max(theirs)) == part.index(max(part))
            assert scores.correct[m, n].item() == right
    for n, label in enumerate(masses):
        if sum(label):
            want = probability(student[n], label, 1)  # who knows all is told the label as it is
            assert scores.values[0, n, 0].item() == pytest.approx(want, rel=1e-5)


def test_hard_labels_one_of_them_missing(readings):
    labels, scorer = torch.tensor([0, 3, 2, 1, 4, -1]), Told()
    scores = score_all(scorer, readings, ClassTruth(labels), NAMES)
    masses = [[float(c == label) for c in range(CLASSES)] for label in labels.tolist()]
    check(scores, readings, masses)
    assert scores.known.dtype is torch.bool and scores.correct.any() and not scores.correct.all()
    assert scorer.metainfo == [NAMES] * 3


def test_soft_labels_whose_mass_need_not_be_one(readings):
    masses = torch.tensor(
        [[0.5, 0, 0.3, 0.2, 0], [2, 2, 0, 0, 4], [0, 1, 0, 0, 0],
         [0.1, 0, 0, 0, 0.1], [0] * 5, [1] * 5]
    )  # fmt: skip
    scores = score_all(TrueClassScorer(), readings, ClassTruth(masses), NAMES)
    check(scores, readings, masses.tolist())
    assert scores.known.is_floating_point()


@pytest.mark.parametrize('label', [torch.tensor([1, 0]), torch.tensor([[0.5, 0.5], [0.0, 1.0]])])
def test_who_knows_all_knows_all_of_each_label(label):
    everybody = [Reading(torch.randn(2, 2), ())] * 2
    known = score_all(TrueClassScorer(), everybody, ClassTruth(label), NAMES).known
    assert known.shape == (1, 2, 1) and (known == 1).all()
    assert known.dtype is (torch.bool if label.dim() == 1 else torch.float32)


def test_a_scorer_of_ones_own_need_not_say_who_is_right(readings):
    class Silent(TrueClassScorer):
        def __call__(self, guesses, truth, metainfo=None):
            return replace(super().__call__(guesses, truth, metainfo), correct=None)

    truth = ClassTruth(torch.tensor([0, 3, 2, 1, 4, 0]))
    assert score_all(Silent(), readings, truth, NAMES).correct is None
