"""What stock heads allow: to be asked once, and to weigh each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Union

import torch
from torch import Tensor, nn

Output = Union[Tensor, tuple[Tensor, ...]]
Losses = dict[str, Union[Tensor, list[Tensor]]]


@contextmanager
def _standing_in(head: nn.Module, method: str, stand_in: Callable[..., Any]) -> Iterator[None]:
    before = vars(head).get(method)  # an instance may have one of its own
    setattr(head, method, stand_in)
    try:
        yield
    finally:
        delattr(head, method)
        if before is not None:
            setattr(head, method, before)


@contextmanager
def replayed(head: nn.Module, output: Output | list[Any]) -> Iterator[None]:
    """Let ``head.loss`` see an output that is already computed instead of computing it again."""
    with _standing_in(head, 'forward', lambda *args, **kwargs: output):
        yield


@contextmanager
def reweighing(head: nn.Module, data_samples: Sequence[Any], weight: Tensor) -> Iterator[None]:
    """Let ``head.loss`` alone see samples that are :func:`reweighted`, whoever calls it.

    A head around it learns from the keypoint weights as they are: visibility is labelled by them.
    """
    own: Callable[..., dict[str, Any]] = head.loss  # type: ignore[assignment]  # a head's method

    def loss(*args: object, **kwargs: object) -> dict[str, Any]:
        with reweighted(data_samples, weight):
            return own(*args, **kwargs)

    with _standing_in(head, 'loss', loss):
        yield


@contextmanager
def reweighted(data_samples: Sequence[Any], weight: Tensor) -> Iterator[None]:
    """Multiply each sample's keypoint weights (1, K) or (L, 1, K) by its weight (N,) for a while.

    The head's loss must be linear in the keypoint weights, see :func:`takes_weights`.
    """
    labels = [sample.gt_instance_labels for sample in data_samples]
    originals = [label.keypoint_weights for label in labels]
    whole = torch.stack(originals)
    weighed = whole * weight.view(-1, *[1] * (whole.ndim - 1))
    try:
        for label, each in zip(labels, weighed):
            label.keypoint_weights = each
        yield
    finally:
        for label, original in zip(labels, originals):
            label.keypoint_weights = original


@contextmanager
def rooted(loss: nn.Module, weight: Tensor) -> Iterator[None]:
    """Let a loss of degree 2 weigh its samples by ``weight`` (N,), not by its square.

    It is called with keypoint weights ``(N, K)`` that are multiplied by it already.
    """
    own: Callable[..., Tensor] = loss.forward
    root = torch.where(weight > 0, weight.rsqrt(), 0)[:, None]

    def forward(output: Output, target: Output, keypoint_weights: Tensor) -> Tensor:
        return own(output, target, keypoint_weights * root)

    with _standing_in(loss, 'forward', forward):
        yield


def takes_weights(loss: Callable[..., Tensor], output: Output, target: Output) -> bool:
    """Whether a head's loss is linear in the keypoint weights: additive and homogeneous.

    Arguments are :func:`degree`'s.
    """
    return degree(loss, output, target) == 1


def degree(loss: Callable[..., Tensor], output: Output, target: Output) -> int | None:
    """Whether a head's loss is a sum over samples, each times a power of its keypoint weights.

    MMPose's KeypointOHKMMSELoss multiplies by them before it squares.

    Args:
        loss: ``loss(output, target, keypoint_weights)``, a scalar.
        output: Of a batch of two.
        target: Of a batch of two.

    Returns:
        The power, 1 or 2; None where it is no such sum.
    """
    first = output if isinstance(output, Tensor) else output[0]
    weight = torch.ones(first.shape[:2])
    alone = torch.zeros_like(weight)
    alone[0] = 1
    whole, half, one, other = (
        loss(output, target, w) for w in (weight, weight / 2, alone, weight - alone)
    )
    if not torch.isclose(one + other, whole, rtol=1e-3):
        return None
    return next((p for p in (1, 2) if torch.isclose(2**p * half, whole, rtol=1e-3)), None)


def scaled(losses: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A head's losses times a factor; what is no loss (an accuracy) stays."""

    def times(value: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        return [factor * v for v in value] if isinstance(value, (list, tuple)) else factor * value

    return {key: times(value) if 'loss' in key else value for key, value in losses.items()}
