"""Wide residual networks (Zagoruyko and Komodakis 2016, arXiv 1605.07146)."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .common import INIT, conv


class PreActivationBlock(nn.Module):
    """Normalise, activate, convolve; twice."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = conv(width_in, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.convShortcut = None  # the name it has in the checkpoints in circulation
        if width_in != width:
            self.convShortcut = conv(width_in, width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, width, H / stride, W / stride)``."""
        activated = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        return out + (x if self.convShortcut is None else self.convShortcut(activated))


@MODELS.register_module()
class CIFARWideResNet(BaseModule):
    """WRN-depth-factor.

    Args:
        depth: ``6 n + 4``.
        widen_factor: How many times wider than a ResNet.

    Raises:
        ValueError: For another depth.
    """

    def __init__(self, depth: int, widen_factor: int, init_cfg: object = INIT) -> None:
        super().__init__(init_cfg)
        if depth < 10 or depth % 6 != 4:
            raise ValueError(f'CIFARWideResNet: depth={depth} is not 6 n + 4')
        widths = (16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor)
        self.conv1 = conv(3, 16, 3)
        for stage in (1, 2, 3):
            blocks = [PreActivationBlock(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)]
            blocks += [
                PreActivationBlock(widths[stage], widths[stage], 1) for _ in range(depth // 6 - 1)
            ]
            layer = nn.Sequential(*blocks)
            self.add_module(f'block{stage}', nn.ModuleDict(dict(layer=layer)))
        self.bn1 = nn.BatchNorm2d(widths[3])

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, 3, 32, 32)`` to one feature map ``(N, 64 * widen_factor, 8, 8)``."""
        x = self.conv1(x)
        for block in (self.block1, self.block2, self.block3):
            x = block['layer'](x)
        return (F.relu(self.bn1(x)),)
