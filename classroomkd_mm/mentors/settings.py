"""What a config says of a mentor; whatever is missing or wrong is said here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope
from torch import nn

from .checkpoint import load_weights
from .mentor import WholeConfig
from .zoo import look_up

COMMON = frozenset({'name', 'zoo', 'config', 'checkpoint', 'trusted'})


@dataclass(frozen=True)
class MentorSettings:
    """A mentor's settings, closed: every other key is an error.

    ``dict(name=, zoo=NAME)`` takes config and weights from the model index of the library that has
    that name, ``dict(name=, config=, checkpoint=PATH | URL | None)`` takes them as given. With
    ``zoo``, a ``checkpoint`` stands in for the published one.

    Attributes:
        name: How logs call it.
        config: A path, ``library::path``, or the config itself.
        checkpoint: A path or URL; None for random weights.
        trusted: Whether the checkpoint may run code when it is read.
        own: Settings that only the task knows.
    """

    name: str
    config: str | WholeConfig
    checkpoint: str | None
    trusted: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        cfg: Mapping[str, Any],
        position: int,
        own: frozenset[str] = frozenset(),
        foreign: Mapping[str, str] | None = None,
    ) -> MentorSettings:
        """Read a mentor's entry in a config.

        Args:
            cfg: The entry.
            position: Its place in the list, for errors and for a default name.
            own: Settings that the student's task knows.
            foreign: Settings of other tasks, with the networks that they are for.

        Raises:
            TypeError: Where the entry is no dict.
            ValueError: For a setting that is missing, unknown, another task's, or excludes another.
        """
        who = f'mentors[{position}]'
        if not isinstance(cfg, Mapping):
            raise TypeError(f'{who} must be a dict, got {type(cfg).__name__}')
        name = cfg.get('name', cfg.get('zoo', f'mentor{position}'))
        if not isinstance(name, str):
            raise ValueError(f'{who}.name={name!r} must be a string')
        _check_keys(cfg, who, name, own, foreign or {})
        config, checkpoint = _sources(cfg, f'mentor {name!r}')
        return cls(
            name,
            config,
            None if checkpoint is None else str(checkpoint),
            bool(cfg.get('trusted', False)),
            {key: cfg[key] for key in own & set(cfg)},
        )

    def build(self) -> tuple[nn.Module, WholeConfig]:
        """The network with its weights, and its config, read where it is a path.

        Raises:
            FileNotFoundError: Where config or checkpoint is missing.
            TypeError: Where the config is none.
            ValueError: See :func:`load_weights`.
        """
        who = f'mentor {self.name!r}'
        config = _whole_config(self.config, who)
        network = _build_network(_model_config(config), config.get('default_scope'))
        if self.checkpoint is not None:
            load_weights(network, self.checkpoint, who, self.trusted)
        return network, config


def _check_keys(
    cfg: Mapping[str, Any],
    who: str,
    name: str,
    own: frozenset[str],
    foreign: Mapping[str, str],
) -> None:
    alien = sorted(set(cfg) & set(foreign) - own)
    if alien:
        raise ValueError(
            f'mentor {name!r}: {", ".join(alien)} is for {foreign[alien[0]]}, and this is a mentor '
            'of another task'
        )
    unknown = sorted(set(cfg) - COMMON - own)
    near = [difflib.get_close_matches(key, COMMON | own, n=1) for key in unknown]
    hints = [f'{key}: did you mean {hit[0]}?' for key, hit in zip(unknown, near) if hit]
    if unknown or not ('zoo' in cfg or {'config', 'checkpoint'} <= set(cfg)):
        raise ValueError(
            f'{who} takes name and either zoo, or config and checkpoint (None for random weights), '
            f'also {", ".join(sorted(own | {"trusted"}))}; got {sorted(cfg)}'
            + ''.join(f'; {hint}' for hint in hints)
        )
    if {'zoo', 'config'} <= set(cfg):
        raise ValueError(
            f'{who} has zoo={cfg["zoo"]!r} and config={cfg["config"]!r}: they exclude each other; '
            'zoo is the name of both config and weights (checkpoint= may stand in for the latter)'
        )


def _sources(cfg: Mapping[str, Any], who: str) -> tuple[Any, Any]:
    """Config and checkpoint, looked up where they go by a zoo name."""
    if 'zoo' not in cfg:
        return cfg['config'], cfg['checkpoint']
    published = look_up(cfg['zoo'], who)
    if published.weights is None and 'checkpoint' not in cfg:
        raise ValueError(
            f'{who}: zoo={cfg["zoo"]!r} has no published weights; give checkpoint (None for '
            'random weights)'
        )
    return published.config, cfg.get('checkpoint', published.weights)


def _whole_config(config: object, who: str) -> WholeConfig:
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


def _model_config(config: WholeConfig) -> dict[str, Any]:
    """The model in a whole config, or the config if it is a model's."""
    model = Config(dict(model=config.get('model', config))).model.to_dict()
    if 'data_preprocessor' in config and 'model' in config:  # MMPretrain's, as its runner does
        model.setdefault('data_preprocessor', config['data_preprocessor'])
    return model


def _build_network(model: dict[str, Any], scope: str | None) -> nn.Module:
    # A mentor's backbone weights (init_cfg) would be fetched only to be overwritten.
    model.get('backbone', {}).pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(scope):  # None keeps the run's own
        return MMENGINE_MODELS.build(model)
