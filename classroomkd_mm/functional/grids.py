"""Heatmap geometry: coordinates of peaks, and one network's heatmap on another's grid."""

import torch
import torch.nn.functional as F
from torch import Tensor

Scale = tuple[float, float]


def first_largest(values: Tensor) -> Tensor:
    """``argmax`` over the last dimension, the first of equals; on a CPU 50 times faster than torch.

    Args:
        values: ``(..., D)``, float32 or float64.

    Example:
        >>> first_largest(torch.tensor([[0.0, 2.0, 2.0], [3.0, 1.0, 2.0]]))
        tensor([1, 0])
    """
    if values.device.type == 'cpu':
        return torch.as_tensor(values.detach().numpy().argmax(-1))
    return values.argmax(-1)


def _peak_offset(before: Tensor, peak: Tensor, after: Tensor, inside: Tensor) -> Tensor:
    """Half a pixel at most: neither neighbour is larger than the peak."""
    curvature = 2 * peak - before - after
    offset = 0.5 * (after - before) / torch.where(curvature > 0, curvature, 1)
    return torch.where(inside & (curvature > 0), offset, 0)


def decode_heatmaps(heatmaps: Tensor, scale: Scale, offset: float = 0.0) -> Tensor:
    """Sub-pixel peaks: the parabola through the log of the maximum and its neighbours.

    Exact for a Gaussian peak, the first-order case of DARK (arXiv 1910.06278). Runs on the
    device without synchronising it.

    Args:
        heatmaps: ``(..., H, W)``, floating point.
        scale: Input pixels per heatmap pixel, ``(x, y)``.
        offset: Where in its pixel a peak stands.

    Returns:
        Coordinates ``(..., 2)`` as (x, y) in input pixels.

    Example:
        >>> heatmap = torch.zeros(1, 1, 8, 6)
        >>> heatmap[0, 0, 5, 2] = 1
        >>> decode_heatmaps(heatmap, scale=(4.0, 4.0))
        tensor([[[ 8., 20.]]])
    """
    height, width = heatmaps.shape[-2:]
    rows = heatmaps.flatten(-2)
    peak = first_largest(rows)
    x, y = peak % width, torch.div(peak, width, rounding_mode='floor')
    lower = torch.stack([x > 0, y > 0], -1)  # a neighbour beyond the edge is the peak itself
    upper = torch.stack([x < width - 1, y < height - 1], -1)
    (left, above), (right, below) = lower.unbind(-1), upper.unbind(-1)
    places = torch.stack(
        [peak, peak - 1 * left, peak - width * above, peak + right, peak + width * below], -1
    )
    logs = rows.gather(-1, places).clamp(min=torch.finfo(rows.dtype).tiny).log()
    shift = _peak_offset(logs[..., 1:3], logs[..., :1], logs[..., 3:], lower & upper)
    dx, dy = shift.unbind(-1)
    return torch.stack([(x + dx + offset) * scale[0], (y + dy + offset) * scale[1]], -1)


def _grid_line(
    size: int,
    scale: float,
    source_size: int,
    source_scale: float,
    offsets: tuple[float, float],
    like: Tensor,
) -> Tensor:
    target = torch.arange(size, device=like.device, dtype=like.dtype) + offsets[1]
    source = target * (scale / source_scale) - offsets[0]
    return source * (2 / max(source_size - 1, 1)) - 1


def resample_heatmaps(
    heatmaps: Tensor,
    source_scale: Scale,
    size: tuple[int, int],
    scale: Scale,
    offsets: tuple[float, float] = (0.0, 0.0),
    padding: str = 'border',
) -> Tensor:
    """A heatmap on another grid over the same input image, peaks staying where they are.

    Args:
        heatmaps: ``(N, K, H, W)``, floating point.
        source_scale: Input pixels per source heatmap pixel, ``(x, y)``: ``input / heatmap`` for
            MSRA's codec, ``(input - 1) / (heatmap - 1)`` for UDP's.
        size: The target grid, ``(H, W)``.
        scale: Input pixels per target heatmap pixel, ``(x, y)``.
        offsets: Where in its pixel a peak stands, in the source and in the target.
        padding: What is outside the source, 'border' or 'zeros'.

    Returns:
        ``(N, K, *size)``; the input itself where the grids are equal.

    Example:
        >>> heatmap = torch.zeros(1, 1, 8, 6)
        >>> heatmap[0, 0, 5, 2] = 1
        >>> finer = resample_heatmaps(heatmap, (4.0, 4.0), size=(16, 12), scale=(2.0, 2.0))
        >>> decode_heatmaps(finer, scale=(2.0, 2.0)).round()
        tensor([[[ 8., 20.]]])
    """
    height, width = heatmaps.shape[-2:]
    same = (height, width) == tuple(size) and tuple(source_scale) == tuple(scale)
    if same and offsets[0] == offsets[1]:
        return heatmaps
    x = _grid_line(size[1], scale[0], width, source_scale[0], offsets, heatmaps)
    y = _grid_line(size[0], scale[1], height, source_scale[1], offsets, heatmaps)
    grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)
    return F.grid_sample(
        heatmaps,
        grid.expand(len(heatmaps), -1, -1, -1),
        mode='bicubic',
        padding_mode=padding,
        align_corners=True,
    )
