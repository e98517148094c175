"""Closed settings of files that people write: what is unknown is refused, with the nearest name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

T = TypeVar('T')
NAME = re.compile(r'[\w.+=-]+')


def near(name: str, names: Collection[str]) -> str:
    """Words to end a message with: the nearest of the names, or all where none is near.

    >>> near('confg', ['config', 'options'])
    "did you mean 'config'?"
    """
    found = difflib.get_close_matches(name, names, n=1)
    return f'did you mean {found[0]!r}?' if found else f'choose from {", ".join(names)}'


def check_keys(where: str, given: object, known: Collection[str]) -> Mapping[str, object]:
    """The mapping, all of whose keys are known.

    Args:
        where: What a message begins with.
        given: As it was read.
        known: The keys that it may have.

    Raises:
        ValueError: Where it is no mapping, or has another key.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f'{where} must be a mapping with {", ".join(known)}; got {given!r}')
    for key in given:
        if key not in known:
            raise ValueError(f'{where}: unknown key {key!r}, {near(str(key), known)}')
    return given


def known(where: str, name: object, names: Collection[str]) -> str:
    """The name, which is one of the names.

    Raises:
        ValueError: Where it is not.
    """
    if name not in names:
        raise ValueError(f'{where}: there is no {name!r}, {near(str(name), names)}')
    return str(name)


def of_type(where: str, value: object, kind: type[T]) -> T:
    """The value, which is of the type.

    Raises:
        ValueError: Where it is not; a boolean is no number.
    """
    wanted: tuple[type, ...] = (int, float) if kind is float else (kind,)
    wrong_bool = isinstance(value, bool) and kind is not bool
    if not isinstance(value, wanted) or wrong_bool:
        raise ValueError(f'{where} must be a {kind.__name__}; got {value!r}')
    return value  # type: ignore[return-value]


def file_name(where: str, name: object) -> str:
    """The name, which can be a folder's.

    Raises:
        ValueError: Where it cannot.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or set(name) == {'.'}:
        raise ValueError(f'{where}: {name!r} names a folder: letters, digits and _ . + = - only')
    return name
