"""Loading a mentor's weights: safely, and all of them or none."""

import os
import pickle
import re
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner.checkpoint import get_torch_safe_globals
from mmengine.runner.checkpoint import load_state_dict as mmengine_load_state_dict
from torch import nn

SHOWN_KEYS = 5
# Checkpoints of MMEngine's runner carry numpy values; its own list has three of these types.
NUMPY_TYPES = [type(np.dtype(code)) for code in '?bBhHiIlLqQefd'] + [type(np.dtype('U1'))]


def load_weights(network: nn.Module, checkpoint: str, who: str) -> None:
    """Load a checkpoint into a network; every key must match.

    Args:
        network: The network, changed in place.
        checkpoint: A path or an ``http(s)://`` URL; a URL's hash suffix is verified.
        who: Names the network in errors.

    Raises:
        FileNotFoundError: Where the file is missing.
        ValueError: Where it is not a checkpoint, or one of another network.
    """
    path = fetch(checkpoint) if re.match('https?://', checkpoint) else Path(checkpoint)
    path = path.expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'{who}: checkpoint={checkpoint!r} does not exist')
    load_matching(network, read_state_dict(path, who), f'{who}: checkpoint={checkpoint!r}')


def fetch(url: str) -> Path:
    """Download a checkpoint once, into torch's hub cache; other ranks wait.

    A zoo file's name carries the start of its SHA-256, which is verified.
    """
    path = Path(torch.hub.get_dir()) / 'checkpoints' / os.path.basename(url)
    digest = re.search(r'-([0-9a-f]{8})[_.]', path.name)
    if is_main_process() and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest and digest.group(1))
    barrier()
    return path


def read_checkpoint(path: Path, who: str) -> Any:
    """A checkpoint file's content, without running any code that it may carry.

    Raises:
        ValueError: Where the file is truncated, unsafe or no checkpoint.
    """
    try:
        with torch.serialization.safe_globals([*get_torch_safe_globals(), *NUMPY_TYPES]):
            return torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(
            f'{who}: checkpoint={str(path)!r} cannot be read as a checkpoint '
            f'(truncated, or not one): {error}'
        ) from error


def read_state_dict(path: Path, who: str) -> Dict[str, Any]:
    """The weights in a checkpoint file.

    Raises:
        ValueError: Where the file is truncated, unsafe, or holds no weights.
    """
    content = read_checkpoint(path, who)
    weights = content.get('state_dict', content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ValueError(f'{who}: checkpoint={str(path)!r} holds no state_dict')
    return weights


def load_matching(network: nn.Module, weights: Dict[str, Any], what: str) -> None:
    """Load weights into a network; every key and shape must fit.

    Raises:
        ValueError: Naming ``what`` and the keys.
    """
    mismatch: List[str] = []

    def note(module: nn.Module, keys: Any) -> None:
        missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
        mismatch.extend(_named('missing', missing) + _named('unexpected', keys.unexpected_keys))

    handle = network.register_load_state_dict_post_hook(note)
    try:
        mmengine_load_state_dict(network, weights, strict=True)
    except RuntimeError as error:
        mismatch.extend(_named('wrongly shaped', _wrongly_shaped(network, weights)))
        detail = ', '.join(mismatch) or str(error)
        raise ValueError(f'{what} is of another network: {detail}') from error
    finally:
        handle.remove()


def _wrongly_shaped(network: nn.Module, weights: Dict[str, Any]) -> List[str]:
    return [
        f'{key}: {tuple(weights[key].shape)}, not {tuple(own.shape)}'
        for key, own in network.state_dict().items()
        if key in weights and weights[key].shape != own.shape
    ]


def _named(kind: str, keys: List[str]) -> List[str]:
    if not keys:
        return []
    more = ', ...' if len(keys) > SHOWN_KEYS else ''
    return [f'{len(keys)} {kind} keys ({", ".join(keys[:SHOWN_KEYS])}{more})']
