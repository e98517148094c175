"""How a pose network's output is read in the student's input space.

*Natural* logits are those whose softmax is the network's distribution: a heatmap times the loss's
``beta``, a SimCC vector times its own head's. An output is a tuple of one or two maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Union

from torch import Tensor, nn

from ...datasets.wrappers import get, inner_sets
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
        scale: Input pixels per heatmap pixel, (x, y): the student's, once it is of its crop.
        size: (W, H) of the heatmaps.
        codec: The codec's name.
        sharpness: What its values are multiplied by to be natural logits.
        offset: Where in its pixel a peak stands: 0, or 0.5 where pixels are cells.
        maps: How many parts of an answer are read; a VisPredictHead says more than where.
    """

    maps: ClassVar[int] = 1
    scale: tuple[float, float]
    size: tuple[int, int]
    codec: str
    sharpness: float = 1.0
    offset: float = 0.0

    def __str__(self) -> str:
        return f'{self.codec} {self.size[0]}x{self.size[1]}'

    def of_crop(self, ratio: tuple[float, float], sharpness: float) -> HeatmapReadout:
        """As seen from the student's crop, for a loss of this sharpness; see :func:`readout_of`."""
        scale = (self.scale[0] * ratio[0], self.scale[1] * ratio[1])
        return replace(self, scale=scale, sharpness=self.sharpness * sharpness)

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
        scale: Input pixels per bin, (x, y): the student's, once it is of its crop.
        size: Number of bins, (x, y).
        codec: The codec's name.
        sharpness: What the head's own loss multiplies its outputs by.
        maps: How many parts of an answer are read, x and y.
    """

    maps: ClassVar[int] = 2
    scale: tuple[float, float]
    size: tuple[int, int]
    codec: str
    sharpness: float

    def __str__(self) -> str:
        return f'{self.codec} {self.size[0]}+{self.size[1]}'

    def of_crop(self, ratio: tuple[float, float], sharpness: float) -> SimCCReadout:
        """As seen from the student's crop; its logits are natural for any loss."""
        return replace(self, scale=(self.scale[0] * ratio[0], self.scale[1] * ratio[1]))

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
KINDS: Mapping[str, type[Readout]] = {'heatmap': HeatmapReadout, 'simcc': SimCCReadout}


def as_plain(readout: Readout) -> dict[str, Any]:
    """A readout in values that JSON keeps; :func:`from_plain` reads them."""
    kind = next(name for name, each in KINDS.items() if isinstance(readout, each))
    return dict(asdict(readout), kind=kind)


def from_plain(plain: Mapping[str, Any]) -> Readout:
    """The readout that :func:`as_plain` told of."""
    made: Callable[..., Readout] = KINDS[plain['kind']]
    values = {key: value for key, value in plain.items() if key != 'kind'}
    return made(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def crop_extent(codec: BaseKeypointCodec) -> tuple[int, int]:
    """(w, h) that a codec's decoder takes for the whole crop: UDP's ends on the last pixel."""
    from mmpose.codecs import UDPHeatmap

    width, height = (int(v) - isinstance(codec, UDPHeatmap) for v in codec.input_size)
    return width, height


def crops_as_udp(config: Mapping[str, Any], codec: BaseKeypointCodec) -> bool:
    """Whether a network's own pipeline crops as UDP does.

    As the first TopdownAffine says that its config has, for testing if it can be; as the codec has
    it where there is none.

    Args:
        config: The network's, whole or only the model's.
        codec: Its head's decoder.
    """
    from mmpose.codecs import UDPHeatmap

    for loader in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        for dataset in inner_sets((config.get(loader) or {}).get('dataset') or {}):
            for step in get(dataset, 'pipeline') or ():
                if str(get(step, 'type')).endswith('TopdownAffine'):
                    return bool(get(step, 'use_udp'))
    return isinstance(codec, UDPHeatmap)


def has_stages(head: nn.Module) -> bool:
    """Whether a head's output is a list, one heatmap per stage of the network."""
    from mmpose.models.heads import CPMHead, MSPNHead

    return isinstance(head, (CPMHead, MSPNHead))


def target_level(head: nn.Module) -> int:
    """Of targets with several levels, the one that the head's last stage learns."""
    levels: Sequence[int] = getattr(head, 'level_indices', ())
    return levels[-1] if levels else -1


def keypoint_head(network: nn.Module) -> BaseHead:
    """The head that says where the keypoints are; another may be around it (VisPredictHead)."""
    from mmpose.models.heads import VisPredictHead

    head = getattr(network, 'head', None)
    return head.pose_head if isinstance(head, VisPredictHead) else head


def readout_of(network: nn.Module, who: str) -> Readout:
    """How a network's output is read, in its own input's pixels.

    A heatmap's sharpness is that of one that peaks at 1: what makes its values natural logits is
    the loss's to say (:meth:`HeatmapReadout.of_crop`).

    Args:
        network: An MMPose top-down estimator.
        who: Names the network in errors.

    Raises:
        ValueError: Where its head gives neither one heatmap nor one SimCC pair per keypoint.
    """
    from mmpose.codecs import MegviiHeatmap, SimCCLabel

    head = keypoint_head(network)
    codec: BaseKeypointCodec = getattr(head, 'decoder', None)
    if isinstance(codec, SimCCLabel):
        return _simcc_readout(head, codec)
    _check_heatmaps(head, codec, who)
    (width, height), (x, y) = codec.heatmap_size, codec.scale_factor
    # MegviiHeatmap takes pixels for cells, a keypoint being in the middle of its own, and scales
    # peaks to 255.
    cells = isinstance(codec, MegviiHeatmap)
    return HeatmapReadout(
        scale=(float(x), float(y)),
        size=(int(width), int(height)),
        codec=type(codec).__name__,
        sharpness=1 / 255 if cells else 1.0,
        offset=0.5 if cells else 0.0,
    )


def _check_heatmaps(head: BaseHead, codec: BaseKeypointCodec | None, who: str) -> None:
    from mmpose.models.heads import AssociativeEmbeddingHead, HeatmapHead

    grouped = isinstance(head, AssociativeEmbeddingHead)  # bottom-up: heatmaps of all people
    heatmaps = isinstance(head, HeatmapHead) or has_stages(head)
    if not heatmaps or grouped or codec is None:
        raise ValueError(
            f'{who} needs a heatmap head (HeatmapHead or a subclass, CPMHead, MSPNHead) or a SimCC '
            'head (SimCCHead, RTMCCHead), bare or in a VisPredictHead, with its decoder set, got '
            f'{type(head).__name__}'
        )
    if getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian':
        raise ValueError(
            f'{who} has heatmap_type={codec.heatmap_type!r}: its channels are not one heatmap per '
            'keypoint'
        )


def _simcc_readout(head: BaseHead, codec: SimCCLabel) -> SimCCReadout:
    split = float(codec.simcc_split_ratio)
    width, height = codec.input_size
    return SimCCReadout(
        scale=(1 / split, 1 / split),
        size=(int(width * split), int(height * split)),
        codec=type(codec).__name__,
        sharpness=float(getattr(head.loss_module, 'beta', 1.0)),
    )
