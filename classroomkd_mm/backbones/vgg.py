"""VGG with batch normalisation for 32x32 pictures."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS
from .common import INIT

WIDTHS = (64, 128, 256, 512, 512)
# Convolutions of each of the five blocks.
LENGTHS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@MODELS.register_module()
class CIFARVGG(BaseModule):
    """VGG-8 to -19 with batch normalisation.

    Args:
        depth: 8, 11, 13, 16 or 19.

    Raises:
        ValueError: For another depth.
    """

    def __init__(self, depth: int, init_cfg: object = INIT) -> None:
        super().__init__(init_cfg)
        if depth not in LENGTHS:
            raise ValueError(f'CIFARVGG: depth={depth} is not one of {tuple(LENGTHS)}')
        width_in = 3
        for i, (width, length) in enumerate(zip(WIDTHS, LENGTHS[depth])):
            layers: list[nn.Module] = []
            for _ in range(length):
                layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width)]
                layers += [nn.ReLU()]
                width_in = width
            self.add_module(f'block{i}', nn.Sequential(*layers))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """``(N, 3, 32, 32)`` to one feature map ``(N, 512, 4, 4)``."""
        for block in (self.block0, self.block1, self.block2):
            x = F.max_pool2d(block(x), 2)
        return (self.block4(self.block3(x)),)
