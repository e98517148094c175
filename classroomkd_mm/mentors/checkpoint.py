"""Loading a mentor's weights: safely, and all of them or none."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Optional, Protocol, Union, cast

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn

from .download import fetch

SHOWN_KEYS = 5
PREFIXES = ('module.', 'student.', 'architecture.', 'teacher.', 'model.', 'backbone.')
Safe = Union[Callable[..., object], tuple[Callable[..., object], str]]  # as torch lists them


def _rebuilder(value: object) -> Safe:
    """What pickle makes a numpy value with; numpy 2 has it elsewhere than numpy 1."""
    return cast(Safe, value.__reduce__()[0])


# What checkpoints of MMEngine's runner hold beside tensors: log histories, of numpy values. Their
# methods are pickled as `getattr`; what it gives is not run, only what is listed here is.
NUMPY_TYPES: list[Safe] = [
    *(type(np.dtype(code)) for code in '?bBhHiIlLqQefd'),
    type(np.dtype('U1')),
]
RUNNER_TYPES: list[Safe] = [
    HistoryBuffer,
    getattr,
    np.ndarray,
    np.dtype,
    _rebuilder(np.array(0)),
    _rebuilder(np.float64(0)),
    *NUMPY_TYPES,
]
CAN_ALLOW = hasattr(torch.serialization, 'safe_globals')  # since torch 2.5
if CAN_ALLOW:  # without these MMEngine warns of its own files
    torch.serialization.add_safe_globals(NUMPY_TYPES)


def load_weights(network: nn.Module, checkpoint: str, who: str, trusted: bool = False) -> None:
    """Load a checkpoint into a network; every key must match.

    Each rank of a distributed run reads the file and judges it for itself, so that all of them
    stop where one of them does.

    Args:
        network: The network, changed in place.
        checkpoint: A path or an ``http(s)://`` URL; a URL's hash suffix is verified.
        who: Names the network in errors.
        trusted: Read the file with all that pickle allows, running the code that it may carry.

    Raises:
        FileNotFoundError: Where the file is missing.
        ValueError: Where it is not a checkpoint, or one of another network.
        RuntimeError: Where it cannot be downloaded.
    """
    remote = re.match('https?://', checkpoint)
    path = fetch(checkpoint, who) if remote else Path(checkpoint).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{who}: checkpoint={checkpoint!r} does not exist')
    weights = read_state_dict(path, who, trusted)
    load_matching(network, weights, f'{who}: checkpoint={checkpoint!r}')


def read_checkpoint(path: Path, who: str, trusted: bool = False) -> object:
    """A checkpoint file's content; unless it is trusted, no code that it may carry is run.

    Before torch 2.5, which cannot be told what else is harmless, it may hold tensors only.

    Args:
        path: The file.
        who: Names the network in errors.
        trusted: Read it with all that pickle allows, running the code that it may carry.

    Raises:
        ValueError: Where the file is truncated, unsafe or no checkpoint.
    """
    try:
        with _runner_types_allowed():
            return torch.load(path, map_location='cpu', weights_only=not trusted)
    except Exception as error:  # in a damaged file the unpickler stumbles over anything
        raise ValueError(
            f'{who}: checkpoint={str(path)!r} cannot be read as a checkpoint {_why(error)}: {error}'
        ) from error


@contextmanager
def _runner_types_allowed() -> Iterator[None]:
    """Let torch read a runner's file, and leave the process's list of what is safe as it was.

    torch's ``safe_globals`` takes off the list all that it was given, whoever had put it there
    before: only what is not yet on it may be given.
    """
    if not CAN_ALLOW:
        yield
        return
    before = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([kind for kind in RUNNER_TYPES if kind not in before]):
        yield


def _why(error: Exception) -> str:
    wanted = re.search(r'(?:global:?|class) (?:GLOBAL )?([\w.]+)', str(error), re.IGNORECASE)
    if wanted:
        return (
            f'without running {wanted.group(1)} (trusted=True allows all it wants, if you know its '
            'author)'
        )
    return '(truncated, or not one)'


def read_state_dict(path: Path, who: str, trusted: bool = False) -> dict[str, Tensor]:
    """The weights in a checkpoint file, alone or beside what a runner keeps with them.

    Args:
        path: The file.
        who: Names the network in errors.
        trusted: As of :func:`read_checkpoint`.

    Raises:
        ValueError: Where the file is truncated, unsafe, or holds no weights.
    """
    content = read_checkpoint(path, who, trusted)
    weights = content.get('state_dict', content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights or not all(map(_is_weight, weights.items())):
        raise ValueError(f'{who}: checkpoint={str(path)!r} holds no state_dict')
    return weights


def _is_weight(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def load_matching(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load weights into a network; every key and shape must fit.

    Batch counters (``num_batches_tracked``) may be missing: files of before torch 0.4.1 have none.

    Args:
        network: The network, changed in place, partly where this raises.
        weights: By the network's own names.
        what: Names the weights in errors.

    Raises:
        ValueError: Naming ``what`` and the keys.
    """
    mismatch: list[str] = []

    def note(module: nn.Module, keys: _Unfit) -> None:
        missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
        mismatch.extend(_named('missing', missing) + _named('unexpected', keys.unexpected_keys))

    failure = _load(network, weights, note)
    if failure is not None:
        mismatch.extend(_named('wrongly shaped', wrongly_shaped(network, weights)))
    if failure is not None or mismatch:
        detail = ', '.join(mismatch) or str(failure)
        detail += _prefix_hint(network, weights)
        raise ValueError(f'{what} is of another network: {detail}') from failure


class _Unfit(Protocol):
    """What torch tells a hook of the keys that do not fit."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _load(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    note: Callable[[nn.Module, _Unfit], None],
) -> Optional[RuntimeError]:
    """Load what fits and ``note`` what does not; the error, where a shape is among the latter."""
    # After the network's own hooks, which may forgive keys; torch calls it before it raises.
    handle = network.register_load_state_dict_post_hook(note)
    try:
        # Not with MMEngine's load_state_dict, which raises on rank 0 alone: the other ranks would
        # go on with a network of which half is loaded.
        network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        return error
    finally:
        handle.remove()
    return None


def _prefix_hint(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """What to know where the keys would fit but for a prefix (wrappers, distillers, EMA)."""
    own = {key for key in network.state_dict() if 'num_batches_tracked' not in key}
    for prefix in PREFIXES:
        if own <= {key.removeprefix(prefix) for key in weights if key.startswith(prefix)}:
            return f'; the keys fit without their prefix {prefix!r}: take it off'
        if own <= {prefix + key for key in weights}:
            return (
                f'; the keys fit with the prefix {prefix!r}: the file is of a part of this network'
            )
    return ''


def wrongly_shaped(
    network: nn.Module, weights: Mapping[str, Tensor], prefix: str = ''
) -> list[str]:
    """The keys, with both shapes, of weights that have a network's names and not its shapes.

    Args:
        network: Whose shapes count.
        weights: What would be loaded into it.
        prefix: What the weights' names have before the network's.
    """
    return [
        f'{key}: {tuple(weights[prefix + key].shape)}, not {tuple(own.shape)}'
        for key, own in network.state_dict().items()
        if prefix + key in weights and weights[prefix + key].shape != own.shape
    ]


def _named(kind: str, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    more = ', ...' if len(keys) > SHOWN_KEYS else ''
    return [f'{len(keys)} {kind} keys ({", ".join(keys[:SHOWN_KEYS])}{more})']
