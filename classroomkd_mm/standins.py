"""What MMPose's configs take from mmdet, written anew from its documentation.

``compat`` registers them under mmdet's names, and only where mmdet itself does not import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.model import BaseModule
from mmengine.runner import Runner

HUES = 180  # OpenCV counts a byte's hue in steps of two degrees
LEVELS = np.arange(256)


class WithPipeline(Protocol):
    """A data set that prepares its samples."""

    pipeline: object


class PipelineSwitchHook(Hook):
    """Exchanges the training data's pipeline when an epoch begins: the second stage of RTMPose.

    A run that is resumed later than that exchanges it in its first epoch. Workers that outlive an
    epoch have a copy of the data set, so they are started anew.

    Args:
        switch_epoch: The first epoch, counted from 0, that has the other pipeline.
        switch_pipeline: Configs of its transforms.

    Raises:
        TypeError: In that epoch, for training data without a pipeline.
    """

    def __init__(self, switch_epoch: int, switch_pipeline: Sequence[dict[str, Any]]) -> None:
        self.switch_epoch = switch_epoch
        self.switch_pipeline = switch_pipeline
        self._switched = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Exchange it, once."""
        if self._switched or runner.epoch < self.switch_epoch:
            return
        loader = runner.train_dataloader
        prepared = _with_pipeline(loader.dataset)
        if not prepared:
            kind = type(loader.dataset).__name__
            raise TypeError(f'PipelineSwitchHook: the training data ({kind}) have no pipeline')
        for dataset in prepared:
            dataset.pipeline = Compose(self.switch_pipeline)
        if getattr(loader, 'persistent_workers', False):
            # HACK: PyTorch has no other way to end them; without an iterator it makes a new one.
            loader._iterator = None
        self._switched = True
        runner.logger.info(f'epoch {runner.epoch + 1}: the training pipeline is switched')


def _with_pipeline(dataset: object) -> list[WithPipeline]:
    """The data set, or those that it wraps, whichever has a pipeline."""
    if hasattr(dataset, 'pipeline'):
        return [dataset]
    wrapped = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', ())
    return [found for each in wrapped for found in _with_pipeline(each)]


class YOLOXHSVRandomAug(BaseTransform):
    """Shifts a picture's hue, saturation and value by random steps, as YOLOX does.

    Each of the three is shifted with probability 1/2, evenly up to its delta in either direction,
    in whole steps (rounded towards 0). Hue is a circle; saturation and value end at 0 and 255.

    Required and modified key: ``img``, uint8 BGR ``(H, W, 3)``.

    Args:
        hue_delta: At most so much, of 180.
        saturation_delta: Of 255.
        value_delta: Of 255.
    """

    def __init__(
        self, hue_delta: float = 5, saturation_delta: float = 30, value_delta: float = 30
    ) -> None:
        self.deltas = (hue_delta, saturation_delta, value_delta)

    @cache_randomness
    def _steps(self) -> list[int]:
        """This picture's three shifts."""
        drawn = np.random.uniform(-1, 1, 3) * self.deltas
        return [int(step) for step in np.where(np.random.rand(3) < 0.5, drawn, 0)]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shift the picture's colours.

        Raises:
            TypeError: For a picture that is not uint8.
        """
        picture = results['img']
        if picture.dtype != np.uint8:
            raise TypeError(f'YOLOXHSVRandomAug: the picture is {picture.dtype}, it must be uint8')
        hue, saturation, value = self._steps()
        table = [
            (LEVELS + hue) % HUES,
            np.clip(LEVELS + saturation, 0, 255),
            np.clip(LEVELS + value, 0, 255),
        ]
        hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
        hsv = cv2.LUT(hsv, np.stack(table, axis=-1).astype(np.uint8)[None])
        results['img'] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results

    def __repr__(self) -> str:
        hue, saturation, value = self.deltas
        return (
            f'{type(self).__name__}(hue_delta={hue}, saturation_delta={saturation}, '
            f'value_delta={value})'
        )


def cspnext(**settings: object) -> BaseModule:
    """MMPose's CSPNeXt, the same network with the same parameter names."""
    from mmpose.models.backbones import CSPNeXt  # late: compat lets mmpose.models import

    return CSPNeXt(**settings)
