"""What packed pictures know of their class, if anything."""

import pytest
import torch
from mmpretrain.structures import DataSample

from classroomkd_mm.datasets import FixedViews
from classroomkd_mm.tasks.classification.labels import (
    check_labels,
    check_one_hot,
    ground_truth,
    is_labelled,
    wants_scores,
)

SCOPE = 'mmpretrain'
CPU = torch.device('cpu')
EMPTY = torch.zeros(0, dtype=torch.long)


def picture(label=None, score=None):
    sample = DataSample()
    if label is not None:
        sample.set_gt_label(label)
    if score is not None:
        sample.set_gt_score(torch.tensor(score))
    return sample


@pytest.mark.parametrize(
    'sample, labelled',
    [
        (picture(3), True),
        (picture(0), True),
        (picture(), False),
        (picture(EMPTY), False),
        (picture(score=[0.2, 0.8]), True),
        (picture(1, [0.0, 1.0]), True),
        (picture(EMPTY, [0.0, 0.0]), False),
    ],
)
def test_a_label_is_an_index_or_scores_and_an_empty_one_is_none(sample, labelled):
    assert is_labelled(sample) is labelled


def test_hard_labels_of_some():
    truth = ground_truth([picture(2), picture(), picture(EMPTY), picture(0)], CPU)
    assert truth.label.tolist() == [2, -1, -1, 0] and truth.label.dtype is torch.int64
    assert ground_truth([picture(), picture()], CPU).label.tolist() == [-1, -1]
    assert ground_truth([picture(2)], torch.device('meta')).label.device.type == 'meta'
    assert ground_truth([picture()], torch.device('meta')).label.device.type == 'meta'


def test_soft_labels_of_some():
    samples = [picture(score=[0.25, 0.75]), picture(EMPTY, [0.0, 0.0]), picture()]
    truth = ground_truth([*samples, picture(1, [0.0, 1.0])], CPU)
    assert truth.label.tolist() == [[0.25, 0.75], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    assert ground_truth(samples, torch.device('meta')).label.device.type == 'meta'


MULTI = (
    r'^the data set is multi-label \(a sample has 2 labels\): one true class per picture is needed$'
)


def test_several_labels_of_one_picture_are_refused():
    with pytest.raises(ValueError, match=MULTI):
        ground_truth([picture(1), picture([0, 1])], CPU)


class Pictures:
    """A data set that tells its labels without opening a picture, as MMEngine's."""

    def __init__(self, *labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_data_info(self, i):
        return {} if self.labels[i] is None else dict(gt_label=self.labels[i])

    def __getitem__(self, i):
        if i:
            raise RuntimeError('no picture but the first need be opened')
        label = self.labels[0]
        return dict(data_samples=picture(None if label is None or label == [] else label))


class Foreign:
    """One that tells nothing but its samples."""

    def __init__(self, sample):
        self.sample = sample

    def __getitem__(self, i):
        return dict(data_samples=self.sample)


def test_labels_that_fit_are_let_through():
    for labels in ([0, 4, 2], [[0], [4]], [None, 3], [[], [4]], [None]):
        check_labels(Pictures(*labels), 5)
    check_labels(Pictures(0, 99), None)
    for sample in (picture(4), picture(), picture(score=[0.5, 0.5]), picture(EMPTY)):
        check_labels(Foreign(sample), 5)


@pytest.mark.parametrize(
    'data, low, high',
    [
        (Pictures(1, 5, 2), 1, 5),
        (Pictures(3, None, -1), -1, 3),
        (Pictures([2], [6]), 2, 6),
        (Foreign(picture(7)), 7, 7),
    ],
)
def test_a_label_that_is_none_of_the_classes_is_refused_in_full(data, low, high):
    words = (
        f'^the data set has labels from {low} to {high}, the student 5 classes: set num_classes of '
        'its head to the number of classes$'
    )
    with pytest.raises(ValueError, match=words):
        check_labels(data, 5)


def test_several_labels_in_a_data_sets_own_words_are_refused():
    with pytest.raises(ValueError, match=MULTI):
        check_labels(Pictures(0, [1, 2]), 5)
    with pytest.raises(ValueError, match=MULTI):
        check_labels(Foreign(picture([1, 2])), None)


def test_behind_fixed_views_the_data_set_itself_is_asked(monkeypatch):
    made = FixedViews.__new__(FixedViews)
    made.dataset = Pictures(1, 5)
    monkeypatch.setattr(FixedViews, '__getitem__', lambda self, i: self.dataset[i])
    with pytest.raises(ValueError, match='labels from 1 to 5'):
        check_labels(made, 5)


SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)


def student(classes=3, loss=None, **pixels):
    """A small classifier, whose batches are mixed where ``pixels`` say so."""
    from mmpretrain.registry import MODELS

    head = dict(
        type='LinearClsHead',
        num_classes=classes,
        in_channels=8,
        loss=loss or dict(type='CrossEntropyLoss'),
    )
    net = dict(type='ImageClassifier', backbone=dict(type='LeNet5'), head=head)
    return MODELS.build(dict(net, data_preprocessor=dict(pixels, type='ClsDataPreprocessor')))


MIXED = dict(batch_augments=dict(augments=dict(type='Mixup', alpha=0.5)))


@pytest.mark.parametrize('one_hot', [MIXED, dict(to_onehot=True)])
def test_one_hot_labels_are_of_the_students_classes(one_hot):
    told = '^data_preprocessor.num_classes=4: the student has 3 classes, and labels that are made '
    with pytest.raises(ValueError, match=told):
        check_one_hot(student(num_classes=4, **one_hot), 3)
    for classes, fits in [(3, 3), (None, 3), (4, None)]:
        check_one_hot(student(num_classes=classes, **one_hot), fits)
    check_one_hot(student(num_classes=4), 3)  # nobody reads it


def test_a_sigmoid_wants_labels_as_scores_and_is_told_how_to_get_them():
    assert wants_scores(student(loss=SIGMOID))
    assert not wants_scores(student(loss=SIGMOID, to_onehot=True, num_classes=3))
    assert not wants_scores(student(loss=dict(type='AsymmetricLoss')))  # makes its own
    told = 'use_sigmoid=True, which wants labels as scores: set data_preprocessor=dict.to_onehot=Tr'
    with pytest.raises(ValueError, match=told):
        check_labels(Pictures(1, 0), 3, as_scores=True)

    class Scored(Pictures):
        def __getitem__(self, i):
            return dict(data_samples=picture(1, [0.0, 1.0, 0.0]))

    check_labels(Scored(1, 0), 3, as_scores=True)
