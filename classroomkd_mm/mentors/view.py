"""How a mentor sees the student's inputs: in its own channel order, normalisation and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import resample_heatmaps
from ..structures import Resize


@dataclass(frozen=True, eq=False)
class Convention:
    """What a network's inputs look like.

    Attributes:
        mean: Of its channels, in its own order.
        std: Likewise.
        order: 'rgb' or 'bgr', how it sees colours.
    """

    mean: Tensor
    std: Tensor
    order: str

    @classmethod
    def of(cls, preprocessor: nn.Module, arrives: str | None, unknown: str = 'bgr') -> Convention:
        """What a data preprocessor makes of pictures.

        Args:
            preprocessor: MMPose's, MMPretrain's or MMEngine's.
            arrives: The order in which its pictures arrive. Where that is not known, one that
                exchanges channels is taken to make RGB of BGR.
            unknown: The order of what arrives where that is not known and nothing is exchanged.
        """
        mean = getattr(preprocessor, 'mean', torch.zeros(1)).detach().flatten().float()
        std = getattr(preprocessor, 'std', torch.ones(1)).detach().flatten().float()
        # MMPretrain's has to_rgb, MMEngine's (and MMPose's) has _channel_conversion.
        flips = getattr(preprocessor, 'to_rgb', getattr(preprocessor, '_channel_conversion', False))
        order = arrives or ('bgr' if flips else unknown)
        return cls(mean, std, order[::-1] if flips else order)


@dataclass(frozen=True, eq=False)
class InputView:
    """A mentor's view of the student's inputs.

    Attributes:
        flip: Whether the channels are exchanged.
        gain: ``(C, 1, 1)``, with ``bias`` from the student's normalisation to the mentor's.
        bias: ``(C, 1, 1)``.
        same: Whether gain and bias change nothing.
        resize: To the mentor's size; None where it is the student's.
        adaptations: What it does, in words.
    """

    flip: bool
    gain: Tensor
    bias: Tensor
    same: bool
    resize: Resize | None = None
    adaptations: tuple[str, ...] = ()

    @classmethod
    def between(
        cls, student: Convention, mentor: Convention, resize: Resize | None = None
    ) -> InputView:
        """The view of a mentor with its own convention and size."""
        flip, mean, std = student.order != mentor.order, student.mean, student.std
        if flip:
            mean, std = mean.flip(0), std.flip(0)
        gain = (std / mentor.std).view(-1, 1, 1)
        bias = ((mean - mentor.mean) / mentor.std).view(-1, 1, 1)
        same = bool((gain == 1).all() and (bias == 0).all())
        words = [f'channels to {mentor.order.upper()}'] if flip else []
        words += [] if same else ['mean and std']
        return cls(flip, gain, bias, same, resize, tuple(words))

    def moved(self, fn: Callable[[Tensor], Tensor]) -> InputView:
        """The view on another device or in another precision (``nn.Module._apply``)."""
        return replace(self, gain=fn(self.gain), bias=fn(self.bias))

    def __call__(self, inputs: Tensor) -> Tensor:
        """The student's inputs ``(N, C, H, W)`` as the mentor wants them."""
        if self.flip:
            inputs = inputs.flip(1)
        if not self.same:
            inputs = inputs * self.gain + self.bias
        if self.resize is None:
            return inputs
        size, ratio = self.resize.size, self.resize.ratio
        if ratio is None:
            return F.interpolate(inputs, size, mode='bilinear', antialias=True)
        padding = 'zeros' if self.resize.letterbox else 'border'  # 0 is the mean colour
        return resample_heatmaps(inputs, (1.0, 1.0), size, ratio, padding=padding)
