"""What a program needs to know of an exported graph: written beside it, as mmdeploy does.

Normalisation is not in the graph. The program subtracts the mean and divides by the deviation, in
the channels' order that is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import Tensor, nn

from ..datasets.colours import colour_order

INPUT = 'input'
SIDES = {'CIFAR10': 32, 'CIFAR100': 32, 'MNIST': 28, 'FashionMNIST': 28}
# mmdeploy's own config for a graph like ours, by what it gives and the runtime; {size} is HxW.
MMDEPLOY = {
    ('heatmap', 'onnx'): 'configs/mmpose/pose-detection_onnxruntime_static.py',
    ('heatmap', 'openvino'): 'configs/mmpose/pose-detection_openvino_static-{size}.py',
    ('simcc', 'onnx'): 'configs/mmpose/pose-detection_simcc_onnxruntime_dynamic.py',
    ('simcc', 'openvino'): 'configs/mmpose/pose-detection_simcc_openvino_static-{size}.py',
    ('scores', 'onnx'): 'configs/mmpretrain/classification_onnxruntime_dynamic.py',
    ('scores', 'openvino'): 'configs/mmpretrain/classification_openvino_dynamic-224x224.py',
}
SIZED = {'heatmap': ('256x192', '256x256'), 'simcc': ('256x192',)}  # that mmdeploy ships
NAMES = {'heatmap': ['output'], 'simcc': ['simcc_x', 'simcc_y'], 'scores': ['output']}
MEANING = {
    'heatmap': 'output (N, K, H, W): a heatmap for each keypoint',
    'simcc': 'simcc_x (N, K, Wx), simcc_y (N, K, Wy): scores along each axis',
    'scores': 'output (N, C): probabilities of the classes (softmax is in the graph)',
}

Facts = dict[str, Any]


def facts_of(cfg: Config, network: nn.Module, size: tuple[int, int] | None = None) -> Facts:
    """The facts of a student.

    Args:
        cfg: Its config.
        network: It.
        size: Width and height of its input, where the config does not say it.

    Raises:
        ValueError: Where the input's size is not known.
    """
    width, height = size or input_size(cfg, network)
    mean, std, channels = _normalisation(network)
    shape = [channels, height, width]
    with torch.no_grad():
        kind = kind_of(network, raw_output(network, torch.zeros(1, *shape)))
    head = cfg.model.get('head') or {}
    return dict(
        gives=kind,
        input=dict(name=INPUT, layout='NCHW', dtype='float32', shape=['batch', *shape]),
        outputs=NAMES[kind],
        meaning=MEANING[kind],
        normalisation=dict(in_graph=False, mean=mean, std=std, channels=_order(cfg, network)),
        codec=_plain(head.get('decoder')),
        **_labels(cfg),
        mmdeploy=mmdeploy_configs(kind, (width, height)),
    )


def raw_output(network: nn.Module, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
    """What a stock network gives of normalised pictures; of several stages the last."""
    output = network(inputs, None, mode='tensor')
    return output[-1] if isinstance(output, list) else output


def kind_of(network: nn.Module, output: Tensor | tuple[Tensor, ...]) -> str:
    """``heatmap``, ``simcc`` or ``scores``.

    Raises:
        ValueError: For an output of another kind.
    """
    if isinstance(output, tuple) and len(output) == 2:
        return 'simcc'
    dims = output.dim() if isinstance(output, Tensor) else None
    if dims not in (2, 4):
        raise ValueError(f'a {type(network).__name__} gives neither maps nor classes')
    return 'heatmap' if dims == 4 else 'scores'


def input_size(cfg: Config, network: nn.Module) -> tuple[int, int]:
    """Width and height of a student's input.

    Raises:
        ValueError: Where the config does not say it.
    """
    decoder = getattr(getattr(network, 'head', None), 'decoder', None)
    if decoder is not None:
        width, height = decoder.input_size
        return int(width), int(height)
    dataset = dataset_of(cfg)
    for step in reversed(dataset.get('pipeline') or ()):
        found = step.get('crop_size') or (step['type'] == 'Resize' and step.get('scale'))
        if found:
            pair = (found, found) if isinstance(found, int) else tuple(found)
            return int(pair[0]), int(pair[1])
    if dataset.get('type') in SIDES:
        return SIDES[dataset['type']], SIDES[dataset['type']]
    raise ValueError("the config does not say the input's size: give --input-size WIDTH HEIGHT")


def dataset_of(cfg: Config) -> Mapping[str, Any]:
    """The innermost data set of the test split, of the validation split without one."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    dataset = loader.get('dataset') or {}
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def mmdeploy_configs(kind: str, size: tuple[int, int]) -> dict[str, str | None]:
    """The configs that mmdeploy has for such a graph; None where it has none of that size."""
    text = f'{size[1]}x{size[0]}'
    sized = kind not in SIZED or text in SIZED[kind]
    return {
        runtime: path.format(size=text) if sized or '{size}' not in path else None
        for (what, runtime), path in MMDEPLOY.items()
        if what == kind
    }


def _normalisation(network: nn.Module) -> tuple[list[float], list[float], int]:
    """Mean and deviation of each channel, and how many channels there are."""
    preprocessor = getattr(network, 'data_preprocessor', None)
    mean, std = (getattr(preprocessor, key, None) for key in ('mean', 'std'))
    if not isinstance(mean, Tensor) or not isinstance(std, Tensor):
        return [0.0] * 3, [1.0] * 3, 3
    values = [each.flatten().tolist() for each in (mean, std)]
    return values[0], values[1], len(values[0])


def arrival(cfg: Config) -> str:
    """The order in which the test split's colours leave its pipeline; files are read as BGR."""
    return (colour_order(dataset_of(cfg)) or 'bgr').upper()


def _order(cfg: Config, network: nn.Module) -> str:
    """The order of the graph's channels."""
    preprocessor = getattr(network, 'data_preprocessor', None)
    swaps = getattr(preprocessor, 'to_rgb', getattr(preprocessor, '_channel_conversion', False))
    if _normalisation(network)[2] == 1:
        return 'grey'
    return arrival(cfg)[::-1] if swaps else arrival(cfg)


def _labels(cfg: Config) -> Facts:
    """The data set's names: of keypoints with their links, or of classes."""
    dataset = dataset_of(cfg)
    scope = cfg.get('default_scope') or 'mmpose'
    with DATASETS.switch_scope_and_registry(scope) as registry:
        kind = registry.get(dataset['type']) if dataset.get('type') else None
    meta = dict(dataset.get('metainfo') or getattr(kind, 'METAINFO', None) or {})
    if scope != 'mmpose':
        return dict(classes=list(meta.get('classes') or ()))
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    parsed = parse_pose_metainfo(meta) if meta else {}
    names = parsed.get('keypoint_id2name') or {}
    links = [list(link) for link in parsed.get('skeleton_links') or ()]
    return dict(keypoints=[names[i] for i in sorted(names)], skeleton=links)


def _plain(value: object) -> Any:
    """A config's value as JSON has it."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
