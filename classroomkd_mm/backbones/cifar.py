"""The CIFAR networks of the distillation literature, by the names they have there."""

import re
from typing import Any

from torch import Tensor

X4 = (32, 64, 128, 256)
# name: (backbone config, its output's channels)
NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    **{
        f'resnet{depth}': (dict(type='CIFARResNet', depth=depth), 64)
        for depth in (8, 14, 20, 32, 44, 56, 110)
    },
    **{
        f'resnet{depth}x4': (dict(type='CIFARResNet', depth=depth, widths=X4), 256)
        for depth in (8, 32)
    },
    **{
        f'wrn_{depth}_{k}': (dict(type='CIFARWideResNet', depth=depth, widen_factor=k), 64 * k)
        for depth, k in ((16, 1), (16, 2), (16, 8), (28, 10), (40, 1), (40, 2))
    },
    **{f'vgg{depth}': (dict(type='CIFARVGG', depth=depth), 512) for depth in (8, 11, 13, 16, 19)},
    'MobileNetV2': (dict(type='CIFARMobileNetV2'), 1280),
    'ShuffleV1': (dict(type='CIFARShuffleNetV1'), 960),
    'ShuffleV2': (dict(type='CIFARShuffleNetV2'), 1024),
    # MMPretrain has these. The authors' own EfficientNet, MobileNetV3 and Swin for 32x32 pictures
    # are not published in a form to compare with.
    'ResNet18': (dict(type='mmpretrain.ResNet_CIFAR', depth=18), 512),
    'ResNet34': (dict(type='mmpretrain.ResNet_CIFAR', depth=34), 512),
    'ResNet50': (dict(type='mmpretrain.ResNet_CIFAR', depth=50), 2048),
    'efficientnetb0': (dict(type='mmpretrain.EfficientNet', arch='b0'), 1280),
    'mobilenetv3': (dict(type='mmpretrain.MobileNetV3', arch='small'), 576),
    'swin_t': (
        dict(
            type='mmpretrain.SwinTransformer',
            arch='tiny',
            img_size=32,
            patch_size=2,
            window_size=4,
            pad_small_map=True,
        ),
        768,
    ),
}


def cifar_classifier(name: str, num_classes: int = 100) -> dict[str, Any]:
    """The ImageClassifier config of a CIFAR network.

    Args:
        name: One of ``NETWORKS``, e.g. 'resnet8x4', 'wrn_16_2', 'ShuffleV1'.
        num_classes: Number of logits.

    Raises:
        ValueError: For an unknown name.
    """
    if name not in NETWORKS:
        raise ValueError(f'{name!r} is not a CIFAR network; choose one of {sorted(NETWORKS)}')
    backbone, channels = NETWORKS[name]
    scope = '' if '.' in backbone['type'] else 'classroomkd_mm.'
    return dict(
        type='mmpretrain.ImageClassifier',
        backbone=dict(backbone, type=scope + backbone['type']),
        neck=dict(type='mmpretrain.GlobalAveragePooling'),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=num_classes,
            in_channels=channels,
            loss=dict(type='mmpretrain.CrossEntropyLoss'),
        ),
    )


def literature_to_ours(name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A literature checkpoint's weights under the key names of :func:`cifar_classifier`.

    Args:
        name: The network's.
        weights: With or without ``module.``.
    """
    return {_our_key(name, key.removeprefix('module.')): value for key, value in weights.items()}


def _our_key(name: str, key: str) -> str:
    last = re.sub(r'^(fc|linear|classifier(\.0)?)\.', 'head.fc.', key)
    if last != key:
        return last
    if name in ('ResNet18', 'ResNet34', 'ResNet50'):
        key = key.replace('.shortcut.', '.downsample.')
    return f'backbone.{key}'
