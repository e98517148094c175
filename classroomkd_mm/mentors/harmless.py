"""What a checkpoint may hold beside tensors without being asked for trust: read, never run.

torch's reader without pickle's powers (``weights_only``) calls what is on its list of safe names,
with whatever arguments a file says, and puts whatever state it says into their instances. So no
real class but the simplest may stand there: ``HistoryBuffer`` would let a file write into the
class, a numpy dtype has flags that make numpy take numbers for pointers, and ``getattr``, which log
histories are pickled with, reaches ``eval`` in four steps. Under each harmless name stands a small
class of this module instead, which keeps what it is given and does nothing. It also needs neither
the library nor the version that wrote the file: numpy 1 and 2 are spelt alike here.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Union

import numpy as np
import torch

Safe = Union[Callable[..., object], tuple[Callable[..., object], str]]  # as torch lists them
CAN_ALLOW = hasattr(torch.serialization, 'safe_globals')  # since torch 2.5


class Kept:
    """A value of a class that is not made: its arguments as ``args``, its state as attributes."""

    args: tuple[object, ...]

    def __new__(cls, *args: object) -> Kept:
        """Keep the arguments."""
        self = super().__new__(cls)
        self.args = args
        return self

    def __init__(self, *args: object) -> None:
        """Nothing is left to do."""

    def __setstate__(self, state: object) -> None:
        """Keep the state."""
        self.__dict__.update(state if isinstance(state, dict) else dict(state=state))


class _Mapping:
    """Read as an OrderedDict, the one kind of dict that torch fills and lets have attributes."""

    def __new__(cls, *args: object) -> OrderedDict:  # type: ignore[misc]
        return OrderedDict(args[-1] if args and isinstance(args[-1], dict) else {})


class _List:
    """Read as a list, for the same reason."""

    def __new__(cls, *args: object) -> list:  # type: ignore[misc]
        return list(args[0]) if args and isinstance(args[0], (list, tuple)) else []


class _EmptyBytes:
    """What protocol 2 makes no bytes at all with."""

    def __new__(cls, *args: object) -> bytes:  # type: ignore[misc]
        return b''


class _Dtype:
    """A dtype of plain numbers or text; of its state, the byte order alone is believed."""

    order = '='

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r'O8?|[biufcSUmM]\d+', code):
            raise pickle.UnpicklingError(f'Unsupported global: GLOBAL numpy.dtype({code!r})')
        self.code = code

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if state[1] not in ('<', '>', '=', '|'):
            raise pickle.UnpicklingError(f'a dtype has no byte order {state[1]!r}')
        self.order = str(state[1])

    def read(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.dtype(self.order + self.code)).copy()


class _Array:
    """An array on its way; of objects, their list."""

    value: object = None

    def __init__(self, *_: object) -> None:
        """The type and shape that come first are none yet."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, by_column, data = state
        if isinstance(data, bytes):
            data = dtype.read(data).reshape(shape, order='F' if by_column else 'C')
        self.value = data


class _Scalar:
    """Read as a numpy number."""

    def __new__(cls, dtype: _Dtype, data: bytes) -> np.generic:  # type: ignore[misc]
        (value,) = dtype.read(data)
        return value


class _Method(Kept):
    """``getattr``, as MMEngine's log histories pickle their statistics: a name, no method."""

    def __init__(self, owner: object, name: str) -> None:
        if owner is not STAND_INS.get(HISTORY) or not re.fullmatch('[a-z][a-z0-9_]*', name):
            raise pickle.UnpicklingError(
                f'Unsupported global: GLOBAL builtins.getattr (of {owner!r}, {name!r})'
            )


HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
PATHS = [f'{pure}{system}Path' for pure in ('', 'Pure') for system in ('', 'Posix', 'Windows')]
# What stands for what; under each name that one of the versions gives it.
MEANT: dict[type, tuple[str, ...]] = {
    Kept: (
        HISTORY,
        'mmengine.config.config.Config',
        'argparse.Namespace',
        'types.SimpleNamespace',
        *(f'pathlib.{name}' for name in PATHS if name != 'PurePath'),
        *(f'pathlib._local.{name}' for name in PATHS if name != 'PurePath'),  # Python 3.13's
        *(f'datetime.{name}' for name in ('date', 'time', 'datetime', 'timedelta', 'timezone')),
        # As values (type=int of a command line) and as defaultdict's factories.
        *(f'builtins.{name}' for name in ('bool', 'int', 'float', 'str', 'list', 'dict', 'tuple')),
        *(f'builtins.{name}' for name in ('object', 'frozenset', 'slice', 'range')),
        'decimal.Decimal',
        'fractions.Fraction',
        'uuid.UUID',
        'uuid.SafeUUID',
        'torch.torch_version.TorchVersion',
    ),
    _Mapping: (
        'collections.defaultdict',
        'mmengine.config.config.ConfigDict',
        'mmcv.utils.config.ConfigDict',
        'addict.addict.Dict',
        'easydict.EasyDict',
        'yacs.config.CfgNode',
    ),
    _List: ('collections.deque',),
    _EmptyBytes: ('builtins.bytes',),
    _Method: ('builtins.getattr',),
    _Dtype: ('numpy.dtype',),
    _Array: (
        'numpy.ndarray',
        'numpy.core.multiarray._reconstruct',
        'numpy._core.multiarray._reconstruct',
    ),
    _Scalar: ('numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar'),
}


def _stand_in(path: str, kind: type) -> type:
    """A class of its own for a name: torch knows what it may make by its module and name."""
    module, _, name = path.rpartition('.')
    return type(name, (kind,), dict(__module__=module, __qualname__=name, __doc__=kind.__doc__))


STAND_INS = {path: _stand_in(path, kind) for kind, paths in MEANT.items() for path in paths}


@contextmanager
def harmless_allowed() -> Iterator[None]:
    """Let torch read the harmless, and leave the process's list of what is safe as it was.

    What a user put on the list counts as well, but not under a name that is read harmlessly here.
    """
    if not CAN_ALLOW:
        yield
        return
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        torch.serialization.add_safe_globals([s for s in before if _name(s) not in STAND_INS])
        torch.serialization.add_safe_globals(list(STAND_INS.values()))
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _name(safe: Safe) -> str:
    return safe[1] if isinstance(safe, tuple) else f'{safe.__module__}.{safe.__qualname__}'


def settled(value: object) -> object:
    """A file's content with its arrays in their places: in dicts, lists, tuples, values kept."""
    return _settled(value, set())


def _settled(value: object, seen: set[int]) -> object:
    if isinstance(value, _Array):
        return _settled(value.value, seen)
    if type(value) is tuple:
        return tuple(_settled(each, seen) for each in value)
    holder = vars(value) if isinstance(value, Kept) else value
    if id(holder) in seen or not isinstance(holder, (dict, list)):
        return value
    seen.add(id(holder))
    for key, each in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
        holder[key] = _settled(each, seen)
    return value
