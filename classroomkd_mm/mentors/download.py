"""Bringing a published checkpoint: once per machine, whole, and for all ranks or for none."""

import hashlib
import json
import os
import re
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Optional
from urllib.parse import urlparse

import torch
from filelock import FileLock
from mmengine.dist import all_gather_object, get_rank

SILENCE_S = 60.0  # a download that brings nothing for so long has failed


def fetch(url: str, who: str, alone: bool = False) -> Path:
    """Download a checkpoint once, into torch's hub cache; other ranks wait.

    torch.hub writes beside the target and renames, so an interrupted download leaves nothing
    behind; a lock lets a second run on the machine wait and take the first one's file. A zoo
    file's name carries the start of its SHA-256, which is verified.

    Args:
        url: The checkpoint's ``http(s)://`` address.
        who: Names the network in errors.
        alone: This rank asks for itself, whether others do or not: no rank waits for another but
            for one that is downloading.

    Returns:
        Where the file is.

    Raises:
        RuntimeError: Where the download fails, naming ``who`` and the URL; on every rank, whichever
            of them it was that downloaded.
    """
    path = Path(torch.hub.get_dir()) / 'checkpoints' / _cached_name(url)
    # Rank 0 of each machine, which has its own cache.
    downloads = alone or int(os.environ.get('LOCAL_RANK', get_rank())) == 0
    failure = _bring(url, path) if downloads else None
    # The others wait here, and fail with the first one: without the file they would say that it is
    # missing, with a damaged one that is still in the cache they would go on.
    told_here = failure and f'{failure}'
    for told in [told_here] if alone else all_gather_object(told_here):
        if told is not None:
            raise RuntimeError(
                f'{who}: checkpoint={url!r} cannot be downloaded: {told}'
            ) from failure
    return path


def _bring(url: str, path: Path) -> Optional[Exception]:
    """Have a whole file at ``path``; what went wrong otherwise, returned for all ranks to hear."""
    try:
        if not _whole(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f'{path}.lock'), _patience(SILENCE_S):
                _download(url, path)
    # No network, 404, wrong hash, cut off, no host of such a name (a ValueError).
    except (OSError, RuntimeError, ValueError, HTTPException) as error:
        return error
    return None


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
    """The start of the SHA-256 in a zoo file's name; None where it has none, or only a date.

    Example:
        >>> hash_in_name('resnet18_8xb32_in1k_20210831-fbbb1da6.pth')
        'fbbb1da6'
    """
    found = re.findall(r'-([0-9a-f]{8})(?=[_.])', name)
    found = [text for text in found if not re.fullmatch(r'20\d{6}', text)]
    return found[-1] if found else None


def _whole(path: Path) -> bool:
    """Whether a file is there and what was published; without a hash, whether it looks whole.

    Checkpoints are zip files, very old ones pickles, whose end cannot be checked. A safetensors
    file begins with the length of its header, which says where its last tensor ends.
    """
    if not path.is_file():
        return False
    digest = hash_in_name(path.name)
    if digest is None and path.suffix == '.safetensors':
        return _whole_safetensors(path)
    if digest is None:
        with path.open('rb') as file:
            return file.read(1) == b'\x80' or zipfile.is_zipfile(path)
    return hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest)


def _whole_safetensors(path: Path) -> bool:
    size = path.stat().st_size
    with path.open('rb') as file:
        start = 8 + int.from_bytes(file.read(8), 'little')
        head = file.read(min(start, size) - 8)
    try:
        entries = [entry for key, entry in json.loads(head).items() if key != '__metadata__']
        return size == start + max((entry['data_offsets'][1] for entry in entries), default=0)
    except (
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
        IndexError,
    ):  # cut off or no such file
        return False
