"""Loading a mentor's weights: safely, and all of them or none."""

import hashlib
import os
import pickle
import re
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.client import HTTPException
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlparse

import numpy as np
import torch
from filelock import FileLock
from mmengine.dist import barrier, get_rank
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import load_state_dict as mmengine_load_state_dict
from torch import nn

SHOWN_KEYS = 5
SILENCE_S = 60.0  # a download that brings nothing for so long has failed
PREFIXES = ('module.', 'student.', 'architecture.', 'teacher.', 'model.', 'backbone.')
# What checkpoints of MMEngine's runner hold beside tensors: log histories, of numpy values. Their
# methods are pickled as `getattr`; what it gives is not run, only what is listed here is.
NUMPY_TYPES = [type(np.dtype(code)) for code in '?bBhHiIlLqQefd'] + [type(np.dtype('U1'))]
RUNNER_TYPES = [
    HistoryBuffer,
    getattr,
    np.ndarray,
    np.dtype,
    np.array(0).__reduce__()[0],
    np.float64(0).__reduce__()[0],
    *NUMPY_TYPES,
]
CAN_ALLOW = hasattr(torch.serialization, 'safe_globals')  # since torch 2.5
if CAN_ALLOW:  # without these MMEngine warns of its own files
    torch.serialization.add_safe_globals(NUMPY_TYPES)


def load_weights(network: nn.Module, checkpoint: str, who: str, trusted: bool = False) -> None:
    """Load a checkpoint into a network; every key must match.

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


def fetch(url: str, who: str) -> Path:
    """Download a checkpoint once, into torch's hub cache; other ranks wait.

    torch.hub writes beside the target and renames, so an interrupted download leaves nothing
    behind; a lock lets a second run on the machine wait and take the first one's file. A zoo
    file's name carries the start of its SHA-256, which is verified.

    Raises:
        RuntimeError: Where the download fails, naming ``who`` and the URL.
    """
    path = Path(torch.hub.get_dir()) / 'checkpoints' / _cached_name(url)
    try:
        if int(os.environ.get('LOCAL_RANK', get_rank())) == 0 and not _whole(path):
            # Rank 0 of each machine, which has its own cache.
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f'{path}.lock'), _patience(SILENCE_S):
                _download(url, path)
    except (OSError, RuntimeError, HTTPException) as error:  # no network, 404, wrong hash, cut off
        raise RuntimeError(f'{who}: checkpoint={url!r} cannot be downloaded: {error}') from error
    finally:
        barrier()  # also after a failure: the other ranks wait here
    return path


def _cached_name(url: str) -> str:
    """The file's name; one without a hash is not unique, so that the URL's goes before it."""
    name = os.path.basename(urlparse(url).path)
    return name if hash_in_name(name) else f'{hashlib.sha256(url.encode()).hexdigest()[:8]}_{name}'


def _download(url: str, path: Path) -> None:
    if _whole(path):  # another run brought it meanwhile
        return
    path.unlink(missing_ok=True)
    torch.hub.download_url_to_file(url, str(path), hash_in_name(path.name))
    if not _whole(path):  # a connection that was cut looks like an end
        path.unlink()
        raise RuntimeError('what came is not a whole checkpoint; it was removed')


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Give up on a connection that is silent for so long; torch.hub itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def hash_in_name(name: str) -> Optional[str]:
    """The start of the SHA-256 in a zoo file's name; None where it has none, or only a date."""
    found = re.findall(r'-([0-9a-f]{8})(?=[_.])', name)
    found = [text for text in found if not re.fullmatch(r'20\d{6}', text)]
    return found[-1] if found else None


def _whole(path: Path) -> bool:
    """Whether a file is there and what was published; without a hash, whether it looks whole.

    Checkpoints are zip files, very old ones pickles, whose end cannot be checked.
    """
    if not path.is_file():
        return False
    digest = hash_in_name(path.name)
    if digest is None:
        with path.open('rb') as file:
            return file.read(1) == b'\x80' or zipfile.is_zipfile(path)
    return hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest)


def read_checkpoint(path: Path, who: str, trusted: bool = False) -> Any:
    """A checkpoint file's content; unless it is trusted, no code that it may carry is run.

    Before torch 2.5, which cannot be told what else is harmless, it may hold tensors only.

    Raises:
        ValueError: Where the file is truncated, unsafe or no checkpoint.
    """
    try:
        with torch.serialization.safe_globals(RUNNER_TYPES) if CAN_ALLOW else nullcontext():
            return torch.load(path, map_location='cpu', weights_only=not trusted)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(
            f'{who}: checkpoint={str(path)!r} cannot be read as a checkpoint {_why(error)}: {error}'
        ) from error


def _why(error: Exception) -> str:
    wanted = re.search(r'(?:global:?|class) (?:GLOBAL )?([\w.]+)', str(error), re.IGNORECASE)
    if wanted:
        return (
            f'without running {wanted.group(1)} (trusted=True allows all it wants, if you know its '
            'author)'
        )
    return '(truncated, or not one)'


def read_state_dict(path: Path, who: str, trusted: bool = False) -> dict[str, Any]:
    """The weights in a checkpoint file.

    Raises:
        ValueError: Where the file is truncated, unsafe, or holds no weights.
    """
    content = read_checkpoint(path, who, trusted)
    weights = content.get('state_dict', content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(f'{who}: checkpoint={str(path)!r} holds no state_dict')
    return weights


def load_matching(network: nn.Module, weights: dict[str, Any], what: str) -> None:
    """Load weights into a network; every key and shape must fit.

    Raises:
        ValueError: Naming ``what`` and the keys.
    """
    mismatch: list[str] = []

    def note(module: nn.Module, keys: Any) -> None:
        missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
        mismatch.extend(_named('missing', missing) + _named('unexpected', keys.unexpected_keys))

    handle = network.register_load_state_dict_post_hook(note)
    try:
        mmengine_load_state_dict(network, weights, strict=True)
    except RuntimeError as error:
        mismatch.extend(_named('wrongly shaped', wrongly_shaped(network, weights)))
        detail = ', '.join(mismatch) or str(error)
        detail += _prefix_hint(network, weights)
        raise ValueError(f'{what} is of another network: {detail}') from error
    finally:
        handle.remove()


def _prefix_hint(network: nn.Module, weights: dict[str, Any]) -> str:
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


def wrongly_shaped(network: nn.Module, weights: dict[str, Any], prefix: str = '') -> list[str]:
    """The keys, with both shapes, of weights that have a network's names and not its shapes."""
    return [
        f'{key}: {tuple(weights[prefix + key].shape)}, not {tuple(own.shape)}'
        for key, own in network.state_dict().items()
        if prefix + key in weights and weights[prefix + key].shape != own.shape
    ]


def _named(kind: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = ', ...' if len(keys) > SHOWN_KEYS else ''
    return [f'{len(keys)} {kind} keys ({", ".join(keys[:SHOWN_KEYS])}{more})']
