"""How a mentor sees the student's inputs: in its own channel order, normalisation and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..functional import resample_heatmaps
from ..structures import OwnCrop, Shown

# How bright red, green and blue are: ITU-R BT.601, as OpenCV and PIL turn colours to grey.
LUMA = (0.299, 0.587, 0.114)


def channels_of(network: nn.Module) -> int | None:
    """How many channels a network's inputs have; None where it does not tell.

    As many as its preprocessor has means; where that is one for all of them, or none, as many as
    its first convolution takes.
    """
    mean = getattr(network.data_preprocessor, 'mean', None)
    if isinstance(mean, Tensor) and mean.numel() > 1:
        return mean.numel()
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    return None if first is None else first.in_channels


@dataclass(frozen=True, eq=False)
class Convention:
    """What a network's inputs look like.

    Attributes:
        mean: Of its channels, in its own order.
        std: Likewise.
        order: 'rgb' or 'bgr', how it sees colours.
        channels: How many it takes; None where that is not known.
    """

    mean: Tensor
    std: Tensor
    order: str
    channels: int | None = None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        arrives: str | None,
        unknown: str = 'bgr',
    ) -> Convention:
        """What a network's data preprocessor (of MMPose, MMPretrain or MMEngine) makes of pictures.

        Args:
            network: The network.
            arrives: The order in which its pictures arrive. Where that is not known, one that
                exchanges channels is taken to make RGB of BGR.
            unknown: The order of what arrives where that is not known and nothing is exchanged.
        """
        preprocessor = network.data_preprocessor
        mean = getattr(preprocessor, 'mean', torch.zeros(1)).detach().flatten().float()
        std = getattr(preprocessor, 'std', torch.ones(1)).detach().flatten().float()
        # MMPretrain's has to_rgb, MMEngine's (and MMPose's) has _channel_conversion.
        flips = getattr(preprocessor, 'to_rgb', getattr(preprocessor, '_channel_conversion', False))
        order = arrives or ('bgr' if flips else unknown)
        return cls(mean, std, order[::-1] if flips else order, channels_of(network))

    def before(self, arrives: str | None) -> Convention:
        """The pictures themselves, before they are made a network's inputs.

        Args:
            arrives: The order of their colours; BGR, as OpenCV reads them, where it is not known.
        """
        mean, std = torch.zeros_like(self.mean), torch.ones_like(self.std)
        return replace(self, mean=mean, std=std, order=arrives or 'bgr')

    def grey(self) -> tuple[Tensor, Convention]:
        """What its three channels are multiplied by to add up to luma, and that one's convention.

        Luma is of pixels: ``sum_c w_c (x_c std_c + mean_c)``.
        """
        luma = self.mean.new_tensor(LUMA if self.order == 'rgb' else LUMA[::-1])
        mean = (luma * self.mean).sum(0, keepdim=True)
        return (luma * self.std).view(-1, 1, 1), replace(
            self, mean=mean, std=torch.ones_like(mean), channels=1
        )


@dataclass(frozen=True, eq=False)
class InputView:
    """A mentor's view of the student's inputs, or of pictures of its own.

    Attributes:
        flip: Whether the channels are exchanged.
        gain: ``(C, 1, 1)``, with ``bias`` from the student's normalisation to the mentor's.
        bias: ``(C, 1, 1)``.
        same: Whether gain and bias change nothing.
        resize: To the mentor's size; None where it is the student's. An :class:`OwnCrop` has it
            already, and comes without the student's normalisation.
        adaptations: What it does, in words.
        luma: ``(3, 1, 1)``, what colours are multiplied by to add up to grey; None where the mentor
            sees colours, or the student sees none.
        repeat: How often grey is repeated for a mentor that takes colours; 1 where it is not.
    """

    flip: bool
    gain: Tensor
    bias: Tensor
    same: bool
    resize: Shown | None = None
    adaptations: tuple[str, ...] = ()
    luma: Tensor | None = None
    repeat: int = 1

    @classmethod
    def between(
        cls,
        student: Convention,
        mentor: Convention,
        resize: Shown | None = None,
        who: str = 'the mentor',
    ) -> InputView:
        """The view of a mentor with its own convention and size, on the student's device.

        Raises:
            ValueError: Naming ``who``, where one takes other channels than the other and these are
                not grey and colours.
        """
        both = (student.channels, mentor.channels)
        if both == (3, 1):
            luma, student = student.grey()
            view = cls.between(replace(student, order=mentor.order), mentor, resize)
            return replace(view, luma=luma, adaptations=('colours to grey', *view.adaptations))
        if both == (1, 3):
            student = replace(student, order=mentor.order, channels=3)
            view = cls.between(student, mentor, resize)
            return replace(view, repeat=3, adaptations=('grey to 3 channels', *view.adaptations))
        if None not in both and both[0] != both[1]:
            raise ValueError(
                f'{who} takes pictures of {both[1]} channels, the student of {both[0]}: only 1 '
                '(grey) and 3 (colours) are made of each other'
            )
        return cls._of_equal(student, mentor, resize)

    @classmethod
    def _of_equal(cls, student: Convention, mentor: Convention, resize: Shown | None) -> InputView:
        flip, mean, std = student.order != mentor.order, student.mean, student.std
        if flip:
            mean, std = mean.flip(0), std.flip(0)
        own_mean, own_std = mentor.mean.to(mean.device), mentor.std.to(mean.device)
        gain = (std / own_std).view(-1, 1, 1)
        bias = ((mean - own_mean) / own_std).view(-1, 1, 1)
        same = bool((gain == 1).all() and (bias == 0).all())
        words = [f'channels to {mentor.order.upper()}'] if flip else []
        words += [] if same else ['mean and std']
        return cls(flip, gain, bias, same, resize, tuple(words))

    def moved(self, fn: Callable[[Tensor], Tensor]) -> InputView:
        """The view on another device or in another precision (``nn.Module._apply``)."""
        luma = None if self.luma is None else fn(self.luma)
        return replace(self, gain=fn(self.gain), bias=fn(self.bias), luma=luma)

    def __call__(self, inputs: Tensor) -> Tensor:
        """What it is shown, ``(N, C, H, W)``, as the mentor wants it."""
        if self.luma is not None:
            inputs = (inputs * self.luma).sum(1, keepdim=True)
        if self.repeat > 1:
            inputs = inputs.expand(-1, self.repeat, -1, -1)
        if self.flip:
            inputs = inputs.flip(1)
        if not self.same:
            inputs = inputs * self.gain + self.bias
        if self.resize is None or isinstance(self.resize, OwnCrop):
            return inputs
        size, ratio = self.resize.size, self.resize.ratio
        if ratio is None:
            return F.interpolate(inputs, size, mode='bilinear', antialias=True)
        padding = 'zeros' if self.resize.letterbox else 'border'  # 0 is the mean colour
        return resample_heatmaps(inputs, (1.0, 1.0), size, ratio, padding=padding)
