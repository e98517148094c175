"""A pose mentor in the student's eyes: its crop, its keypoints, its form of output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...parts import Metainfo
from ...structures import Answer, OwnCrop, Reading, Resize, Shown
from ..base import Bridge, Samples
from .keypoints import Keypoints
from .readouts import Readout
from .two_points import TwoPoints, two_points

if TYPE_CHECKING:
    from mmpose.models import BasePoseEstimator

ASPECT_TOLERANCE = 0.01
CROP = ('input_size', 'input_scale', 'input_center')  # how MMPose's samples state the crop
# Of a person's keypoints: where, how sure, whether to be seen.
PREDICTED = ('keypoints', 'keypoint_scores', 'keypoints_visible')
Size = tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """The picture that a mentor is shown, and what its decoder takes it for.

    Attributes:
        resize: What the student's input must become, or what is shown instead; None if nothing.
        ratio: The student's input pixels per pixel of the mentor's, (x, y).
        covered: (w, h) of the crop that its decoder speaks of, in the student's crops: a
            letterboxed one is larger, and UDP's ends on the last pixel.
    """

    resize: Shown | None
    ratio: tuple[float, float]
    covered: tuple[float, float]

    def __str__(self) -> str:
        if self.resize is None:
            return 'nothing'
        height, width = self.resize.size
        if isinstance(self.resize, OwnCrop):
            return f'its own crop of {width}x{height}'
        padded = self.ratio[0] == self.ratio[1] and self.resize.letterbox
        return f'input to {width}x{height}{", letterboxed" if padded else ""}'


def crop_of(student: Sequence[Size], own: Sequence[Size], letterbox: bool, who: str) -> Crop:
    """How the student's crop is shown to a mentor.

    Args:
        student: (w, h) of the student's input, and what its decoder takes for the crop's.
        own: The mentor's.
        letterbox: Keep another aspect ratio: the picture fills the upper left.
        who: Names the mentor in errors.

    Raises:
        ValueError: Where the aspect ratios differ and ``letterbox`` is off.
    """
    (width, height), extent = student
    (own_width, own_height), own_extent = own
    ratio = (width / own_width, height / own_height)
    padded = abs(ratio[0] / ratio[1] - 1) > ASPECT_TOLERANCE
    if padded and not letterbox:
        raise ValueError(
            f'{who} has input size {own_width}x{own_height}, the student {width}x{height}: the '
            'aspect ratios cannot be mapped (letterbox=True pads)'
        )
    if padded:
        ratio = (max(ratio), max(ratio))
    covered = tuple(its * r / mine for its, r, mine in zip(own_extent, ratio, extent))
    resize = Resize((own_height, own_width), ratio, letterbox)
    return Crop(resize if student[0] != own[0] else None, ratio, (covered[0], covered[1]))


def own_crop_of(student: Sequence[Size], own: Sequence[Size], udp: bool, who: str) -> Crop:
    """The crop of a mentor that is shown its own.

    Args:
        student: (w, h) of the student's input, and what its decoder takes for the crop's.
        own: The mentor's.
        udp: Whether the mentor's own pipeline crops as UDP does.
        who: Names the mentor in errors.

    Raises:
        ValueError: Where the aspect ratios differ.
    """
    (width, height), extent = student
    own_width, own_height = own[0]
    if width * own_height != height * own_width:
        raise ValueError(
            f'{who} has input size {own_width}x{own_height}, the student {width}x{height}: of '
            "another aspect ratio TopdownAffine widens each person's box by another part, so that "
            'own_resolution=True cannot cut the same crop; leave it out (letterbox=True pads)'
        )
    shown = OwnCrop((own_height, own_width), udp)
    return Crop(shown, (extent[0] / shown.extent[0], extent[1] / shown.extent[1]), (1.0, 1.0))


@dataclass(frozen=True, eq=False)
class PoseBridge(Bridge):
    """A pose mentor in the student's eyes.

    Attributes:
        readout: How its output is read in the student's input space.
        target: The student's own readout.
        crop: What it is shown.
        count: How many keypoints the student has.
        keypoints: What is known of its own.
        min_shared: With fewer in common with the data set it is refused; at most 5 if None.
        as_many: Whether it has as many keypoints as the student.
        index: Where each of the student's keypoints is among its own; None if equal.
        known: Which of the student's keypoints it has, bool ``(K,)``; None if all.
        pairs: Those of the student's keypoints that are read from two of its own.
    """

    things = 'keypoints'
    readout: Readout
    target: Readout
    crop: Crop
    count: int
    keypoints: Keypoints
    min_shared: int | None = None
    as_many: bool = True
    index: Tensor | None = None
    known: Tensor | None = None
    pairs: tuple[TwoPoints, ...] = ()

    def joined(self, metainfo: Metainfo) -> PoseBridge:
        """The bridge to a data set with this parsed metainfo, its keypoints joined by name.

        Raises:
            ValueError: Where they share too few.
        """
        found = self.keypoints.join(metainfo, self.count)
        if found is None:
            return replace(self, index=None, known=None, pairs=())
        index, known = found
        least = min(5, self.count) if self.min_shared is None else self.min_shared
        if sum(known) < least:
            hint = ''
            if self.keypoints.numbered:
                hint = (
                    f'; its keypoints are numbered, not named, and of {self.keypoints.data_set!r}: '
                    'say which are which by keypoints={its name: ours} or [(its place, our place)]'
                )
            raise ValueError(
                f'mentor {self.name!r} shares {sum(known)} of the {len(known)} keypoints with the '
                f'data set, fewer than min_shared_keypoints={least}{hint}'
            )
        how = 'by name' if self.keypoints.pairs is None else 'by place'
        words = f'{sum(known)} of {len(known)} keypoints {how}'
        return replace(
            self,
            index=torch.tensor([each if isinstance(each, int) else each[0] for each in index]),
            known=torch.tensor(known),
            pairs=two_points(index),
            adaptations=tuple(dict.fromkeys((*self.adaptations, words))),
        )

    def cut_beside(self, extent: Size) -> PoseBridge:
        """The bridge where the student's pipeline crops otherwise than its decoder takes it to."""
        shown = self.crop.resize
        if not isinstance(shown, OwnCrop):
            return self
        ratio = (extent[0] / shown.extent[0], extent[1] / shown.extent[1])
        if ratio == self.crop.ratio:
            return self
        more = (ratio[0] / self.crop.ratio[0], ratio[1] / self.crop.ratio[1])
        scale = (self.readout.scale[0] * more[0], self.readout.scale[1] * more[1])
        crop, readout = replace(self.crop, ratio=ratio), replace(self.readout, scale=scale)
        return replace(self, crop=crop, readout=readout)

    def moved(self, fn: Callable[[Tensor], Tensor]) -> PoseBridge:
        """The bridge on another device."""
        if self.index is None or self.known is None:
            return self
        pairs = tuple(pair.moved(fn) for pair in self.pairs)
        return replace(self, index=fn(self.index), known=fn(self.known), pairs=pairs)

    def read(self, answer: Answer) -> Reading:
        """Keypoints in the student's input pixels, and natural logits in its form.

        Raises:
            RuntimeError: Where keypoints differ and the data set is not known.
        """
        theirs = answer.parts[: self.readout.maps]
        maps = self.ours(theirs)
        guess = self.readout.keypoints(maps)
        for pair in self.pairs:
            guess = pair.put_keypoints(guess, theirs, self.readout)
        return Reading(guess, self.readout.parts(maps, self.target))

    def ours(self, maps: Sequence[Tensor]) -> Sequence[Tensor]:
        """Its maps of the student's keypoints, in the student's order.

        Raises:
            RuntimeError: Where keypoints differ and the data set is not known.
        """
        index = self.index
        if index is not None:
            ours = [part.index_select(1, index) for part in maps]
            for pair in self.pairs:
                ours = pair.put_maps(ours, maps, self.readout)
            return ours
        if not self.as_many:
            raise RuntimeError(
                f'mentor {self.name!r} has other keypoints, and the samples do not name their data '
                'set: ClassroomHook does, add it to custom_hooks'
            )
        return maps

    def predict(self, network: nn.Module, inputs: Tensor, data_samples: Samples) -> Samples:
        """The mentor's own predictions of the student's keypoints, in the picture.

        The crop in ``data_samples`` is stated at the student's input, the mentor's coordinates are
        at its own: the crop is restated meanwhile. A mentor of other keypoints is not asked twice:
        the samples' flip indices are of the data set's.
        """
        with self._own_crop(data_samples), _without_flip(network, self.index is not None):
            predictions = network(inputs, data_samples, mode='predict')
        for sample in predictions:
            sample.pred_instances = self.carried(sample.pred_instances)
        return predictions

    @contextmanager
    def _own_crop(self, data_samples: Samples) -> Iterator[None]:
        if self.crop.resize is None and self.crop.covered == (1, 1):
            yield
            return
        original = [{key: sample.metainfo[key] for key in CROP} for sample in data_samples]
        try:
            for sample, meta in zip(data_samples, original):
                sample.set_metainfo(self._restated(meta))
            yield
        finally:
            for sample, meta in zip(data_samples, original):
                sample.set_metainfo(meta)

    def _restated(self, meta: dict[str, Any]) -> dict[str, Any]:
        covered = np.asarray(self.crop.covered)
        size, scale = meta['input_size'], np.asarray(meta['input_scale'])
        if self.crop.resize is not None:
            size = self.crop.resize.size[::-1]
        return dict(
            input_size=size,
            input_scale=scale * covered,
            input_center=np.asarray(meta['input_center']) + scale * (covered - 1) / 2,
        )

    def carried(self, found: InstanceData) -> InstanceData:
        """The mentor's own predictions as of the student's keypoints; 0 sure of what it lacks."""
        if self.index is None or self.known is None:
            return found
        index, known = self.index.cpu().numpy(), self.known.cpu().numpy()
        theirs = {key: found[key] for key in PREDICTED}
        ours = {key: value[:, index] for key, value in theirs.items()}
        for pair in self.pairs:
            ours = pair.put_predictions(ours, theirs)
        for key in PREDICTED[1:]:
            ours[key] = ours[key] * known
        return InstanceData(**{**dict(found.items()), **ours})


@contextmanager
def _without_flip(network: BasePoseEstimator, needed: bool) -> Iterator[None]:
    before = network.test_cfg
    if needed:
        network.test_cfg = {**(before or {}), 'flip_test': False}
    try:
        yield
    finally:
        network.test_cfg = before
