"""Which weights these are, in 16 digits."""

from __future__ import annotations

import hashlib
import os

import torch
from torch import nn


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, the first 16 digits."""
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 22), b''):
            found.update(block)
    return found.hexdigest()[:16]


def file_name(checkpoint: str) -> str:
    """Which file it is, wherever that lies; a URL is a place that all see alike."""
    return checkpoint if '://' in checkpoint else os.path.basename(checkpoint)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights and their names, the first 16 digits; the same anywhere."""
    found = hashlib.sha256()
    for key, value in network.state_dict().items():
        found.update(key.encode())
        found.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy())
    return found.hexdigest()[:16]
