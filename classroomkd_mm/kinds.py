"""Of which kind a setting's value is, as annotations say it; what is of another is refused."""

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from types import FunctionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

KINDS: dict[object, str] = {
    float: 'a finite number',
    int: 'a whole number',
    bool: 'True or False',
    str: 'a string',
}


class WrongKind(TypeError, ValueError):
    """A value that its setting cannot have: of another type, or a number that is none."""


def check_settings(kind: type, given: Mapping[str, object], where: str) -> None:
    """Refuse settings that a class does not know, or whose values are of another kind.

    Known are the parameters of its ``__init__``; where that hands ``**settings`` on, also those of
    the class that it derives from. Numbers, words and sequences of them are compared with the
    parameter's annotation; other annotations are not looked at.

    Args:
        kind: The class.
        given: Its settings.
        where: Names the part in errors.

    Raises:
        TypeError: Naming the setting, or the nearest known one.

    Example:
        >>> class Rule:
        ...     def __init__(self, alpha: float = 1.0) -> None: ...
        >>> check_settings(Rule, dict(alpha='2'), 'mentoring')
        Traceback (most recent call last):
        classroomkd_mm.kinds.WrongKind: mentoring.alpha='2' must be a finite number
    """
    check_names(kind, given, where)
    known, _ = _parameters(kind)
    for name, (_, parameter) in known.items():
        if parameter.default is parameter.empty and name not in given:
            raise TypeError(f'{where}={kind.__name__} needs {name}: set {where}.{name}')
    hints = {name: _hints(init).get(name, Any) for name, (init, _) in known.items()}
    check_kinds(given, hints, f'{where}.')


def check_names(kind: type, given: Iterable[str], where: str) -> None:
    """Refuse settings that a class does not know, see :func:`check_settings`.

    Args:
        kind: The class.
        given: Their names.
        where: Names the part in errors.

    Raises:
        TypeError: Naming the nearest known one.
    """
    known, others = _parameters(kind)
    for name in given:
        if name not in known and not others:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean {near[0]}?' if near else f'it takes {sorted(known) or "nothing"}'
            raise TypeError(f'{where}.{name} is no setting of {kind.__name__}; {hint}')


class Closed:
    """What configs name: a setting that it does not know is refused with the nearest one."""

    def __new__(cls, *args: object, **settings: object) -> 'Closed':
        """As any object's, once the names of its settings are known.

        Raises:
            TypeError: See :func:`check_names`.
        """
        check_names(cls, settings, cls.__name__)
        return super().__new__(cls)


def check_kinds(given: Mapping[str, object], kinds: Mapping[str, Any], where: str) -> None:
    """Refuse values that are not of their settings' kinds.

    Args:
        given: Values by the names of their settings.
        kinds: Annotations by the same names; what is not among them is not looked at.
        where: What stands before a setting's name in errors.

    Raises:
        WrongKind: Naming the setting.
    """
    for name, value in given.items():
        if name in kinds and not _fits(value, kinds[name]):
            raise WrongKind(f'{where}{name}={value!r} must be {_told(kinds[name])}')


def refuse_negative(where: str, **values: Union[float, Sequence[float], None]) -> None:
    """Refuse settings below zero.

    Args:
        where: Names the part in errors.
        **values: Numbers by the names of their settings; None is none.

    Raises:
        ValueError: Naming the setting.
    """
    for name, value in values.items():
        if value is not None and np.any(np.less(value, 0)):
            raise ValueError(f'{where}.{name}={value} must not be negative')


def _parameters(
    kind: type,
) -> tuple[dict[str, tuple[FunctionType, inspect.Parameter]], bool]:
    """Each parameter with the ``__init__`` that has it; whether any other is taken."""
    found: dict[str, tuple[FunctionType, inspect.Parameter]] = {}
    others = False
    for base in kind.__mro__:
        init = base.__dict__.get('__init__')
        if not isinstance(init, FunctionType):
            continue
        parameters = list(inspect.signature(init).parameters.values())[1:]
        for each in parameters:
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                found.setdefault(each.name, (init, each))
        others = any(each.kind is each.VAR_KEYWORD for each in parameters)
        if not others:
            break
    return found, others


def _hints(init: FunctionType) -> dict[str, Any]:
    """Annotations of named parameters: what ``**settings`` are may be known to a checker alone."""
    spec = inspect.getfullargspec(init)
    named = {*spec.args, *spec.kwonlyargs}
    annotations = {key: hint for key, hint in init.__annotations__.items() if key in named}
    try:
        return get_type_hints(type('Named', (), {'__annotations__': annotations}), init.__globals__)
    except NameError:  # imported for a checker alone, in an outsider's module
        return {}


def _fits(value: object, hint: object) -> bool:
    if get_origin(hint) is Union:
        return any(_fits(value, each) for each in get_args(hint))
    if get_origin(hint) is Mapping:
        return isinstance(value, Mapping)
    if get_origin(hint) is Sequence:
        value = value.tolist() if isinstance(value, np.ndarray) else value
        kinds = get_args(hint)[:1]
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        return all(_fits(each, kind) for each in value for kind in kinds)
    if hint is type(None):
        return value is None
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return isinstance(value, kind) and not isinstance(value, bool) and isfinite(value)
    return type(value) is hint if hint in (bool, str) else True


def _told(hint: object) -> str:
    if get_origin(hint) is Union:
        return ' or '.join(_told(each) for each in get_args(hint))
    if get_origin(hint) is Mapping:
        return 'a dict'
    if get_origin(hint) is not None:
        return f'a list, each {" or ".join(map(_told, get_args(hint)))}'
    return 'None' if hint is type(None) else KINDS.get(hint, str(hint))
