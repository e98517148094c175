"""MobileNetV2 at half width for 32x32 pictures (Sandler et al. 2018)."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .common import INIT, conv

# expansion, width at factor 1, blocks, stride of the first
SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project; a shortcut where the shapes allow it."""

    def __init__(self, width_in: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width_in * expansion
        self.shortcut = stride == 1 and width_in == width
        self.conv = nn.Sequential(
            conv(width_in, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            conv(hidden, hidden, 3, stride, groups=hidden),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            conv(hidden, width, 1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, width, H / stride, W / stride)``."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


@MODELS.register_module()
class CIFARMobileNetV2(BaseModule):
    """The literature's MobileNetV2 (ReLU, not ReLU6; expansion also in the first block).

    Args:
        widen_factor: Width of all but the last layer; 0.5 in the literature.
    """

    def __init__(self, widen_factor: float = 0.5, init_cfg: object = INIT) -> None:
        super().__init__(init_cfg)
        width = int(32 * widen_factor)
        self.conv1 = nn.Sequential(conv(3, width, 3, 2), nn.BatchNorm2d(width))
        stages: list[nn.Module] = []
        for expansion, base, length, stride in SETTINGS:
            blocks = []
            for i in range(length):
                target = int(base * widen_factor)
                blocks.append(InvertedResidual(width, target, stride if i == 0 else 1, expansion))
                width = target
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv2 = nn.Sequential(conv(width, 1280, 1), nn.BatchNorm2d(1280))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, 3, 32, 32)`` to one feature map ``(N, 1280, 2, 2)``."""
        return (F.relu(self.conv2(self.blocks(F.relu(self.conv1(x))))),)
