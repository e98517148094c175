"""Which of MMPretrain's networks give one logit per class, and of what pictures."""

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Optional

from torch import nn

from ...datasets.wrappers import get, inner_sets

Size = tuple[int, int]
# Steps after which pictures have one size, and the setting that says which.
SIZED = {'CenterCrop': 'crop_size', 'EfficientNetCenterCrop': 'crop_size', 'Resize': 'scale'}


def is_classifier(network: nn.Module) -> bool:
    """Whether a network is one of MMPretrain's classifiers."""
    return any(c.__module__.startswith('mmpretrain.') for c in type(network).__mro__)


def check_classifier(network: nn.Module, who: str, learns: bool = False) -> None:
    """Refuse a network that does not give one logit per class.

    Args:
        network: The network.
        who: Whose, for errors.
        learns: Whether it is the student: a head may predict by its logits and learn by others.

    Raises:
        ValueError: Naming ``who``, the head and what is expected.
    """
    from mmpretrain.models import ClsHead, HuggingFaceClassifier, ImageClassifier, TimmClassifier
    from mmpretrain.models.heads import MultiLabelClsHead

    if isinstance(network, (TimmClassifier, HuggingFaceClassifier)):
        return
    if not isinstance(network, ImageClassifier):
        raise ValueError(
            f'{who} must be an ImageClassifier, TimmClassifier or HuggingFaceClassifier, got '
            f'{type(network).__name__}'
        )
    if isinstance(network.head, MultiLabelClsHead):
        raise ValueError(
            f'{who} has the multi-label head {type(network.head).__name__}: a softmax over classes '
            'needs one true class per picture. Where there is one, mixed ones included, use '
            "LinearClsHead with loss=dict(type='CrossEntropyLoss', use_sigmoid=True) and "
            'to_onehot=True of the data_preprocessor: the weights and the loss are the same'
        )
    if not isinstance(network.head, ClsHead) or not _gives_logits(network.head, learns):
        kept = 'loss' if learns else 'predict'
        distils = ' with distillation=True, which MMPretrain does not train'
        raise ValueError(
            f'{who} needs a head that gives logits (ClsHead or a subclass that keeps its {kept}), '
            f'got {type(network.head).__name__}'
            + (distils if learns and _distils(network.head) else '')
        )


def _gives_logits(head: nn.Module, learns: bool) -> bool:
    """Whether a head learns, or predicts, by the logits that its forward gives.

    One with a loss of its own (ArcFace) may score others, Conformer's gives the logits of two.
    The two heads of EfficientFormer's and LeViT's distillation are averaged by their forward and
    cannot be trained; with one they learn by it.
    """
    from mmpretrain.models import ClsHead
    from mmpretrain.models.heads import ConformerHead, EfficientFormerClsHead

    kind = type(head)
    if learns:
        own = kind.loss is ClsHead.loss  # type: ignore[attr-defined]  # it is a ClsHead
        one = kind is EfficientFormerClsHead or (own and not issubclass(kind, ConformerHead))
        return one and not _distils(head)
    same = ('predict', '_get_predictions')
    return all(getattr(kind, name) is getattr(ClsHead, name) for name in same)


def _distils(head: nn.Module) -> bool:
    """Whether a head has a second output, for a distillation of its own."""
    from mmpretrain.models.heads import EfficientFormerClsHead, LeViTClsHead

    switch = {EfficientFormerClsHead: 'dist', LeViTClsHead: 'distillation'}.get(type(head))
    return switch is not None and bool(getattr(head, switch))


def num_classes(network: nn.Module) -> Optional[int]:
    """Number of logits that a classifier gives; None where it does not tell."""
    for owner in (network, getattr(network, 'head', None), getattr(network, 'model', None)):
        count = getattr(owner, 'num_classes', None)
        if isinstance(count, int):
            return count
    labels = getattr(getattr(getattr(network, 'model', None), 'config', None), 'num_labels', None)
    return labels


def made_for(network: nn.Module, config: Mapping[str, Any]) -> Optional[Size]:
    """The size (H, W) of pictures that a classifier is made for; None where any will do.

    It is made for one where it embeds patches by their places, or attends within windows: these
    have the size as an argument. What it is, the network says, else its config or the default.
    """
    backbone = getattr(network, 'backbone', None)
    if backbone is None:
        return _made_for_foreign(network)
    embedding = getattr(backbone, 'patch_embed', None)
    own = getattr(backbone, 'img_size', None) or getattr(embedding, 'init_input_size', None)
    argument = signature(type(backbone).__init__).parameters.get('img_size')
    if own is None and argument is not None:
        told = config.get('model', config).get('backbone') or {}
        own = told.get('img_size', argument.default)
    return _pair(own)


def _made_for_foreign(network: nn.Module) -> Optional[Size]:
    """That of timm's and of HuggingFace's: their patch embedding says it, and refuses others."""
    for module in network.modules():
        if getattr(module, 'strict_img_size', False):
            return _pair(module.img_size)
        if hasattr(module, 'image_size') and hasattr(module, 'num_patches'):
            return _pair(module.image_size)
    return None


def own_pictures(config: Mapping[str, Any]) -> Optional[Size]:
    """The size (H, W) of the pictures that a config tests on; None where it is not fixed."""
    loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
    found = None
    for step in get(next(inner_sets(loader.get('dataset') or {})), 'pipeline') or ():
        kind = step.get('type')
        name = kind.split('.')[-1] if isinstance(kind, str) else getattr(kind, '__name__', '')
        if name in SIZED:
            size = _pair(step.get(SIZED[name]))
            found = size and size[::-1]  # pipelines say (W, H)
    return found


def _pair(size: object) -> Optional[Size]:
    if isinstance(size, int):
        return size, size
    if isinstance(size, Sequence) and len(size) == 2:
        return int(size[0]), int(size[1])
    return None
