"""What a config says of a mentor; whatever is missing or wrong is said here."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

from torch import nn

from ..kinds import check_kinds
from .cheap import CHEAP, Cheap
from .checkpoint import load_weights
from .configs import build_network, located, nowhere, read_config
from .mentor import WholeConfig
from .zoo import look_up

NAMED = frozenset({'name', 'zoo', 'config', 'checkpoint'})
COMMON = NAMED | {'trusted', 'folder'}
KINDS = dict(
    name=str,
    zoo=str,
    config=Union[str, os.PathLike[str], Mapping[str, Any]],
    checkpoint=Union[str, os.PathLike[str], None],
    trusted=bool,
    folder=Optional[str],
)


@dataclass(frozen=True)
class MentorSettings:
    """A mentor's settings, closed: every other key is an error.

    ``dict(name=, zoo=NAME)`` takes config and weights from the model index of the library that has
    that name, ``dict(name=, config=, checkpoint=PATH | URL | None)`` takes them as given. With
    ``zoo``, a ``checkpoint`` stands in for the published one.

    Attributes:
        name: How logs call it.
        config: A path, ``library::path``, or the config itself: of a network, or of a classroom of
            this package, whose student the mentor then is.
        checkpoint: A path or URL; None for random weights.
        trusted: Whether the checkpoint may run code when it is read.
        own: Settings that only the task knows.
        cheap: How its network is run.
        folder: Where relative paths are looked for after the working directory: the folder of the
            classroom's config, which this package's tools set where it is needed.
    """

    name: str
    config: str | WholeConfig
    checkpoint: str | None
    trusted: bool = False
    own: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None
    cheap: Cheap = Cheap()

    @classmethod
    def of(
        cls,
        cfg: Mapping[str, Any],
        position: int,
        own: Collection[str] = (),
        foreign: Mapping[str, str] | None = None,
    ) -> MentorSettings:
        """Read a mentor's entry in a config.

        Args:
            cfg: The entry.
            position: Its place in the list, for errors and for a default name.
            own: Settings that the student's task knows; a mapping has the kinds of their values.
            foreign: Settings of other tasks, with the networks that they are for.

        Raises:
            TypeError: Where the entry is no dict, or a value of another kind.
            ValueError: For a setting that is missing, unknown, another task's, or excludes another.
        """
        who = f'mentors[{position}]'
        if not isinstance(cfg, Mapping):
            raise TypeError(f'{who} must be a dict, got {type(cfg).__name__}')
        name = cfg.get('name', cfg.get('zoo', f'mentor{position}'))
        check_kinds(dict(name=name), KINDS, f'{who}.')
        _check_keys(cfg, who, name, frozenset(own), foreign or {})
        kinds = own if isinstance(own, Mapping) else {}
        check_kinds(cfg, {**KINDS, **kinds}, f'mentor {name!r}: ')
        config, checkpoint = _sources(cfg, f'mentor {name!r}')
        if isinstance(config, os.PathLike):
            config = str(config)
        folder = cfg.get('folder')
        return cls(
            name,
            located(config, folder) if isinstance(config, str) else config,
            None if checkpoint is None else located(str(checkpoint), folder),
            cfg.get('trusted', False),
            {key: cfg[key] for key in own if key in cfg},
            folder,
            Cheap.of(cfg, f'mentor {name!r}'),
        )

    def build(self, alone: bool = False) -> tuple[nn.Module, WholeConfig]:
        """The network with its weights, and its config, read where it is a path.

        Args:
            alone: Whether this rank builds it for itself; else all ranks do, at once.

        Raises:
            FileNotFoundError: Where config or checkpoint is missing, with the places looked at.
            ImportError: Where the config needs what is not installed.
            TypeError: Where the config is none.
            ValueError: See :func:`read_config`, :func:`build_network`, :func:`load_weights`.
        """
        who = f'mentor {self.name!r}'
        config = read_config(self.config, who, self.folder)
        network = build_network(config, who)
        if self.checkpoint is not None:
            self._check_file(self.checkpoint, who)
            load_weights(network, self.checkpoint, who, self.trusted, alone)
        return network, config

    def _check_file(self, path: str, who: str) -> None:
        if '://' not in path and not Path(path).expanduser().exists():
            raise FileNotFoundError(f'{who}: checkpoint={nowhere(path, self.folder)}')


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
    takes = COMMON | CHEAP | own
    unknown = sorted(set(cfg) - takes)
    near = [difflib.get_close_matches(key, takes, n=1) for key in unknown]
    hints = [f'{key}: did you mean {hit[0]}?' for key, hit in zip(unknown, near) if hit]
    if unknown or not ('zoo' in cfg or {'config', 'checkpoint'} <= set(cfg)):
        raise ValueError(
            f'{who} takes name and either zoo, or config and checkpoint (None for random weights), '
            f'also {", ".join(sorted(takes - NAMED))}; got {sorted(cfg)}'
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
