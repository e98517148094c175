"""A mentor: a frozen stock network that sees the student's inputs in its own convention."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..compat import why_missing
from ..functional import resample_heatmaps
from ..tasks.keypoints import names_in_config
from .checkpoint import load_weights
from .zoo import look_up

ASPECT_TOLERANCE = 0.01
CROP = ('input_size', 'input_scale', 'input_center')  # how MMPose's samples state the crop


def _norm(preprocessor: nn.Module) -> tuple[Tensor, Tensor, bool]:
    """Mean and std, in the network's channel order, and whether that order is RGB."""
    mean = getattr(preprocessor, 'mean', torch.zeros(1)).detach().flatten().float()
    std = getattr(preprocessor, 'std', torch.ones(1)).detach().flatten().float()
    # MMPretrain's preprocessor has to_rgb, MMEngine's (and MMPose's) has _channel_conversion.
    rgb = getattr(preprocessor, 'to_rgb', getattr(preprocessor, '_channel_conversion', False))
    return mean, std, bool(rgb)


def as_float(output: Any) -> Any:
    """A network's output, a tensor or a tuple of them, in float32."""
    if isinstance(output, (tuple, list)):
        return tuple(part.float() for part in output)
    return output.float()


class Mentor:
    """A frozen network, outside the module tree of the student.

    Args:
        name: How logs call it.
        network: A stock model; put in eval mode, its parameters frozen.
        preprocessor: The student's data preprocessor, whose output the mentor is shown.
        classes: Names of the mentor's classes, where they are not the student's.
        keypoints: Names of the mentor's keypoints, None where they are the student's.
        min_shared_keypoints: With fewer in common with the data set it is refused.
        letterbox: Pad inputs of another aspect ratio instead of refusing them.
        input_size: (w, h) that inputs are resized to, for a classifier; a pose network's codec
            says its own.

    Attributes:
        config: Its config, whole or only the model, as given; read where it was a path.
        readout: How its output is read in the student's input space (pose).
        keypoint_index: Where each of the student's keypoints is among the mentor's; None if equal.
        known: bool ``(K,)``, which of the student's keypoints it has; None if all.
        adaptations: What is adapted between it and the student, in words.
        has_norm: Whether its data preprocessor says what normalisation it expects.
        class_index: Where each of the student's classes is among the mentor's.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        preprocessor: nn.Module,
        classes: Optional[Sequence[str]] = None,
        keypoints: Optional[Sequence[str]] = None,
        min_shared_keypoints: int = 5,
        letterbox: bool = False,
        input_size: Optional[Sequence[int]] = None,
    ) -> None:
        self.name = name
        self.keypoints = keypoints
        self.min_shared_keypoints = min_shared_keypoints
        self.letterbox = letterbox
        self.config: Any = None
        self.readout: Any = None
        self.keypoint_index: Optional[Tensor] = None
        self.known: Optional[Tensor] = None
        self.classes = classes
        self.class_index: Optional[Tensor] = None
        self.network = network.eval().requires_grad_(False)
        # (H, W), and the student's pixels per pixel of it (pose).
        self.input_size: Optional[tuple[tuple[int, int], Optional[tuple[float, float]]]] = None
        if input_size is not None:
            self.input_size = ((int(input_size[1]), int(input_size[0])), None)
        self.covered = np.ones(2)  # the crop that its decoder speaks of, in the student's crops
        mean_s, std_s, rgb_s = _norm(preprocessor)
        mean_m, std_m, rgb_m = _norm(network.data_preprocessor)
        self.has_norm = hasattr(network.data_preprocessor, 'mean')
        self.flip_channels = rgb_s != rgb_m
        if self.flip_channels:
            mean_s, std_s = mean_s.flip(0), std_s.flip(0)
        self.gain = (std_s / std_m).view(-1, 1, 1)
        self.bias = ((mean_s - mean_m) / std_m).view(-1, 1, 1)
        self.same_norm = bool((self.gain == 1).all() and (self.bias == 0).all())
        self.adaptations: list[str] = []
        if self.flip_channels:
            self.adaptations.append('channels to RGB' if rgb_m else 'channels to BGR')
        if not self.same_norm:
            self.adaptations.append('mean and std')
        if input_size is not None:
            self.adaptations.append(f'input to {input_size[0]}x{input_size[1]}')

    def resize_inputs(
        self,
        student: tuple[int, int],
        own: tuple[int, int],
        extents: Optional[tuple[Sequence[int], Sequence[int]]] = None,
    ) -> tuple[float, float]:
        """Remember to resize inputs of ``student`` (w, h) to the mentor's ``own`` size.

        With ``letterbox`` another aspect ratio is kept: the picture fills the upper left, the
        rest is the mentor's mean colour.

        Args:
            student: (w, h) of the student's input.
            own: (w, h) of the mentor's input.
            extents: What the student's and the mentor's decoder take for the crop's (w, h): UDP's
                ends on the last pixel, one less than the input size, which is the default.

        Returns:
            The student's input pixels per pixel of the mentor's input, (x, y).

        Raises:
            ValueError: Where the aspect ratios differ and ``letterbox`` is off.
        """
        ratio = (student[0] / own[0], student[1] / own[1])
        padded = abs(ratio[0] / ratio[1] - 1) > ASPECT_TOLERANCE
        if padded:
            if not self.letterbox:
                raise ValueError(
                    f'mentor {self.name!r} has input size {own[0]}x{own[1]}, the student '
                    f'{student[0]}x{student[1]}: the aspect ratios cannot be mapped '
                    '(letterbox=True pads)'
                )
            ratio = (max(ratio), max(ratio))
        mine, its = extents or (student, own)
        self.covered = np.array(its) * ratio / np.array(mine)
        if student != own:
            self.input_size = ((own[1], own[0]), ratio)
            how = ', letterboxed' if padded else ''
            self.adaptations.append(f'input to {own[0]}x{own[1]}{how}')
        return ratio

    def apply(self, fn: Any) -> None:
        """Move or cast with the student (``nn.Module._apply``)."""
        self.network._apply(fn)
        self.gain, self.bias = fn(self.gain), fn(self.bias)
        for name in ('class_index', 'keypoint_index', 'known'):
            if getattr(self, name) is not None:
                setattr(self, name, fn(getattr(self, name)))

    def adapt(self, inputs: Tensor) -> Tensor:
        """The student's inputs ``(N, 3, H, W)`` in this mentor's convention."""
        if self.flip_channels:
            inputs = inputs.flip(1)
        if not self.same_norm:
            inputs = inputs * self.gain + self.bias
        if self.input_size is not None:
            size, ratio = self.input_size
            if ratio is None:
                return F.interpolate(inputs, size, mode='bilinear', antialias=True)
            padding = 'zeros' if self.letterbox else 'border'  # 0 is the mean colour
            inputs = resample_heatmaps(inputs, (1.0, 1.0), size, ratio, padding=padding)
        return inputs

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> tuple[Any, Tensor]:
        """Outputs in float32 and whether all of them are finite (a bool tensor, no sync).

        Outputs that are not finite are replaced by 0: the caller mutes the mentor.
        """
        output = self.network(self.adapt(inputs), None, mode='tensor')
        while isinstance(output, list):  # of stages (Hourglass, CPM, MSPN): the last is the answer
            output = output[-1]
        output = as_float(output)
        parts = output if isinstance(output, tuple) else (output,)
        # One pass each; in float64 no sum of finite float32 overflows.
        healthy = sum(part.sum(dtype=torch.float64) for part in parts).isfinite()
        parts = tuple(torch.where(healthy, part, 0) for part in parts)
        return (parts if isinstance(output, tuple) else parts[0]), healthy

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: Sequence[Any]) -> list[Any]:
        """The network's own predictions for the student's inputs, as ``mode='predict'`` gives.

        In the student's classes or keypoints. The crop in ``data_samples`` is stated at the
        student's input, the mentor's coordinates are at its own: the crop is restated meanwhile.
        """
        inputs = self.adapt(inputs)
        if self.class_index is not None:
            logits = self.network(inputs, mode='tensor').index_select(-1, self.class_index)
            owner = self.network if not hasattr(self.network, 'head') else self.network.head
            return owner._get_predictions(logits, data_samples)
        with self._own_crop(data_samples):
            predictions = self.network(inputs, data_samples, mode='predict')
        return [self._in_students_keypoints(sample) for sample in predictions]

    @contextmanager
    def _own_crop(self, data_samples: Sequence[Any]) -> Iterator[None]:
        """State the crop as the mentor's decoder takes it: a letterboxed one is larger."""
        if self.readout is None or self.input_size is None and (self.covered == 1).all():
            yield
            return
        original = [dict(sample.metainfo) for sample in data_samples]
        for sample, meta in zip(data_samples, original):
            width, height = meta['input_size']
            if self.input_size is not None:
                (height, width), _ = self.input_size
            scale = np.asarray(meta['input_scale'])
            centre = np.asarray(meta['input_center']) + scale * (self.covered - 1) / 2
            crop = dict(input_size=(width, height), input_scale=scale * self.covered)
            sample.set_metainfo(dict(crop, input_center=centre))
        yield
        for sample, meta in zip(data_samples, original):
            sample.set_metainfo({key: meta[key] for key in CROP})

    def _in_students_keypoints(self, sample: Any) -> Any:
        if self.keypoint_index is not None:
            index, known = self.keypoint_index.cpu().numpy(), self.known.cpu().numpy()
            found = sample.pred_instances
            sample.pred_instances = InstanceData(
                **{
                    **dict(found.items()),
                    'keypoints': found.keypoints[:, index],
                    'keypoint_scores': found.keypoint_scores[:, index] * known,
                    'keypoints_visible': found.keypoints_visible[:, index] * known,
                }
            )
        return sample

    def __deepcopy__(self, memo: dict) -> 'Mentor':
        """Copies of the student (EMA) share the mentors."""
        return self


class Classroom(list[Mentor]):
    """The mentors. A plain list, so that no optimizer, wrapper or checkpoint sees them."""

    def __deepcopy__(self, memo: dict) -> 'Classroom':
        """Copies of the student (EMA) share the mentors."""
        return self


def _whole_config(config: Any, who: str) -> Any:
    """A config from a dict, a path or ``library::path``."""
    if isinstance(config, str):
        from mmengine.hub import get_config

        try:
            config = get_config(config) if '::' in config else Config.fromfile(config)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{who}: config={config!r} does not exist (paths start at the current directory)'
            ) from error
    if not isinstance(config, (dict, Config)):
        raise TypeError(
            f'{who}: config must be a dict, a path or library::path, got {type(config).__name__}'
        )
    return config


def _model_config(config: Any) -> dict:
    """The model in a whole config, or the config if it is a model's."""
    model = Config(dict(model=config.get('model', config))).model.to_dict()
    if 'data_preprocessor' in config and 'model' in config:  # MMPretrain's, as its runner does
        model.setdefault('data_preprocessor', config['data_preprocessor'])
    return model


POSE_ADAPTERS = {'keypoints', 'min_shared_keypoints', 'letterbox'}
CLASS_ADAPTERS = {'classes', 'input_size'}
ADAPTERS = POSE_ADAPTERS | CLASS_ADAPTERS
SETTINGS = {'name', 'zoo', 'config', 'checkpoint', 'trusted'} | ADAPTERS


def build_mentor(cfg: dict, position: int, preprocessor: nn.Module) -> Mentor:
    """Build a mentor.

    ``dict(name=..., zoo=NAME)`` takes config and weights from the model index of the library that
    has that name, ``dict(name=..., config=..., checkpoint=PATH | URL | None)`` takes them as given.
    A classifier also takes ``classes``, the names of its classes in order where they are not the
    student's, and ``input_size``; a pose network ``keypoints``, the names of its keypoints where
    its config does not say them, ``min_shared_keypoints`` and ``letterbox``, see :class:`Mentor`.
    ``trusted=True`` lets a checkpoint run code when it is read.

    Args:
        cfg: The mentor's settings.
        position: Its place in the list, for errors and for a default name.
        preprocessor: The student's data preprocessor.

    Raises:
        ValueError: For a setting that is missing or unknown, and see :func:`load_weights`.
    """
    cfg = dict(cfg)
    _check_settings(cfg, f'mentors[{position}]')
    name = cfg.get('name', cfg.get('zoo', f'mentor{position}'))
    if not isinstance(name, str) or 'loss' in name:
        raise ValueError(
            f'mentors[{position}].name={name!r} must be a string without "loss": MMEngine would '
            'add its statistics to the loss'
        )
    who = f'mentor {name!r}'
    if 'zoo' in cfg:
        published = look_up(cfg['zoo'], who)
        if published.weights is None and 'checkpoint' not in cfg:
            raise ValueError(
                f'{who}: zoo={cfg["zoo"]!r} has no published weights; give checkpoint (None for '
                'random weights)'
            )
        cfg = {'config': published.config, 'checkpoint': published.weights, **cfg}
    config = _whole_config(cfg['config'], who)
    network = _build_network(_model_config(config), config.get('default_scope'))
    if cfg['checkpoint'] is not None:
        load_weights(network, str(cfg['checkpoint']), who, cfg.get('trusted', False))
    adapters = {key: cfg[key] for key in ADAPTERS & set(cfg)}
    pose = hasattr(getattr(network, 'head', None), 'decoder')
    foreign = sorted(set(adapters) & (CLASS_ADAPTERS if pose else POSE_ADAPTERS))
    if foreign:
        raise ValueError(
            f'{who}: {", ".join(foreign)} is for {"classifiers" if pose else "pose networks"}, and '
            f'this is a {type(network).__name__}'
        )
    if pose:
        adapters.setdefault('keypoints', names_in_config(config))
    mentor = Mentor(name, network, preprocessor, **adapters)
    mentor.config = config
    return mentor


def _check_settings(cfg: dict, who: str) -> None:
    complete = 'config' in cfg and 'checkpoint' in cfg or 'zoo' in cfg and 'config' not in cfg
    if set(cfg) - SETTINGS or not complete:
        raise ValueError(
            f'{who} takes name and either zoo, or config and checkpoint (None for random weights), '
            f'also {", ".join(sorted(ADAPTERS))} and trusted; got {sorted(cfg)}'
        )


def _build_network(model: dict, scope: Optional[str]) -> nn.Module:
    # A mentor's backbone weights (init_cfg) would be fetched only to be overwritten.
    backbone = model.get('backbone', {})
    backbone.pop('init_cfg', None)
    if backbone.get('_scope_') == 'mmdet' and why_missing('mmdet') is not None:
        backbone['_scope_'] = 'mmpose'  # RTMPose's CSPNeXt, which MMPose has as well
    with DefaultScope.overwrite_default_scope(scope):  # None keeps the run's own
        return MMENGINE_MODELS.build(model)
