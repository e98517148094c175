"""How a pose network's output is read in the student's input space.

*Natural* logits are those whose softmax is the network's distribution: a heatmap times the loss's
``beta``, a SimCC vector times its own head's. An output is a tuple of one or two maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from torch import Tensor, nn

from ...functional import (
    decode_heatmaps,
    decode_simcc,
    heatmap_marginals,
    product_heatmap,
    resample_bins,
    resample_heatmaps,
)

if TYPE_CHECKING:
    from mmpose.codecs import BaseKeypointCodec, SimCCLabel
    from mmpose.models.heads import BaseHead


@dataclass(frozen=True)
class HeatmapReadout:
    """One heatmap per keypoint.

    Attributes:
        scale: The student's input pixels per heatmap pixel, (x, y).
        size: (W, H) of the heatmaps.
        codec: The codec's name.
        sharpness: What its values are multiplied by to be natural logits.
        offset: Where in its pixel a peak stands: 0, or 0.5 where pixels are cells.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    codec: str
    sharpness: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        return f'{self.codec} {self.size[0]}x{self.size[1]}'

    def keypoints(self, output: Sequence[Tensor]) -> Tensor:
        """``(N, K, 2)`` of heatmaps ``(N, K, H, W)``."""
        return decode_heatmaps(output[0], self.scale, self.offset)

    def parts(self, output: Sequence[Tensor], target: Readout) -> tuple[Tensor, ...]:
        """The output as natural logits on the target's grid or bins."""
        heatmaps = output[0] if self.sharpness == 1 else output[0] * self.sharpness
        if isinstance(target, HeatmapReadout):
            offsets = (self.offset, target.offset)
            size = (target.size[1], target.size[0])
            return (
                resample_heatmaps(heatmaps, self.scale, size, target.scale, offsets).flatten(2),
            )
        return tuple(
            resample_bins(z, own, size, scale, (self.offset, 0.0))
            for z, own, size, scale in zip(
                heatmap_marginals(heatmaps), self.scale, target.size, target.scale
            )
        )


@dataclass(frozen=True)
class SimCCReadout:
    """One distribution per keypoint and axis.

    Attributes:
        scale: The student's input pixels per bin, (x, y).
        size: Number of bins, (x, y).
        codec: The codec's name.
        sharpness: What the head's own loss multiplies its outputs by.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    codec: str
    sharpness: float

    def __str__(self) -> str:
        return f'{self.codec} {self.size[0]}+{self.size[1]}'

    def keypoints(self, output: Sequence[Tensor]) -> Tensor:
        """``(N, K, 2)`` of SimCC vectors."""
        return decode_simcc(output[0], output[1], self.scale)

    def parts(self, output: Sequence[Tensor], target: Readout) -> tuple[Tensor, ...]:
        """The output as natural logits on the target's grid or bins."""
        offset = target.offset if isinstance(target, HeatmapReadout) else 0.0
        x, y = (
            resample_bins(z * self.sharpness, own, size, scale, (0.0, offset))
            for z, own, size, scale in zip(output, self.scale, target.size, target.scale)
        )
        if isinstance(target, SimCCReadout):
            return x, y
        return (product_heatmap(x, y).flatten(2),)


Readout = Union[HeatmapReadout, SimCCReadout]


def crop_extent(codec: BaseKeypointCodec) -> tuple[int, int]:
    """(w, h) that a codec's decoder takes for the whole crop: UDP's ends on the last pixel."""
    from mmpose.codecs import UDPHeatmap

    width, height = (int(v) - isinstance(codec, UDPHeatmap) for v in codec.input_size)
    return width, height


def has_stages(head: nn.Module) -> bool:
    """Whether a head's output is a list, one heatmap per stage of the network."""
    from mmpose.models.heads import CPMHead, MSPNHead

    return isinstance(head, (CPMHead, MSPNHead))


def readout_of(
    network: nn.Module, who: str, sharpness: float = 1.0, ratio: tuple[float, float] = (1.0, 1.0)
) -> Readout:
    """How a network's output is read.

    Args:
        network: An MMPose top-down estimator.
        who: Names the network in errors.
        sharpness: What turns the values of a heatmap that peaks at 1 into natural logits.
        ratio: The student's input pixels per pixel of this network's input, (x, y).

    Raises:
        ValueError: Where its head gives neither one heatmap nor one SimCC pair per keypoint.
    """
    from mmpose.codecs import MegviiHeatmap, SimCCLabel

    head: BaseHead = getattr(network, 'head', None)
    codec: BaseKeypointCodec = getattr(head, 'decoder', None)
    if isinstance(codec, SimCCLabel):
        return _simcc_readout(head, codec, ratio)
    _check_heatmaps(head, codec, who)
    (width, height), (x, y) = codec.heatmap_size, codec.scale_factor
    # MegviiHeatmap takes pixels for cells, a keypoint being in the middle of its own, and scales
    # peaks to 255.
    cells = isinstance(codec, MegviiHeatmap)
    return HeatmapReadout(
        scale=(float(x) * ratio[0], float(y) * ratio[1]),
        size=(int(width), int(height)),
        codec=type(codec).__name__,
        sharpness=sharpness / 255 if cells else sharpness,
        offset=0.5 if cells else 0.0,
    )


def _check_heatmaps(head: BaseHead, codec: BaseKeypointCodec | None, who: str) -> None:
    from mmpose.models.heads import AssociativeEmbeddingHead, HeatmapHead

    grouped = isinstance(head, AssociativeEmbeddingHead)  # bottom-up: heatmaps of all people
    heatmaps = isinstance(head, HeatmapHead) or has_stages(head)
    if not heatmaps or grouped or codec is None:
        raise ValueError(
            f'{who} needs a heatmap head (HeatmapHead or a subclass; a mentor also CPMHead or '
            'MSPNHead) or a SimCC head (SimCCHead, RTMCCHead), with its decoder set, got '
            f'{type(head).__name__}'
        )
    if getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian':
        raise ValueError(
            f'{who} has heatmap_type={codec.heatmap_type!r}: its channels are not one heatmap per '
            'keypoint'
        )


def _simcc_readout(head: BaseHead, codec: SimCCLabel, ratio: tuple[float, float]) -> SimCCReadout:
    split = float(codec.simcc_split_ratio)
    width, height = codec.input_size
    return SimCCReadout(
        scale=(ratio[0] / split, ratio[1] / split),
        size=(int(width * split), int(height * split)),
        codec=type(codec).__name__,
        sharpness=float(getattr(head.loss_module, 'beta', 1.0)),
    )
