"""Weights of another picture size are refused, which MMPretrain would interpolate in silence."""

import pytest
import torch
from mmengine.registry import MODELS

from classroomkd_mm.mentors.checkpoint import load_weights
from classroomkd_mm.registry import MODELS as OURS

SCOPE = 'mmpretrain'
V2 = 'SwinTransformerV2'
NORM = dict(mean=[0.0] * 3, std=[1.0] * 3, num_classes=3)
ARCH = dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=8)


def vit(size, **settings):
    backbone = dict(type='VisionTransformer', arch=ARCH, img_size=size, patch_size=8, **settings)
    return dict(
        type='ImageClassifier',
        backbone=backbone,
        head=dict(type='VisionTransformerClsHead', num_classes=3, in_channels=8),
        data_preprocessor=NORM,
    )


def swin(size, window, kind='SwinTransformer'):
    arch = dict(embed_dims=8, depths=[1], num_heads=[2])
    if kind == V2:
        arch['extra_norm_every_n_blocks'] = 0
    backbone = dict(
        type=kind, arch=arch, img_size=size, patch_size=4, window_size=window, out_indices=(0,)
    )
    return dict(
        type='ImageClassifier',
        backbone=backbone,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=8),
        data_preprocessor=NORM,
    )


@pytest.fixture
def saved(tmp_path):
    """``saved(config)``: a file with its network's weights, at random."""

    def save(config):
        torch.manual_seed(0)
        network = MODELS.build(config)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        path = tmp_path / 'mentor.pth'
        torch.save(network.state_dict(), path)
        return str(path)

    return save


@pytest.mark.parametrize(
    'its, config, said, size, setting',
    [
        (vit(32), vit(64), 'in silence .*pos_embed', '32x32', r'\(32, 32\)'),
        (vit(64), vit(32), 'in silence .*pos_embed', '64x64', r'\(64, 64\)'),
        (vit((64, 32)), vit((128, 64)), 'another network: .*pos_embed', '32x64', r'\(32, 64\)'),
        (swin(16, 2), swin(32, 4), 'another network: .*position', 'that size', r'\(w, h\)'),
        (swin(32, 4), swin(16, 2), 'another network: .*position', 'that size', r'\(w, h\)'),
        (swin(16, 2, V2), swin(32, 4, V2), 'in silence .*coords', 'that size', r'\(w, h\)'),
    ],
)
def test_weights_of_another_size_are_refused(saved, its, config, said, size, setting):
    mentor = dict(name='m', config=config, checkpoint=saved(its))
    classroom = dict(type='classroomkd_mm.ClassroomDistiller', student=vit(64), mentors=[mentor])
    said = (
        rf"mentor 'm': checkpoint=.*mentor.pth' .*{said}.*; it was trained on pictures of another "
        rf'size than its config says: give the config of {size}\. .* input_size={setting} sees'
    )
    with pytest.raises(ValueError, match=said):
        OURS.build(classroom)
    # What is proposed: the config of that size, and the pictures resized to it.
    made = its['backbone']['img_size']
    height, width = made if isinstance(made, tuple) else (made, made)
    mentor.update(config=its, input_size=(width, height))
    model = OURS.build(classroom)
    assert f'input to {width}x{height}' in model.members[0][1].adaptations
    assert model.members[0][0](torch.rand(2, 3, 64, 64)).finite.all()


def test_the_networks_own_weights_are_taken_where_it_drops_some_of_them(saved):
    path = saved(swin(16, 2, V2))
    network = MODELS.build(swin(16, 2, V2))
    load_weights(network, path, "mentor 'm'")  # it makes its tables of places anew
    weights = torch.load(path)
    assert all(torch.equal(weights[key], value) for key, value in network.state_dict().items())
    key = next(key for key in weights if 'coords' in key)
    torch.save(dict(weights, **{key: weights[key] + 1}), path)
    with pytest.raises(ValueError, match='another network: 1 missing keys .*coords'):
        load_weights(network, path, "mentor 'm'")


def test_a_class_token_that_is_not_used_is_only_cut(saved):
    network = MODELS.build(vit(32, with_cls_token=False, out_type='avg_featmap'))
    path = saved(vit(32, out_type='avg_featmap'))
    weights = torch.load(path)
    del weights['backbone.cls_token']
    torch.save(weights, path)
    load_weights(network, path, "mentor 'm'")
    assert torch.equal(network.backbone.pos_embed, weights['backbone.pos_embed'][:, 1:])


def test_a_pose_mentor_of_another_crop_is_refused(saved):
    def pose(size):
        width, height = size
        codec = dict(type='UDPHeatmap', input_size=size, heatmap_size=(4, 8), sigma=2)
        backbone = dict(
            type='mmpretrain.VisionTransformer', arch=ARCH, img_size=(height, width),
            patch_size=8, with_cls_token=False, out_type='featmap',
        )  # fmt: skip
        return dict(
            type='mmpose.TopdownPoseEstimator',
            data_preprocessor=dict(type='mmpose.PoseDataPreprocessor'),
            backbone=backbone,
            head=dict(
                type='mmpose.HeatmapHead', in_channels=8, out_channels=17, deconv_out_channels=[],
                deconv_kernel_sizes=[], loss=dict(type='mmpose.KeypointMSELoss'),
                decoder=codec,
            ),
        )  # fmt: skip

    network = MODELS.build(pose((32, 64)))
    with pytest.raises(
        ValueError, match='give the config of 64x128. .*a pose network does without'
    ):
        load_weights(network, saved(pose((64, 128))), "mentor 'm'")
