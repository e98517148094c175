"""What the CIFAR backbones share."""

from torch import Tensor, nn

# He's normal initialisation over a convolution's outputs, as the literature trains them.
INIT = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1, bias=0),
]


def conv(width_in: int, width: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the picture's size at stride 1."""
    return nn.Conv2d(width_in, width, size, stride, size // 2, groups=groups, bias=False)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """The channels of ``(N, C, H, W)``, dealt in turn from each group.

    As ``torch.nn.ChannelShuffle``, which has no gradient on a CPU before torch 2.2.
    """
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
