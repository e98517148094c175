"""SimCC (arXiv 2107.03332): one distribution per axis; to and from heatmaps through marginals."""

import torch
from torch import Tensor

from .grids import Scale


def decode_simcc(x: Tensor, y: Tensor, scale: Scale) -> Tensor:
    """Coordinates ``(N, K, 2)`` in input pixels, the most probable bin of each axis.

    Args:
        x: ``(N, K, Wx)``.
        y: ``(N, K, Wy)``.
        scale: Input pixels per bin, ``(x, y)``.

    Example:
        >>> x, y = torch.tensor([[[0.0, 9.0, 0.0]]]), torch.tensor([[[0.0, 0.0, 0.0, 9.0]]])
        >>> decode_simcc(x, y, scale=(0.5, 0.5))
        tensor([[[0.5000, 1.5000]]])
    """
    return torch.stack([x.argmax(-1) * scale[0], y.argmax(-1) * scale[1]], -1)


def resample_bins(
    logits: Tensor,
    source_scale: float,
    size: int,
    scale: float,
    offsets: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """A distribution's logits over other bins along the same axis, the coordinates staying.

    Finer bins interpolate the logits, and beyond the outermost bin stay as there. Coarser bins
    collect probability, each source bin's shared between its two neighbours, so that no sharp peak
    falls between them.

    Args:
        logits: ``(N, K, W)``.
        source_scale: Input pixels per source bin.
        size: Number of target bins.
        scale: Input pixels per target bin.
        offsets: Where in its bin a peak stands, in the source and in the target.

    Returns:
        Log-probabilities but for a constant, ``(N, K, size)``; the input where the bins are equal.

    Example:
        >>> logits = torch.tensor([[[0.0, 0.0, 0.0, 99.0]]])  # bins of 1 pixel: the peak is at 3
        >>> resample_bins(logits, 1.0, size=3, scale=2.0).softmax(-1).round(decimals=2)
        tensor([[[0.0000, 0.5000, 0.5000]]])
    """
    if logits.shape[-1] == size and source_scale == scale and offsets[0] == offsets[1]:
        return logits
    source = torch.arange(logits.shape[-1], device=logits.device) + offsets[0]
    source = source * (source_scale / scale)
    target = torch.arange(size, device=logits.device) + offsets[1]
    finer = scale <= source_scale
    target = target.clamp(min=source[0], max=source[-1]) if finer else target
    distance = (source[:, None] - target).abs().to(logits.dtype)
    if finer:
        weight = _cubic(distance * (scale / source_scale))
        return logits @ (weight / weight.sum(0))
    probability = logits.softmax(-1) @ (1 - distance).clamp(min=0)
    return probability.clamp(min=torch.finfo(logits.dtype).tiny).log()


def _cubic(t: Tensor) -> Tensor:
    """Keys' cubic kernel with a = -1/2, which is exact for parabolas: a Gaussian stays one."""
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0))


def heatmap_marginals(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the marginals of ``softmax(heatmaps)`` over both axes.

    Args:
        heatmaps: Logits ``(N, K, H, W)``.

    Returns:
        ``(N, K, W)`` and ``(N, K, H)``.

    Example:
        >>> heatmap = torch.tensor([[[[1.0, 2.0, 1.0], [3.0, 6.0, 3.0]]]]).log()
        >>> [axis.exp().flatten() for axis in heatmap_marginals(heatmap)]
        [tensor([4., 8., 4.]), tensor([ 4., 12.])]
    """
    return heatmaps.logsumexp(-2), heatmaps.logsumexp(-1)


def product_heatmap(x: Tensor, y: Tensor) -> Tensor:
    """Logits of the distribution whose axes are independent, with these marginals.

    Args:
        x: Logits ``(N, K, W)``.
        y: Logits ``(N, K, H)``.

    Returns:
        ``(N, K, H, W)``.

    Example:
        >>> x, y = torch.tensor([[[1.0, 3.0]]]).log(), torch.tensor([[[1.0, 1.0]]]).log()
        >>> product_heatmap(x, y).exp().squeeze()
        tensor([[0.1250, 0.3750],
                [0.1250, 0.3750]])
    """
    return y.log_softmax(-1)[..., None] + x.log_softmax(-1)[..., None, :]
