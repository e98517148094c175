"""A mentor's config: read from wherever it is, and refused in words where it is no network's."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope
from mmengine.utils import is_installed
from torch import nn

from ..registry import MODELS
from ..shipped import shipped
from .mentor import WholeConfig

SUFFIXES = ('.py', '.json', '.yaml', '.yml')
PACKAGE = __name__.split('.')[0]
# Where a config that trains another network by this one holds it, and what else tells such a one.
HOLDERS = ('student_cfg', 'student', 'architecture')
DISTILLS = (*HOLDERS, 'teacher_cfg', 'teacher', 'distill_cfg', 'distiller')
# What OpenMMLab's configs of before 2022 (MMPose 0.x, MMClassification 0.x) have; the first four
# are in any of them, the others in none of today's.
OLD_KEYS = ('data', 'lr_config', 'optimizer_config', 'checkpoint_config', 'data_cfg', 'channel_cfg')
OLD_MODELS = ('TopDown', 'AssociativeEmbedding', 'BottomUp')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def located(path: str, folder: str | None) -> str:
    """A file's path: as it is, or inside a folder, or among the shipped, where only that has it.

    Args:
        path: Of a file; a URL and ``library::path`` stay as they are.
        folder: Where to look after the working directory.
    """
    if '::' in path or '://' in path or Path(path).expanduser().exists():
        return path
    if folder is not None:
        inside = Path(folder).expanduser() / path
        if inside.exists():
            return str(inside.absolute())
    return shipped(path)


def nowhere(path: str, folder: str | None) -> str:
    """Says of a path that it does not exist, and where it was looked for."""
    if Path(path).expanduser().is_absolute():
        return f'{path!r} does not exist'
    places = [os.getcwd(), *([] if folder is None else [os.path.abspath(folder)])]
    return f'{path!r} does not exist, looked for in {" and in ".join(dict.fromkeys(places))}'


def read_config(config: object, who: str, folder: str | None = None) -> WholeConfig:
    """The config of a network, whole or only its model's.

    Of one of this package's classrooms it is the student's: so are a classroom's checkpoints.

    Args:
        config: A path, ``library::path``, or the config itself.
        who: Names the mentor in errors.
        folder: Where else a path has been looked for.

    Raises:
        FileNotFoundError: Naming the file that is missing: it, or one that it builds on.
        ImportError: Where the library is not installed.
        TypeError: Where it is no config.
        ValueError: Where it cannot be read, or is one of a distillation, or of OpenMMLab 0.x.
    """
    what = f'{who}: its config'
    if isinstance(config, str):
        what = f'{who}: config={config!r}'
        config = _of_library(config, what) if '::' in config else _of_file(config, who, folder)
    if not isinstance(config, (dict, Config)):
        raise TypeError(
            f'{who}: config must be a dict, a path or library::path, got {type(config).__name__}'
        )
    if not isinstance(config.get('model', config), (dict, Config)):
        raise TypeError(f'{what} has a model that is no dict: {config["model"]!r:.80}')
    try:
        _refuse_old(config, what)
        return _of_student(config, what)
    except ImportError as error:  # of a type in a pure Python config
        raise ImportError(f'{what} needs what cannot be imported: {error}') from error


def _of_file(path: str, who: str, folder: str | None) -> Config:
    what, file = f'{who}: config={path!r}', Path(path).expanduser()
    if file.is_dir():
        raise FileNotFoundError(f'{what} is a folder, not a config file')
    if not file.is_file():
        raise FileNotFoundError(f'{who}: config={nowhere(path, folder)}')
    if file.suffix not in SUFFIXES:
        raise ValueError(
            f'{what} is no config ({", ".join(SUFFIXES)}); a file of weights is a checkpoint='
        )
    try:
        return Config.fromfile(str(file.absolute()))
    except Exception as error:  # a config is a program: it may fail in any way
        raise _told(error, what) from error


def _of_library(config: str, what: str) -> Config:
    from mmengine.hub import get_config

    library, _, path = config.partition('::')
    if not is_installed(library):  # get_config would install it
        raise ImportError(f'{what}: the library {library} is not installed')
    try:
        return get_config(config)
    except Exception as error:
        if (_missing(error) or '').endswith(path):
            raise FileNotFoundError(
                f"{what} does not exist among {library}'s installed configs"
            ) from error
        raise _told(error, what) from error


def _told(error: Exception, what: str) -> Exception:
    """An error of reading a config, that says whose and which file is missing, if one is."""
    missing = _missing(error)
    if missing is not None:
        return FileNotFoundError(
            f'{what} is there, but a file that it builds on (_base_) or reads is not: '
            f'{missing} does not exist'
        )
    kind = ImportError if isinstance(error, ImportError) else ValueError
    return kind(f'{what} cannot be read: {type(error).__name__}: {error}')


def _missing(error: Exception) -> str | None:
    """The path of the file that an error says is missing; None where it says another thing."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return os.path.normpath(error.filename)
    # What MMEngine says of a base, in a config of either style.
    named = re.match(r'file "(.+)" does not exist|(.+\.py) not found! It means', str(error))
    return os.path.normpath(named[1] or named[2]) if named else None


def _refuse_old(config: WholeConfig, what: str) -> None:
    model = config.get('model', config)
    whole = not any(loader in config for loader in LOADERS)
    found = [key for key in OLD_KEYS if whole and key in config]
    decisive = found and found[0] in OLD_KEYS[:4]
    if 'keypoint_head' in model:
        found.append('model.keypoint_head')
    if model.get('type') in OLD_MODELS:
        found.append(f'model.type={model["type"]!r}')
    if decisive or (found and found[-1].startswith('model.')):
        raise ValueError(
            f'{what} is of MMPose 0.x or MMClassification 0.x (it has {", ".join(found)}): convert '
            'it: give the config that MMPose 1.x or MMPretrain has of the same network '
            '(classroomkd_mm mentors search NAME), or write its model and data anew in their form; '
            'the checkpoint can stay, where the names of its weights fit'
        )


def _of_student(config: WholeConfig, what: str) -> WholeConfig:
    """The config of a classroom's student; any other as it is.

    Raises:
        ValueError: For another distillation's.
    """
    model = config.get('model', config)
    if is_ours(model.get('type')) and 'student' in model:
        MMLogger.get_current_instance().info(f'{what} is of a classroom: its student is the mentor')
        student = dict(copy.deepcopy(model['student']))
        if model.get('data_preprocessor') is not None:
            student.setdefault('data_preprocessor', model['data_preprocessor'])
        if 'model' not in config:
            return student
        config = copy.deepcopy(config)
        config['model'] = student
        return config
    algorithm = config.get('algorithm')  # MMRazor 0.x
    place, model = ('algorithm', algorithm) if isinstance(algorithm, dict) else ('model', model)
    if any(key in model for key in DISTILLS):
        raise ValueError(
            f'{what} is of a distillation ({_name(model.get("type"))}), not of a network: give its '
            f"student's config{_held(model, place)}"
        )
    return config


def is_ours(kind: object) -> bool:
    """Whether a model's type, a class or its name, is one of this package's or derived from one."""
    if isinstance(kind, str):
        kind = MODELS.get(kind)
    return any(c.__module__.split('.')[0] == PACKAGE for c in getattr(kind, '__mro__', ()))


def _held(model: Mapping[str, Any], place: str) -> str:
    """Where a distillation's config says which network its student is."""
    for key in HOLDERS:
        if key in model:
            held = model[key]
            held = held.get('cfg_path', held) if isinstance(held, Mapping) else held
            named = f'names: {held!r}' if isinstance(held, str) else 'holds'
            return f', which {place}.{key} {named}'
    return ''


def _name(kind: object) -> str:
    return str(getattr(kind, '__name__', kind))


def build_network(config: WholeConfig, who: str) -> nn.Module:
    """The network of a config, with random weights.

    Args:
        config: As :func:`read_config` gives it.
        who: Names the mentor in errors.

    Raises:
        ImportError: Where it needs what cannot be imported.
        ValueError: Where it has no model, or one that cannot be built.
    """
    kind = config.get('model', config).get('type')
    if kind is None:
        raise ValueError(
            f'{who}: its config has no model, nor a type of its own: {sorted(map(str, config))}'
        )
    with DefaultScope.overwrite_default_scope(_scope(config, kind)):
        return built(model_config(config), who)


def built(model: Mapping[str, Any], who: str) -> nn.Module:
    """The network of a model's config, in the present scope; a library's errors say whose it is.

    Args:
        model: The config.
        who: Names the network in errors.

    Raises:
        ImportError: Where it needs what cannot be imported.
        ValueError: Where it cannot be built.
    """
    try:
        return MMENGINE_MODELS.build(model)
    except Exception as error:  # of any class that the config names
        kept = ImportError if isinstance(error, ImportError) else ValueError
        kind = _name(model.get('type'))
        raise kept(f'{who}: its model {kind} cannot be built: {error}') from error


def model_config(config: WholeConfig) -> dict[str, Any]:
    """The model in a whole config, or the config if it is a model's; plain, its types imported."""
    model = _plain(config.get('model', config))
    if config.get('data_preprocessor') and 'model' in config:  # MMPretrain's, as its runner does
        model.setdefault('data_preprocessor', _plain(config['data_preprocessor']))
    # A mentor's backbone weights (init_cfg) would be fetched only to be overwritten.
    if isinstance(model.get('backbone'), dict):
        model['backbone'].pop('init_cfg', None)
    return model


def _plain(value: Any) -> Any:
    if isinstance(value, (Mapping, Config)):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(each) for each in value)
    return value.build() if isinstance(value, (LazyObject, LazyAttr)) else value


def _scope(config: WholeConfig, kind: object) -> str | None:
    """Where a config's names are looked up; None keeps the run's own scope.

    A config in pure Python need not say: its model's type is a class, of a library.
    """
    root = getattr(kind, '__module__', '').split('.')[0]
    return config.get('default_scope') or (root if root in MMENGINE_MODELS.children else None)
