"""ShuffleNet V1 and V2 for 32x32 pictures (Zhang et al. 2018, Ma et al. 2018)."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .common import INIT, conv, shuffled


class GroupedBlock(nn.Module):
    """V1's unit: grouped 1x1, shuffle, 3x3 of each channel, grouped 1x1.

    At stride 2 the pooled input is appended instead of added.
    """

    def __init__(self, width_in: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.stride = stride
        width -= width_in if stride == 2 else 0
        hidden = width // 4
        first = 1 if width_in == 24 else groups  # the stem's few channels are not grouped
        self.groups = first
        self.conv1 = conv(width_in, hidden, 1, groups=first)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = conv(hidden, hidden, 3, stride, groups=hidden)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = conv(hidden, width, 1, groups=groups)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, width, H / stride, W / stride)``."""
        out = shuffled(F.relu(self.bn1(self.conv1(x))), self.groups)
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.stride == 2:
            return F.relu(torch.cat([out, F.avg_pool2d(x, 3, 2, 1)], 1))
        return F.relu(out + x)


@MODELS.register_module()
class CIFARShuffleNetV1(BaseModule):
    """ShuffleNetV1 with 3 groups."""

    def __init__(self, init_cfg: object = INIT) -> None:
        super().__init__(init_cfg)
        self.conv1 = conv(3, 24, 1)
        self.bn1 = nn.BatchNorm2d(24)
        width_in = 24
        for stage, (width, length) in enumerate(((240, 4), (480, 8), (960, 4)), 1):
            blocks = [GroupedBlock(width_in, width, 2, 3)]
            blocks += [GroupedBlock(width, width, 1, 3) for _ in range(length - 1)]
            self.add_module(f'layer{stage}', nn.Sequential(*blocks))
            width_in = width

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, 3, 32, 32)`` to one feature map ``(N, 960, 4, 4)``."""
        x = F.relu(self.bn1(self.conv1(x)))
        return (self.layer3(self.layer2(self.layer1(x))),)


class SplitBlock(nn.Module):
    """V2's unit: half of the channels pass, the others are convolved; then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = conv(half, half, 1)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = conv(half, half, 3, groups=half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv(half, half, 1)
        self.bn3 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, width, H, W)`` to the same shape."""
        passed, out = x.chunk(2, 1)
        out = F.relu(self.bn1(self.conv1(out)))
        out = F.relu(self.bn3(self.conv3(self.bn2(self.conv2(out)))))
        return shuffled(torch.cat([passed, out], 1), 2)


class DownBlock(nn.Module):
    """V2's unit at stride 2: both branches are convolved, so the channels may change."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = conv(width_in, width_in, 3, 2, groups=width_in)
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv2 = conv(width_in, half, 1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv(width_in, half, 1)
        self.bn3 = nn.BatchNorm2d(half)
        self.conv4 = conv(half, half, 3, 2, groups=half)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv(half, half, 1)
        self.bn5 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, width, H / 2, W / 2)``."""
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = F.relu(self.bn3(self.conv3(x)))
        right = F.relu(self.bn5(self.conv5(self.bn4(self.conv4(right)))))
        return shuffled(torch.cat([left, right], 1), 2)


@MODELS.register_module()
class CIFARShuffleNetV2(BaseModule):
    """ShuffleNetV2 1x."""

    def __init__(self, init_cfg: object = INIT) -> None:
        super().__init__(init_cfg)
        self.conv1 = conv(3, 24, 1)
        self.bn1 = nn.BatchNorm2d(24)
        width_in = 24
        for stage, (width, length) in enumerate(((116, 3), (232, 7), (464, 3)), 1):
            blocks = [DownBlock(width_in, width), *(SplitBlock(width) for _ in range(length))]
            self.add_module(f'layer{stage}', nn.Sequential(*blocks))
            width_in = width
        self.conv2 = conv(464, 1024, 1)
        self.bn2 = nn.BatchNorm2d(1024)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, 3, 32, 32)`` to one feature map ``(N, 1024, 4, 4)``."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return (F.relu(self.bn2(self.conv2(x))),)
