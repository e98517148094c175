"""Classifiers that are made for one size of pictures, as mentors of students of another."""

from importlib.util import find_spec

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmpretrain.structures import DataSample

from classroomkd_mm.registry import MODELS
from classroomkd_mm.tasks.classification.networks import made_for, own_pictures

SCOPE = 'mmpretrain'
PREPROCESSOR = dict(type='ClsDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3)
VIT = dict(
    type='VisionTransformer', patch_size=8, img_size=48, final_norm=False,
    arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16),
)  # fmt: skip
SWIN = dict(
    type='SwinTransformer', img_size=48, patch_size=4, window_size=6,
    arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]), pad_small_map=True,
)  # fmt: skip
MIXER = dict(
    type='MlpMixer', img_size=48, patch_size=8,
    arch=dict(embed_dims=16, num_layers=1, tokens_mlp_dims=8, channels_mlp_dims=8),
)  # fmt: skip
OTHER = dict(SwinTransformer=dict(window_size=4))
WIDTH = dict(VisionTransformer=16, SwinTransformer=64, MlpMixer=16)

NECKS = dict(
    VisionTransformer=None,
    SwinTransformer=dict(type='GlobalAveragePooling'),
    MlpMixer=dict(type='GlobalAveragePooling', dim=1),
)


def network(backbone):
    kind = backbone['type']
    head = 'VisionTransformerClsHead' if kind == 'VisionTransformer' else 'LinearClsHead'
    return dict(
        type='ImageClassifier',
        data_preprocessor=PREPROCESSOR,
        backbone=backbone,
        neck=NECKS[kind],
        head=dict(type=head, num_classes=5, in_channels=WIDTH[kind]),
    )


def classroom(backbone, pipeline=None, **settings):
    student = network(dict(VIT, img_size=32))
    config = dict(model=network(backbone))
    if pipeline:
        config['test_dataloader'] = dict(dataset=dict(pipeline=pipeline))
    entry = dict(name='m', config=config, checkpoint=None, **settings)
    kind = 'classroomkd_mm.ClassroomDistiller'
    return MODELS.build(dict(type=kind, student=student, mentors=[entry])).train()


class Pictures:
    """A data set of pictures of one size."""

    metainfo = dict(classes=tuple('abcde'))

    def __init__(self, side):
        self.side = side

    def __len__(self):
        return 2

    def __getitem__(self, i):
        inputs = torch.full((3, self.side, self.side), float(i))
        return dict(inputs=inputs, data_samples=DataSample().set_gt_label(i))

    def get_data_info(self, i):
        return dict(gt_label=i)


def lesson(model, side):
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    return model(torch.rand(2, 3, side, side), samples, mode='loss')


def shown(model, side):
    """What ClassroomHook does before training."""
    model.prepare(Pictures(side))
    model.try_mentors(Pictures(side))


@pytest.mark.parametrize('backbone', [VIT, SWIN, MIXER], ids=lambda b: b['type'])
def test_one_of_another_size_is_refused_before_training_and_with_input_size_fits(backbone):
    message = (
        rf"mentor 'm' \({backbone['type']}\) is made for pictures of 48x48, the student's are "
        r'32x32: with input_size=\(48, 48\) of the mentor it sees them resized to its own$'
    )
    model = classroom(backbone)
    with pytest.raises(ValueError, match=message):
        shown(model, 32)
    with pytest.raises(ValueError, match=message):  # where nobody shows the data before
        lesson(classroom(backbone), 32)
    fitting = classroom(backbone, input_size=(48, 48))
    shown(fitting, 32)
    assert lesson(fitting, 32)['loss_distill'].isfinite()
    same = classroom(dict(backbone, img_size=32, **OTHER.get(backbone['type'], {})))
    shown(same, 32)


def test_its_own_test_pipeline_is_proposed_and_taken():
    pipeline = [dict(type='ResizeEdge', scale=64), dict(type='CenterCrop', crop_size=(56, 64))]
    model = classroom(VIT, pipeline)
    with pytest.raises(ValueError, match=r'pictures of 56x64, .*: with input_size=\(56, 64\)'):
        shown(model, 32)
    (_, bridge) = model.members[0]
    assert bridge.sizes == ((64, 56), (48, 48))
    bridge.check_inputs((64, 56))
    bridge.check_inputs((48, 48))


def test_a_third_size_that_is_asked_for_is_told():
    model = classroom(VIT, input_size=(40, 40))
    assert model.members[0][1].adaptations == ('input to 40x40', 'which was made for 48x48')
    model.prepare(Pictures(32))
    assert classroom(VIT, input_size=(48, 48)).members[0][1].adaptations == ('input to 48x48',)


@pytest.mark.parametrize(
    'backbone, size',
    [
        (dict(type='ResNet', depth=18), None),
        (dict(type='T2T_ViT', img_size=96), (96, 96)),
        (dict(type='LeViT', arch='128s', img_size=160), (160, 160)),
        (dict(type='LeViT', arch='128s'), (224, 224)),
        (dict(type='TNT', img_size=192), (192, 192)),
        (dict(type='BEiTViT', arch='base', img_size=384), (384, 384)),
        (dict(type='SwinTransformer', arch='tiny', img_size=(64, 96)), (64, 96)),
        (dict(type='PoolFormer', arch='s12'), None),
    ],
)
def test_a_network_or_its_config_says_what_it_is_made_for(backbone, size):
    found = type('Network', (), dict(backbone=ROOT_MODELS.build(dict(backbone))))
    assert made_for(found, dict(model=dict(backbone=backbone))) == size
    assert made_for(found, dict(backbone=backbone)) == size


@pytest.mark.parametrize('name, size', [('vit_tiny_patch16_224', (224, 224)), ('resnet18', None)])
def test_timms_say_it_too(name, size):
    pytest.importorskip('timm')
    model = ROOT_MODELS.build(dict(type='TimmClassifier', model_name=name))
    assert made_for(model, {}) == size


@pytest.mark.skipif(not find_spec('transformers'), reason='needs transformers')
def test_huggingfaces_say_it_too():
    from transformers import ConvNextConfig, ConvNextModel, ViTConfig, ViTModel

    small = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    assert made_for(ViTModel(ViTConfig(image_size=64, **small)), {}) == (64, 64)
    narrow = ConvNextConfig(hidden_sizes=[8] * 4, depths=[1] * 4, image_size=64)
    assert made_for(ConvNextModel(narrow), {}) is None


def test_the_size_of_a_pipeline():
    def size(*pipeline):
        return own_pictures(Config(dict(val_dataloader=dict(dataset=dict(pipeline=pipeline)))))

    assert size(dict(type='Resize', scale=(20, 30))) == (30, 20)
    assert size(dict(type='mmpretrain.Resize', scale=40)) == (40, 40)
    assert size(dict(type='ResizeEdge', scale=40)) is None
    assert size(dict(type='EfficientNetCenterCrop', crop_size=380)) == (380, 380)
    assert own_pictures({}) is None
