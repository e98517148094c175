"""Weights of another picture size, which a library fits to a network without a word.

MMPretrain's transformers interpolate what they know of places (position embeddings, tables of
relative positions) when they load a checkpoint of another size. Such a mentor is not the one that
was published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt

import torch
from torch import Tensor, nn

SHOWN = 3
# Parts of the names of what a network knows of places.
OF_PLACES = ('pos_embed', 'relative_position', 'relative_coords', 'rel_pos')


def check_not_interpolated(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Refuse weights that were fitted to another size when they were loaded.

    What was only cut (a class token that the network does not use) is not.

    Args:
        network: That they have been loaded into.
        weights: By the network's own names, as they were before.
        what: Names the weights in errors.

    Raises:
        ValueError: Naming ``what``, the tensors with both shapes, and what to set.
    """
    own = network.state_dict()
    changed = [key for key in _reshaped(own, weights) if not _cut(own[key], weights[key])]
    if changed:
        shapes = [
            f'{key} {tuple(weights[key].shape)} to {tuple(own[key].shape)}' for key in changed
        ]
        more = ', ...' if len(changed) > SHOWN else ''
        raise ValueError(
            f'{what} would be interpolated in silence ({", ".join(shapes[:SHOWN])}{more})'
            + size_hint(network, weights)
        )


def size_hint(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """What to set where weights are of another picture size than the network; else empty.

    Args:
        network: The network.
        weights: By the network's own names.
    """
    own = network.state_dict()
    keys = [key for key in _reshaped(own, weights) if any(word in key for word in OF_PLACES)]
    if not keys:
        return ''
    sizes = [_trained_at(network, weights[key].shape, own[key].shape) for key in keys]
    size = next((size for size in sizes if size is not None), None)
    which = 'that size' if size is None else f'{size[0]}x{size[1]}'
    setting = '(w, h)' if size is None else str(size)
    return (
        '; it was trained on pictures of another size than its config says: give the config of '
        f"{which}. Where the student's pictures are of another size, a classifier with "
        f'input_size={setting} sees them resized to its own; a pose network does without a setting'
    )


def rebuilt(network: nn.Module, weights: Mapping[str, Tensor], key: str) -> bool:
    """Whether a network makes a tensor itself and so drops the file's: no parameter, and the same.

    SwinTransformerV2 does so with what it knows of places. One of another shape is of another size,
    which :func:`check_not_interpolated` tells.

    Args:
        network: The network.
        weights: By the network's own names.
        key: A name that the network says is missing.
    """
    own, theirs = dict(network.named_buffers()).get(key), weights.get(key)
    if own is None or theirs is None:
        return False
    return own.shape != theirs.shape or torch.allclose(own.cpu(), theirs.to(own.dtype).cpu())


def _reshaped(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Names of what has another shape in the weights; numbers of places follow from the shape."""
    return [
        key
        for key, value in own.items()
        if key in weights and weights[key].shape != value.shape and value.is_floating_point()
    ]


def _cut(own: Tensor, theirs: Tensor) -> bool:
    """Whether a tensor holds nothing that the file does not."""
    return bool(torch.isin(own.cpu(), theirs.to(own.dtype).cpu()).all())


def _trained_at(
    network: nn.Module, theirs: Sequence[int], own: Sequence[int]
) -> tuple[int, int] | None:
    """The picture size (w, h) that a position embedding ``(1, L, C)`` is of; None if not known.

    Its aspect ratio is taken for the network's.
    """
    backbone = getattr(network, 'backbone', network)
    grid, size = getattr(backbone, 'patch_resolution', None), getattr(backbone, 'img_size', None)
    if grid is None or size is None or len(theirs) != len(own) or len(own) != 3:
        return None
    (rows, columns), (height, width) = grid, (size, size) if isinstance(size, int) else size
    patches = theirs[1] - (own[1] - rows * columns)  # without class and distillation tokens
    its_rows = isqrt(max(0, patches) * rows // columns)
    its_columns = patches // max(1, its_rows)
    if its_rows * its_columns != patches:
        return None
    return width * its_columns // columns, height * its_rows // rows
