"""A mentor's own crop of a person, cut from the original picture beside the student's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union, cast

import torch
from torch import Tensor

from ..structures import OwnCrop
from .fixed_views import PARTS, drawn_number

CUTS, PACKS = 'TopdownAffine', 'PackPoseInputs'
INNER = ('_dataset', 'dataset', 'datasets')  # where data sets keep others; a slice the first
ASKED = ('img', 'bbox_center', 'bbox_scale', 'bbox_rotation')
CROPS = 'own_crops'  # in a pipeline's results
Results = dict[str, Any]  # what MMPose's transforms hand on
Transform = Callable[[Results], Optional[Results]]


@dataclass(frozen=True)
class Wanted:
    """A crop that a mentor wants.

    Attributes:
        mentor: Its name, for errors.
        crop: What is to be cut.
        answered: Whether its answer to a view is kept, by the view's number: then nothing is cut.
            None where answers are not kept.
    """

    mentor: str
    crop: OwnCrop
    answered: Callable[[int], bool] | None = None

    def now(self) -> bool:
        """Whether it is wanted of the sample that is being prepared."""
        number = drawn_number()
        return self.answered is None or number is None or not self.answered(number)


class CutsOwnCrops:
    """TopdownAffine, and itself once more for each size that mentors want.

    The picture, the box, its rotation and its flip are those that the student's crop is cut of; no
    random number is drawn. What changes the picture later changes the student's alone.

    Args:
        stock: The student's TopdownAffine.
        wanted: By the mentors.
    """

    def __init__(self, stock: Transform, wanted: Sequence[Wanted]) -> None:
        self.stock = stock
        self.wanted = tuple(wanted)

    @property
    def extent(self) -> tuple[int, int]:
        """(w, h) of the student's crop in its own pixels; UDP's ends in the middle of the last."""
        stock: Any = self.stock
        width, height = stock.input_size
        return int(width) - stock.use_udp, int(height) - stock.use_udp

    def __call__(self, results: Results) -> Results | None:
        """Cut what is wanted, then the student's."""
        crops = {each.crop for each in self.wanted if each.now()}
        found = {crop.name: self._cut(results, crop) for crop in crops}
        cut = self.stock(results)
        return None if cut is None else {**cut, CROPS: found}

    def _cut(self, results: Results, crop: OwnCrop) -> object:
        stock: Any = self.stock
        other = copy.copy(stock)
        other.input_size, other.use_udp = crop.size[::-1], crop.udp
        asked = {key: results[key] for key in ASKED if key in results}
        # MMPose turns by an angle in one direction with UDP, and in the other without.
        if 'bbox_rotation' in asked and crop.udp != stock.use_udp:
            asked['bbox_rotation'] = -asked['bbox_rotation']
        return other(asked)['img']


class PacksOwnCrops:
    """PackPoseInputs, and the crops of mentors as fields of the sample, uint8 ``(C, H, W)``.

    Args:
        stock: The student's PackPoseInputs.
    """

    def __init__(self, stock: Transform) -> None:
        self.stock = stock

    def __call__(self, results: Results) -> Results | None:
        """Pack."""
        from mmpose.datasets.transforms.formatting import image_to_tensor

        packed = self.stock(results)
        if packed is not None:
            for name, picture in results.get(CROPS, {}).items():
                packed['data_samples'].set_field(image_to_tensor(picture), name)
        return packed


Companion = Union[CutsOwnCrops, PacksOwnCrops]


def cut_own_crops(dataset: object, wanted: Sequence[Wanted]) -> tuple[int, int] | None:
    """Make a data set's pipelines, wherever they are, cut what mentors want beside the student's.

    They are changed in place; what was wanted before is not any more. Workers that have been
    started do not see it.

    Args:
        dataset: Wrapped or not; or a pipeline alone.
        wanted: By the mentors; nothing makes the pipelines what they were.

    Returns:
        (w, h) of the student's crop, see :attr:`CutsOwnCrops.extent`; None where nothing is wanted.

    Raises:
        ValueError: Where people are not cut by TopdownAffine and packed by PackPoseInputs, or here
            by UDP and there not.
    """
    _fitted(dataset, wanted)
    if not wanted:
        return None
    extents = set()
    for read, companions in _streams(dataset):
        cutting = [each for each in companions if isinstance(each, CutsOwnCrops)]
        lacking = [CUTS] if not cutting else []
        lacking += [] if any(isinstance(each, PacksOwnCrops) for each in companions) else [PACKS]
        if lacking:
            raise ValueError(
                f'mentor {wanted[0].mentor!r}: own_resolution=True cuts the crop of {CUTS} once '
                f'more, and {PACKS} packs it; the pipeline of the data ({type(read).__name__}) has '
                f'no {" and no ".join(lacking)}'
            )
        extents |= {each.extent for each in cutting}
    if len(extents) > 1:
        raise ValueError(
            f'mentor {wanted[0].mentor!r}: own_resolution=True takes one kind of crop, and the '
            f'parts of the data have several {CUTS}, which differ in input_size or use_udp'
        )
    return extents.pop()


def own_crops(samples: Sequence[object], crop: OwnCrop, like: Tensor, who: str) -> Tensor:
    """The crops ``(N, C, H, W)`` that samples bring, not normalised.

    Args:
        samples: N packed ones.
        crop: Which of their crops.
        like: Device and type are this tensor's, ``(N, ...)``.
        who: Names the mentor in errors.

    Raises:
        RuntimeError: Where some bring none.
    """
    found = [getattr(sample, crop.name, None) for sample in samples]
    if len(found) < len(like) or any(each is None for each in found):
        raise RuntimeError(
            f'{who} has own_resolution=True, and samples come without its crop ({crop.name}): '
            'ClassroomHook makes the training data cut it before they are loaded, add it to '
            'custom_hooks; a data set or pipeline that is exchanged later does not'
        )
    return torch.stack(cast('list[Tensor]', found)).to(like.device, like.dtype)


def _fitted(part: object, wanted: Sequence[Wanted]) -> object:
    """A part of a data set with its companion if something is wanted; its own parts likewise."""
    stock: Any = part.stock if isinstance(part, (CutsOwnCrops, PacksOwnCrops)) else part
    names = {kind.__name__ for kind in type(stock).__mro__}
    if CUTS in names:
        return CutsOwnCrops(stock, wanted) if wanted else stock
    if PACKS in names:
        return PacksOwnCrops(stock) if wanted else stock
    if isinstance(stock, tuple):
        fitted = [_fitted(each, wanted) for each in stock]
        return stock if all(a is b for a, b in zip(fitted, stock)) else tuple(fitted)
    parts = stock if isinstance(stock, list) else getattr(stock, '__dict__', {})
    keys = range(len(parts)) if isinstance(parts, list) else parts.keys() & {*PARTS, *INNER}
    for key in keys:
        other = _fitted(parts[key], wanted)
        if other is not parts[key]:
            parts[key] = other
    return stock


def _streams(dataset: object) -> Iterator[tuple[object, list[Companion]]]:
    """What reads files, or is a pipeline, and the companions that its samples pass on their way."""
    own = getattr(dataset, '__dict__', {})
    inner = [*_listed(own.get('_dataset')), *_listed(own.get('dataset'))]
    inner += _listed(own.get('datasets'))
    passed = list(_companions(dataset))
    if not inner:
        yield dataset, passed
    for each in inner:
        for read, companions in _streams(each):
            yield read, companions + passed


def _listed(found: object) -> Sequence[object]:
    if isinstance(found, (list, tuple)):
        return found
    return () if found is None else [found]


def _companions(part: object) -> Iterator[Companion]:
    """Those of a pipeline, a transform, or a data set's own; not of the data sets that it wraps."""
    if isinstance(part, (CutsOwnCrops, PacksOwnCrops)):
        yield part
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from _companions(each)
    else:
        own = getattr(part, '__dict__', {})
        for name in own.keys() & set(PARTS) - set(INNER):
            yield from _companions(own[name])
