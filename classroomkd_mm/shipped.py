"""This package's configs from anywhere: ``classroomkd_mm::PATH``, as ``mmpose::PATH`` is MMPose's.

They lie in the package's ``.mim`` with the tools and the model index, where MMEngine and MIM look
in every package of OpenMMLab's. In a checkout ``.mim`` holds links to the folders at its root.
"""

import difflib
from functools import cache
from pathlib import Path
from typing import Optional

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import get_installed_path, is_installed

PACKAGE = __name__.split('.')[0]
MIM = Path(__file__).parent / '.mim'

# HACK: MMEngine reads LIBRARY::PATH of the libraries in this table alone, and has no way for a
# package to enter itself.
MODULE2PACKAGE.setdefault(PACKAGE, PACKAGE)
_path_and_scope = Config._get_cfg_path


def path_and_scope(config: str, filename: str) -> tuple[str, Optional[str]]:
    """Where a base lies, and the scope of the names in it: MMEngine's own answer but for ours.

    Args:
        config: A base as a config names it.
        filename: The config's file.
    """
    if config.startswith(f'{PACKAGE}::'):
        return config_file(config), None
    return _installed(config) if '::' in config else _path_and_scope(config, filename)


@cache
def _installed(config: str) -> tuple[str, Optional[str]]:
    """A library's config by ``library::path``.

    MMEngine reads all of the library's model index each time before it looks where the file is.
    """
    library, _, path = config.partition('::')
    package = MODULE2PACKAGE.get(library, '')
    if package and is_installed(package):
        file = Path(get_installed_path(package), '.mim/configs', path)
        if file.is_file():
            return str(file), library
    return _path_and_scope(config, '')


# HACK: MMEngine looks all names of a library's config up in that library. Those in this package's
# configs are MMPose's or MMPretrain's, so they must stay without a scope.
Config._get_cfg_path = staticmethod(path_and_scope)


def shipped(path: str) -> str:
    """The package's own file where only it has the path, e.g. ``configs/demo/alone.py``.

    Args:
        path: Of a file; one that exists, or is none of the package's, stays as it is.
    """
    own = MIM / path
    return path if Path(path).expanduser().exists() or not own.is_file() else str(own)


def tool(name: str) -> str:
    """One of the package's tools, a checkout's own in its root; MMPose's root has others."""
    here = Path('tools', name)
    own = here.is_file() and PACKAGE in here.read_text()
    return str(here if own else MIM / 'tools' / name)


def config_file(config: str) -> str:
    """The file of a config, for ``Config.fromfile``, which knows no ``library::path``.

    Args:
        config: A path, ``library::path``, or a path among the package's own.

    Raises:
        FileNotFoundError: Where the library has no such config, with the nearest of this package's.
        ImportError: Where the library is not installed.
        ValueError: For a library that MMEngine does not know.
    """
    library, colons, path = config.partition('::')
    if not colons:
        return shipped(config)
    if library == PACKAGE:
        return _own(path)
    if library not in MODULE2PACKAGE:
        raise ValueError(f'config={config!r}: {library} is none of the libraries with configs')
    return Config._get_cfg_path(config, '')[0]


def names() -> list[str]:
    """The package's configs that can be run, as ``classroomkd_mm::`` takes them."""
    root = MIM / 'configs'
    found = (str(path.relative_to(root)) for path in root.glob('*/**/*.py'))
    return sorted(name for name in found if not name.startswith(('_base_/', 'study/')))


def _own(path: str) -> str:
    file = MIM / 'configs' / path
    if not file.is_file():
        near = difflib.get_close_matches(path, names(), n=3, cutoff=0.4)
        hint = f'; did you mean {", ".join(near)}?' if near else ''
        raise FileNotFoundError(f'{PACKAGE}::{path} is none of the configs in {file.parent}{hint}')
    return str(file)
