"""ResNets for 32x32 pictures: three stages of basic blocks (He et al. 2016, section 4.2)."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .common import INIT, conv


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(width_in, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(conv(width_in, width, 1, stride), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, width, H / stride, W / stride)``."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


@MODELS.register_module()
class CIFARResNet(BaseModule):
    """ResNet-8 to -110, also four times as wide (8x4, 32x4).

    Args:
        depth: ``6 n + 2``.
        widths: Channels of the stem and of the three stages.
        in_channels: Channels of the picture.

    Raises:
        ValueError: For another depth.
    """

    def __init__(
        self,
        depth: int,
        widths: tuple[int, int, int, int] = (16, 16, 32, 64),
        in_channels: int = 3,
        init_cfg: object = INIT,
    ) -> None:
        super().__init__(init_cfg)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f'CIFARResNet: depth={depth} is not 6 n + 2')
        self.conv1 = conv(in_channels, widths[0], 3)
        self.bn1 = nn.BatchNorm2d(widths[0])
        for stage in (1, 2, 3):
            blocks = [BasicBlock(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)]
            blocks += [BasicBlock(widths[stage], widths[stage], 1) for _ in range(depth // 6 - 1)]
            self.add_module(f'layer{stage}', nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, in_channels, 32, 32)`` to one feature map ``(N, widths[3], 8, 8)``."""
        x = F.relu(self.bn1(self.conv1(x)))
        return (self.layer3(self.layer2(self.layer1(x))),)
