"""How a pose network's output is read in the student's input space.

*Natural* logits are those whose softmax is the network's distribution: a heatmap times the loss's
``beta``, a SimCC vector times its own head's. Parts are divided by ``beta`` again, because the
distillation loss multiplies by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from torch import Tensor, nn

from ..functional import decode_heatmaps, resample_heatmaps
from ..functional.simcc import decode_simcc, heatmap_marginals, product_heatmap, resample_bins


@dataclass(frozen=True)
class HeatmapReadout:
    """One heatmap per keypoint.

    Attributes:
        scale: The student's input pixels per heatmap pixel, (x, y).
        size: (W, H) of the heatmaps.
        codec: The codec's name.
        offset: Where in its pixel a peak stands: 0, or 0.5 where pixels are cells.
        height: Of a certain peak.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    codec: str
    offset: float = 0.0
    height: float = 1.0

    def __str__(self) -> str:
        return f'{self.codec} {self.size[0]}x{self.size[1]}'

    def keypoints(self, output: Tensor) -> Tensor:
        """``(N, K, 2)`` of heatmaps ``(N, K, H, W)``."""
        return decode_heatmaps(output, self.scale, self.offset)

    def parts(self, output: Tensor, target: 'Readout', beta: float) -> tuple[Tensor, ...]:
        """The output as logits on the target's grid or bins."""
        output = output / self.height if self.height != 1 else output
        if isinstance(target, HeatmapReadout):
            offsets = (self.offset, target.offset)
            size = target.size[::-1]
            return (resample_heatmaps(output, self.scale, size, target.scale, offsets).flatten(2),)
        marginals = heatmap_marginals(output * beta)
        return tuple(
            resample_bins(z, own, size, scale, (self.offset, 0.0)) / beta
            for z, own, size, scale in zip(marginals, self.scale, target.size, target.scale)
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

    def keypoints(self, output: tuple[Tensor, Tensor]) -> Tensor:
        """``(N, K, 2)`` of SimCC vectors."""
        return decode_simcc(*output, self.scale)

    def parts(
        self, output: tuple[Tensor, Tensor], target: 'Readout', beta: float
    ) -> tuple[Tensor, ...]:
        """The output as logits on the target's grid or bins."""
        offset = target.offset if isinstance(target, HeatmapReadout) else 0.0
        axes = [
            resample_bins(z * self.sharpness, own, size, scale, (0.0, offset))
            for z, own, size, scale in zip(output, self.scale, target.size, target.scale)
        ]
        if isinstance(target, SimCCReadout):
            return tuple(z / beta for z in axes)
        return (product_heatmap(*axes).flatten(2) / beta,)


Readout = Union[HeatmapReadout, SimCCReadout]


def crop_extent(codec: Any) -> tuple[int, int]:
    """(w, h) that a codec's decoder takes for the whole crop: UDP's ends on the last pixel."""
    from mmpose.codecs import UDPHeatmap

    width, height = (int(v) - isinstance(codec, UDPHeatmap) for v in codec.input_size)
    return width, height


def has_stages(head: nn.Module) -> bool:
    """Whether a head's output is a list, one heatmap per stage of the network."""
    from mmpose.models.heads import CPMHead, MSPNHead

    return isinstance(head, (CPMHead, MSPNHead))


def readout_of(network: nn.Module, who: str, ratio: Sequence[float] = (1.0, 1.0)) -> Readout:
    """How a network's output is read.

    Args:
        network: An MMPose top-down estimator.
        who: Names the network in errors.
        ratio: The student's input pixels per pixel of this network's input, (x, y).

    Raises:
        ValueError: Where its head gives neither one heatmap nor one SimCC pair per keypoint.
    """
    from mmpose.codecs import MegviiHeatmap, SimCCLabel
    from mmpose.models.heads import AssociativeEmbeddingHead, HeatmapHead

    head = getattr(network, 'head', None)
    codec = getattr(head, 'decoder', None)
    if isinstance(codec, SimCCLabel):
        return _simcc_readout(head, codec, ratio)
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
    scale = tuple(float(s) * r for s, r in zip(codec.scale_factor, ratio))
    # MegviiHeatmap takes pixels for cells, a keypoint being in the middle of its own, and scales
    # peaks to 255.
    cells = dict(offset=0.5, height=255.0) if isinstance(codec, MegviiHeatmap) else {}
    size = tuple(int(v) for v in codec.heatmap_size)
    return HeatmapReadout(scale, size, type(codec).__name__, **cells)


def _simcc_readout(head: nn.Module, codec: Any, ratio: Sequence[float]) -> SimCCReadout:
    split = float(codec.simcc_split_ratio)
    return SimCCReadout(
        scale=(ratio[0] / split, ratio[1] / split),
        size=tuple(int(v * split) for v in codec.input_size),
        codec=type(codec).__name__,
        sharpness=float(getattr(head.loss_module, 'beta', 1.0)),
    )
