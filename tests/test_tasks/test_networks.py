"""What classifiers tell of themselves: classes, sizes, heads; and what is refused."""

import re
from types import SimpleNamespace

import pytest
from mmpretrain.models import ClsHead, ImageClassifier, TimmClassifier
from mmpretrain.models.heads import (
    ArcFaceClsHead,
    ConformerHead,
    CSRAClsHead,
    EfficientFormerClsHead,
    LeViTClsHead,
    LinearClsHead,
    MultiLabelLinearClsHead,
)
from torch import nn

from classroomkd_mm.tasks.classification.networks import (
    check_classifier,
    is_classifier,
    made_for,
    num_classes,
    own_pictures,
)


def bare(kind, **settings):
    """One of MMPretrain's modules without its layers: only what it is and has is asked."""
    made = kind.__new__(kind)
    nn.Module.__init__(made)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def classifier(head, **settings):
    return bare(ImageClassifier, head=bare(head, **settings))


class OwnLoss(LinearClsHead):
    def loss(self, feats, data_samples, **settings):
        raise NotImplementedError


class OwnPredict(LinearClsHead):
    def predict(self, feats, data_samples=None):
        raise NotImplementedError


class OwnScores(LinearClsHead):
    def _get_predictions(self, cls_score, data_samples):
        raise NotImplementedError


def test_mmpretrains_classifiers_are_known_by_their_module():
    own = type('Own', (ImageClassifier,), {'__module__': 'mine'})
    assert is_classifier(bare(own)) and is_classifier(bare(TimmClassifier))
    assert not is_classifier(nn.Linear(2, 2))


@pytest.mark.parametrize(
    'network, learns',
    [
        (bare(TimmClassifier), True),
        (bare(TimmClassifier), False),
        (classifier(ClsHead), True),
        (classifier(LinearClsHead), False),
        (classifier(OwnLoss), False),
        (classifier(OwnPredict), True),
        (classifier(EfficientFormerClsHead, dist=False), True),
        (classifier(LeViTClsHead, distillation=False), True),
        (classifier(LeViTClsHead, distillation=True), False),
    ],
)
def test_a_head_that_works_by_its_logits_is_let_through(network, learns):
    check_classifier(network, 'student', learns)


@pytest.mark.parametrize(
    'head, learns, kept, more',
    [
        (OwnLoss, True, 'loss', {}),
        (ArcFaceClsHead, True, 'loss', {}),
        (ConformerHead, True, 'loss', {}),
        (OwnPredict, False, 'predict', {}),
        (OwnScores, False, 'predict', {}),
        (ConformerHead, False, 'predict', {}),
        (EfficientFormerClsHead, True, 'loss', dict(dist=True)),
        (LeViTClsHead, True, 'loss', dict(distillation=True)),
        (nn.Identity, False, 'predict', {}),
    ],
)
def test_a_head_that_works_otherwise_is_refused_in_full(head, learns, kept, more):
    words = (
        "mentor 'm' needs a head that gives logits (ClsHead or a subclass that keeps its "
        f'{kept}), got {head.__name__}'
    )
    if more:
        words += ' with distillation=True, which MMPretrain does not train'
    with pytest.raises(ValueError, match=f'^{re.escape(words)}$'):
        check_classifier(classifier(head, **more), "mentor 'm'", learns)


def test_by_default_a_network_is_asked_how_it_predicts():
    check_classifier(classifier(OwnLoss), 'a mentor')
    with pytest.raises(ValueError, match='keeps its predict'):
        check_classifier(classifier(OwnPredict), 'a mentor')


@pytest.mark.parametrize('head', [MultiLabelLinearClsHead, CSRAClsHead])
def test_a_multi_label_head_is_refused_in_full(head):
    words = (
        f'student has the multi-label head {head.__name__}: a softmax over classes needs one true '
        'class per picture. Where there is one, mixed ones included, use LinearClsHead with '
        "loss=dict(type='CrossEntropyLoss', use_sigmoid=True) and to_onehot=True of the "
        'data_preprocessor: the weights and the loss are the same'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(words)}$'):
        check_classifier(classifier(head), 'student', learns=True)


def test_what_is_no_classifier_is_refused_in_full():
    words = (
        'student must be an ImageClassifier, TimmClassifier or HuggingFaceClassifier, got Linear'
    )
    with pytest.raises(ValueError, match=f'^{words}$'):
        check_classifier(nn.Linear(2, 2), 'student')


def space(**settings):
    return SimpleNamespace(**settings)


@pytest.mark.parametrize(
    'network, count',
    [
        (space(num_classes=7, head=space(num_classes=3)), 7),
        (space(head=space(num_classes=3)), 3),
        (space(num_classes=None, head=None, model=space(num_classes=4)), 4),
        (space(model=space(config=space(num_labels=6))), 6),
        (space(model=space(num_classes='many', config=space())), None),
        (space(head=space()), None),
        (space(), None),
    ],
)
def test_the_number_of_classes_is_where_the_network_says_it(network, count):
    assert num_classes(network) == count


# Sizes


class Sized:
    def __init__(self, img_size=224):
        """It has the size as an argument."""


class Unsized:
    def __init__(self, depth=18):
        """It takes any."""


def having(kind, **settings):
    made = kind()
    vars(made).update(settings)
    return space(backbone=made)


@pytest.mark.parametrize(
    'network, config, size',
    [
        (having(Sized, img_size=(64, 48)), dict(backbone=dict(img_size=32)), (64, 48)),
        (having(Sized, img_size=[64, 48]), {}, (64, 48)),
        (having(Sized, patch_embed=space(init_input_size=(96, 80))), {}, (96, 80)),
        (having(Sized), dict(backbone=dict(img_size=32)), (32, 32)),
        (having(Sized), dict(model=dict(backbone=dict(img_size=(32, 24)))), (32, 24)),
        (having(Sized), dict(model=dict(backbone=dict(type='Sized'))), (224, 224)),
        (having(Sized), dict(model=dict(type='ImageClassifier')), (224, 224)),
        (having(Unsized), dict(backbone=dict(img_size=32)), None),
        (having(Unsized, img_size=16), {}, (16, 16)),
    ],
)
def test_the_size_that_a_network_is_made_for(network, config, size):
    assert made_for(network, config) == size


def foreign(**settings):
    module = nn.Module()
    for name, value in settings.items():
        setattr(module, name, value)
    return nn.Sequential(nn.ReLU(), module)


@pytest.mark.parametrize(
    'network, size',
    [
        (foreign(strict_img_size=True, img_size=(30, 20)), (30, 20)),
        (foreign(strict_img_size=False, img_size=(30, 20)), None),
        (foreign(image_size=40, num_patches=4), (40, 40)),
        (foreign(image_size=(40, 30), num_patches=4), (40, 30)),
        (foreign(image_size=40), None),
        (foreign(num_patches=4), None),
        (foreign(), None),
    ],
)
def test_the_size_that_a_foreign_network_is_made_for(network, size):
    assert made_for(network, {}) == size


def evaluated(*steps, loader='test_dataloader'):
    return {loader: dict(dataset=dict(pipeline=list(steps)))}


class CenterCrop:
    pass


CROP = dict(type='CenterCrop', crop_size=24)
RESIZE = dict(type='mmpretrain.Resize', scale=(48, 32))


@pytest.mark.parametrize(
    'config, size',
    [
        ({}, None),
        (dict(test_dataloader=None, val_dataloader={}), None),
        (evaluated(), None),
        (evaluated(dict(type='LoadImageFromFile'), CROP), (24, 24)),
        (evaluated(RESIZE), (32, 48)),  # pipelines say (width, height)
        (evaluated(CROP, RESIZE), (32, 48)),
        (evaluated(RESIZE, CROP, dict(type='PackInputs')), (24, 24)),
        (evaluated(dict(type='EfficientNetCenterCrop', crop_size=20)), (20, 20)),
        (evaluated(dict(type=CenterCrop, crop_size=18)), (18, 18)),
        (evaluated(dict(crop_size=18)), None),
        (evaluated(CROP, dict(type='Resize', scale='twice')), None),
        (evaluated(dict(type='Resize', scale=(1, 2, 3))), None),
        (evaluated(RESIZE, loader='val_dataloader'), (32, 48)),
        ({**evaluated(CROP), **evaluated(RESIZE, loader='val_dataloader')}, (24, 24)),
        (dict(test_dataloader=dict(dataset=dict(dataset=dict(pipeline=[CROP])))), (24, 24)),
    ],
)
def test_the_size_that_a_config_evaluated(config, size):
    assert own_pictures(config) == size
