"""What stock heads allow: to be asked once, and to weigh each sample."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Union

import torch
from torch import Tensor, nn

Output = Union[Tensor, tuple[Tensor, ...]]
Losses = dict[str, Union[Tensor, list[Tensor]]]


@contextmanager
def replayed(head: nn.Module, output: Output) -> Iterator[None]:
    """Let ``head.loss`` see an output that is already computed instead of computing it again."""
    before = vars(head).get('forward')  # an instance may have one of its own
    head.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del head.forward
        if before is not None:
            head.forward = before


@contextmanager
def reweighted(data_samples: Sequence[Any], weight: Tensor) -> Iterator[None]:
    """Multiply each sample's keypoint weights (1, K) by its weight (N,) for a while.

    The head's loss must be linear in the keypoint weights, see :func:`takes_weights`.
    """
    labels = [sample.gt_instance_labels for sample in data_samples]
    originals = [label.keypoint_weights for label in labels]
    try:
        for label, original, factor in zip(labels, originals, weight):
            label.keypoint_weights = original * factor
        yield
    finally:
        for label, original in zip(labels, originals):
            label.keypoint_weights = original


def takes_weights(loss: Callable[..., Tensor], output: Output, target: Output) -> bool:
    """Whether a head's loss is linear in the keypoint weights: additive and homogeneous.

    Args:
        loss: ``loss(output, target, keypoint_weights)``, a scalar.
        output: Of a batch of two.
        target: Of a batch of two.
    """
    first = output if isinstance(output, Tensor) else output[0]
    weight = torch.ones(first.shape[:2])
    alone = torch.zeros_like(weight)
    alone[0] = 1
    whole, half, one, other = (
        loss(output, target, w) for w in (weight, weight / 2, alone, weight - alone)
    )
    return bool(
        torch.isclose(2 * half, whole, rtol=1e-3) and torch.isclose(one + other, whole, rtol=1e-3)
    )


def scaled(losses: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A head's losses times a factor; what is no loss (an accuracy) stays."""

    def times(value: Union[Tensor, list[Tensor]]) -> Union[Tensor, list[Tensor]]:
        return [factor * v for v in value] if isinstance(value, (list, tuple)) else factor * value

    return {key: times(value) if 'loss' in key else value for key, value in losses.items()}
