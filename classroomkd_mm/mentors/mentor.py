"""A mentor: a frozen stock network that sees the student's inputs in its own convention."""

from typing import Any, List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ..functional import resample_heatmaps
from .checkpoint import load_weights
from .zoo import look_up

ASPECT_TOLERANCE = 0.01


def _norm(preprocessor: nn.Module) -> Tuple[Tensor, Tensor, bool]:
    """Mean and std, in the network's channel order, and whether that order is RGB."""
    mean = getattr(preprocessor, 'mean', torch.zeros(1)).detach().flatten().float()
    std = getattr(preprocessor, 'std', torch.ones(1)).detach().flatten().float()
    # MMPretrain's preprocessor has to_rgb, MMEngine's (and MMPose's) has _channel_conversion.
    rgb = getattr(preprocessor, 'to_rgb', getattr(preprocessor, '_channel_conversion', False))
    return mean, std, bool(rgb)


class Mentor:
    """A frozen network, outside the module tree of the student.

    Args:
        name: How logs call it.
        network: A stock model; put in eval mode, its parameters frozen.
        preprocessor: The student's data preprocessor, whose output the mentor is shown.
        classes: Names of the mentor's classes, where they are not the student's.

    Attributes:
        adaptations: What is adapted between it and the student, in words.
        has_norm: Whether its data preprocessor says what normalisation it expects.
        class_index: Where each of the student's classes is among the mentor's.
        scale: The student's input pixels per pixel of this mentor's heatmaps (x, y).
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        preprocessor: nn.Module,
        classes: Optional[Sequence[str]] = None,
    ) -> None:
        self.name = name
        self.classes = classes
        self.class_index: Optional[Tensor] = None
        self.network = network.eval().requires_grad_(False)
        self.scale = (1.0, 1.0)
        self.input_size: Optional[Tuple[Tuple[int, int], Tuple[float, float]]] = None
        mean_s, std_s, rgb_s = _norm(preprocessor)
        mean_m, std_m, rgb_m = _norm(network.data_preprocessor)
        self.has_norm = hasattr(network.data_preprocessor, 'mean')
        self.flip_channels = rgb_s != rgb_m
        if self.flip_channels:
            mean_s, std_s = mean_s.flip(0), std_s.flip(0)
        self.gain = (std_s / std_m).view(-1, 1, 1)
        self.bias = ((mean_s - mean_m) / std_m).view(-1, 1, 1)
        self.same_norm = bool((self.gain == 1).all() and (self.bias == 0).all())
        self.adaptations: List[str] = []
        if self.flip_channels:
            self.adaptations.append('channels to RGB' if rgb_m else 'channels to BGR')
        if not self.same_norm:
            self.adaptations.append('mean and std')

    def resize_inputs(self, student: Tuple[int, int], own: Tuple[int, int]) -> None:
        """Remember to resize inputs of ``student`` (w, h) to the mentor's ``own`` size.

        Raises:
            ValueError: Where the aspect ratios differ.
        """
        ratio = (student[0] / own[0], student[1] / own[1])
        if abs(ratio[0] / ratio[1] - 1) > ASPECT_TOLERANCE:
            raise ValueError(
                f'mentor {self.name!r} has input size {own[0]}x{own[1]}, the student '
                f'{student[0]}x{student[1]}: the aspect ratios cannot be mapped'
            )
        if student != own:
            self.input_size = ((own[1], own[0]), ratio)
            self.adaptations.append(f'input to {own[0]}x{own[1]}')

    def apply(self, fn: Any) -> None:
        """Move or cast with the student (``nn.Module._apply``)."""
        self.network._apply(fn)
        self.gain, self.bias = fn(self.gain), fn(self.bias)
        if self.class_index is not None:
            self.class_index = fn(self.class_index)

    def adapt(self, inputs: Tensor) -> Tensor:
        """The student's inputs ``(N, 3, H, W)`` in this mentor's convention."""
        if self.flip_channels:
            inputs = inputs.flip(1)
        if not self.same_norm:
            inputs = inputs * self.gain + self.bias
        if self.input_size is not None:
            size, ratio = self.input_size
            inputs = resample_heatmaps(inputs, (1.0, 1.0), size, ratio)
        return inputs

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tuple[Tensor, Tensor]:
        """Outputs in float32 and whether all of them are finite (a bool tensor, no sync).

        Outputs that are not finite are replaced by 0: the caller mutes the mentor.
        """
        output = self.network(self.adapt(inputs), None, mode='tensor').float()
        # One pass; in float64 no sum of finite float32 overflows.
        healthy = output.sum(dtype=torch.float64).isfinite()
        return torch.where(healthy, output, 0), healthy

    @torch.no_grad()
    def predict(self, inputs: Tensor, data_samples: Sequence[Any]) -> List[Any]:
        """The network's own predictions for the student's inputs, as ``mode='predict'`` gives.

        The crop in ``data_samples`` is stated at the student's input size; the mentor's
        coordinates are stated at its own, so the size is swapped while it predicts.
        """
        if self.input_size is None:
            return self.network(self.adapt(inputs), data_samples, mode='predict')
        own = self.input_size[0][::-1]
        original = [sample.metainfo['input_size'] for sample in data_samples]
        for sample in data_samples:
            sample.set_metainfo(dict(input_size=own))
        predictions = self.network(self.adapt(inputs), data_samples, mode='predict')
        for sample, size in zip(data_samples, original):
            sample.set_metainfo(dict(input_size=size))
        return predictions


class Classroom(List[Mentor]):
    """The mentors. A plain list, so that no optimizer, wrapper or checkpoint sees them."""

    def __deepcopy__(self, memo: dict) -> 'Classroom':
        """Copies of the student (EMA) share the mentors."""
        return self


def _model_config(config: Any, who: str) -> Tuple[dict, Optional[str]]:
    """A model config and its default scope, from a dict, a path or ``library::path``."""
    if isinstance(config, str) and '::' in config:
        from mmengine.hub import get_config

        config = get_config(config)
    elif isinstance(config, str):
        config = Config.fromfile(config)
    if not isinstance(config, (dict, Config)):
        raise TypeError(
            f'{who}: config must be a dict, a path or library::path, got {type(config).__name__}'
        )
    model = Config(dict(model=config.get('model', config))).model.to_dict()
    if 'data_preprocessor' in config and 'model' in config:  # MMPretrain's, as its runner does
        model.setdefault('data_preprocessor', config['data_preprocessor'])
    return model, config.get('default_scope', None)


SETTINGS = {'name', 'zoo', 'config', 'checkpoint', 'classes', 'trusted'}


def build_mentor(cfg: dict, position: int, preprocessor: nn.Module) -> Mentor:
    """Build a mentor.

    ``dict(name=..., zoo=NAME)`` takes config and weights from the model index of the library that
    has that name, ``dict(name=..., config=..., checkpoint=PATH | URL | None)`` takes them as given.
    A classifier with another class list also takes ``classes``, the names of its classes in order;
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
    who = f'mentor {name!r}'
    if 'zoo' in cfg:
        published = look_up(cfg['zoo'], who)
        cfg = {'config': published.config, 'checkpoint': published.weights, **cfg}
    model, scope = _model_config(cfg['config'], who)
    network = _build_network(model, scope)
    if cfg['checkpoint'] is not None:
        load_weights(network, str(cfg['checkpoint']), who, cfg.get('trusted', False))
    return Mentor(name, network, preprocessor, cfg.get('classes'))


def _check_settings(cfg: dict, who: str) -> None:
    complete = 'config' in cfg and 'checkpoint' in cfg or 'zoo' in cfg and 'config' not in cfg
    if set(cfg) - SETTINGS or not complete:
        raise ValueError(
            f'{who} takes name and either zoo, or config and checkpoint (None for random weights), '
            f'also classes and trusted; got {sorted(cfg)}'
        )


def _build_network(model: dict, scope: Optional[str]) -> nn.Module:
    # A mentor's backbone weights (init_cfg) would be fetched only to be overwritten.
    model.get('backbone', {}).pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(scope):  # None keeps the run's own
        return MMENGINE_MODELS.build(model)
