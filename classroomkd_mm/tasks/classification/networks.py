"""Which of MMPretrain's networks give one logit per class."""

from typing import Optional

from torch import nn


def is_classifier(network: nn.Module) -> bool:
    """Whether a network is one of MMPretrain's classifiers."""
    return any(c.__module__.startswith('mmpretrain.') for c in type(network).__mro__)


def check_classifier(network: nn.Module, who: str) -> None:
    """Refuse a network that does not give one logit per class.

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
            'needs one true class per picture'
        )
    # A head with a loss of its own may not score what its forward gives (Conformer, ArcFace).
    if not isinstance(network.head, ClsHead) or type(network.head).loss is not ClsHead.loss:
        raise ValueError(
            f'{who} needs a head that gives logits (ClsHead or a subclass that keeps its loss), '
            f'got {type(network.head).__name__}'
        )


def num_classes(network: nn.Module) -> Optional[int]:
    """Number of logits that a classifier gives; None where it does not tell."""
    for owner in (network, getattr(network, 'head', None), getattr(network, 'model', None)):
        count = getattr(owner, 'num_classes', None)
        if isinstance(count, int):
            return count
    labels = getattr(getattr(getattr(network, 'model', None), 'config', None), 'num_labels', None)
    return labels
