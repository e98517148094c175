"""Loading a mentor's weights: safely, and all of them or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from .download import fetch
from .harmless import CAN_ALLOW, harmless_allowed, settled
from .interpolated import check_not_interpolated, rebuilt, size_hint
from .prefixes import NAMES, SHOWN_KEYS, fitting

# Where a file may hold its weights. MMEngine's runner writes the averaged ones, if there are any,
# under state_dict, and those before averaging as ema_state_dict.
PLACES = (
    'state_dict',
    'model',
    'net',
    'model_state_dict',
    'params',
    'params_ema',
    'ema_state_dict',
    'state_dict_ema',
    'model_ema',
    'ema',
)
AVERAGED = ('state_dict_ema', 'params_ema', 'model_ema', 'ema')
if CAN_ALLOW:  # without these MMEngine warns of its own files, and reads them with all of pickle
    torch.serialization.add_safe_globals(
        [*(type(np.dtype(code)) for code in '?bBhHiIlLqQefd'), type(np.dtype('U1'))]
    )


def load_weights(
    network: nn.Module, checkpoint: str, who: str, trusted: bool = False, alone: bool = False
) -> None:
    """Load a checkpoint into a network; every key must match.

    Each rank of a distributed run reads the file and judges it for itself, so that all of them
    stop where one of them does.

    Args:
        network: The network, changed in place.
        checkpoint: A path or an ``http(s)://`` URL; a URL's hash suffix is verified.
        who: Names the network in errors.
        trusted: Read the file with all that pickle allows, running the code that it may carry.
        alone: See :func:`fetch`.

    Raises:
        FileNotFoundError: Where the file is missing.
        ValueError: Where it is not a checkpoint, or one of another network.
        RuntimeError: Where it cannot be downloaded.
    """
    remote = re.match('https?://', checkpoint)
    path = fetch(checkpoint, who, alone) if remote else Path(checkpoint).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{who}: checkpoint={checkpoint!r} does not exist')
    weights = read_state_dict(path, who, trusted)
    load_matching(network, weights, f'{who}: checkpoint={checkpoint!r}')


def read_checkpoint(path: Path, who: str, trusted: bool = False) -> object:
    """A checkpoint file's content; unless it is trusted, no code that it may carry is run.

    Harmless values of classes that are not made (see :mod:`.harmless`) come as what they hold.
    Before torch 2.5, which cannot be told what else is harmless, it may hold tensors only.

    Args:
        path: The file; one that ends in ``.safetensors`` holds nothing but tensors.
        who: Names the network in errors.
        trusted: Read it with all that pickle allows, running the code that it may carry.

    Raises:
        ValueError: Where the file is truncated, unsafe or no checkpoint.
    """
    what = f'{who}: checkpoint={str(path)!r}'
    try:
        if path.suffix == '.safetensors':
            return _read_safetensors(path)
        if trusted:
            return torch.load(path, map_location='cpu', weights_only=False)
        with harmless_allowed():
            return settled(torch.load(path, map_location='cpu', weights_only=True))
    except Exception as error:  # in a damaged file the unpickler stumbles over anything
        raise ValueError(f'{what} cannot be read as a checkpoint {_why(error)}') from error


def _read_safetensors(path: Path) -> object:
    if find_spec('safetensors') is None:
        raise _Missing('pip install safetensors')
    from safetensors.torch import load_file

    return load_file(path)


class _Missing(Exception):
    """A library is."""


def _why(error: Exception) -> str:
    text = str(error)
    wanted = re.search(r'(?:global:?|class) (?:GLOBAL )?([\w.]+)', text, re.IGNORECASE)
    if isinstance(error, _Missing):
        return f'without the library safetensors: {error}'
    if wanted:
        name = wanted.group(1) if '.' in wanted.group(1) else f'builtins.{wanted.group(1)}'
        return (
            f'without running {name} (trusted=True allows all it wants, if you know its author; '
            'tools/extract.py --trusted writes its weights alone to a file that wants nothing)'
        )
    if 'TorchScript' in text:
        return (
            '(a TorchScript archive, a program; trusted=True takes its weights, if you know its '
            'author)'
        )
    if 'Unsupported operand' in text:
        return (
            '(truncated, or written with a pickle_protocol that torch reads only with all of '
            f'pickle: write it again with that of torch.save, 2): {text.splitlines()[-3:]}'
        )
    return f'(truncated, or not one): {error}'


def read_state_dict(path: Path, who: str, trusted: bool = False) -> Mapping[str, Tensor]:
    """The weights in a checkpoint file, alone or beside what a runner keeps with them.

    Args:
        path: The file.
        who: Names the network in errors.
        trusted: As of :func:`read_checkpoint`.

    Raises:
        ValueError: Where the file is truncated, unsafe, or holds no weights.
    """
    content = read_checkpoint(path, who, trusted)
    weights = weights_in(content)
    if weights is None:
        raise ValueError(
            f'{who}: checkpoint={str(path)!r} holds no state_dict, neither alone nor under one of '
            f'{", ".join(PLACES[1:])}'
        )
    held = content if isinstance(content, dict) else {}
    for name in AVERAGED:
        others = weights_in(held.get(name))
        if others is not None and others is not weights:
            MMLogger.get_current_instance().info(
                f'{who}: checkpoint={str(path)!r} holds averaged weights as well ({name}), which '
                'are not taken; a file with these alone would give them'
            )
    return weights


def weights_in(content: object, depth: int = 3) -> Mapping[str, Tensor] | None:
    """The weights in what a file holds, or those of the network that it holds; None without any.

    Args:
        content: The file's content; under the first of ``PLACES`` that holds weights are those
            that count. Networks side by side under prefixes' names (``teacher``) get these.
        depth: How far down to look.
    """
    if isinstance(content, nn.Module):
        return content.state_dict()
    if not isinstance(content, dict) or not content or not depth:
        return None
    if all(map(_is_weight, content.items())):
        return content
    for place in PLACES:
        found = weights_in(content.get(place), depth - 1)
        if found is not None:
            return found
    sides = {name: weights_in(content.get(name), depth - 1) or {} for name in sorted(NAMES)}
    return {f'{name}.{key}': v for name, side in sides.items() for key, v in side.items()} or None


def _is_weight(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def load_matching(network: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Load weights into a network; every key and shape must fit.

    A chain of prefixes is taken off where exactly one fits (see :func:`.prefixes.fitting`), which
    the log says. Batch counters (``num_batches_tracked``) may be missing: files of before torch
    0.4.1 have none.

    Args:
        network: The network, changed in place, partly where this raises.
        weights: By the network's own names.
        what: Names the weights in errors.

    Raises:
        ValueError: Naming ``what`` and the keys, or the chains where two fit; where a library
            fits weights of another picture size to the network.
    """
    weights, said = fitting(network, weights, what)
    if said:
        MMLogger.get_current_instance().info(f'{what}: {said}')
    mismatch: list[str] = []

    def note(module: nn.Module, keys: _Unfit) -> None:
        missing = [
            key
            for key in keys.missing_keys
            if 'num_batches_tracked' not in key and not rebuilt(network, weights, key)
        ]
        mismatch.extend(_named('missing', missing) + _named('unexpected', keys.unexpected_keys))

    failure = _load(network, weights, note)
    if failure is not None:
        mismatch.extend(_named('wrongly shaped', wrongly_shaped(network, weights)))
    if failure is not None or mismatch:
        detail = ', '.join(mismatch) or str(failure)
        detail += _part_hint(network, weights) + size_hint(network, weights)
        raise ValueError(f'{what} is of another network: {detail}') from failure
    check_not_interpolated(network, weights, what)


class _Unfit(Protocol):
    """What torch tells a hook of the keys that do not fit."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _load(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    note: Callable[[nn.Module, _Unfit], None],
) -> RuntimeError | AssertionError | None:
    """Load what fits and ``note`` what does not; the error, where a shape is among the latter.

    MMPretrain's own hooks assert that a position embedding is of a square.
    """
    # After the network's own hooks, which may forgive keys; torch calls it before it raises.
    handle = network.register_load_state_dict_post_hook(note)
    try:
        # Not with MMEngine's load_state_dict, which raises on rank 0 alone: the other ranks would
        # go on with a network of which half is loaded.
        network.load_state_dict(weights, strict=False)
    except (RuntimeError, AssertionError) as error:
        return error
    finally:
        handle.remove()
    return None


def _part_hint(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """What to know where the file is of a part of the network, say its backbone."""
    own = {key for key in network.state_dict() if 'num_batches_tracked' not in key}
    theirs = {key for key in weights if 'num_batches_tracked' not in key}
    for prefix in sorted(f'{name}.' for name in NAMES):
        named = {prefix + key for key in theirs}
        if named and (own <= named or named <= own):
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
