"""Checkpoints that MMEngine reads for a run, without running code that they may carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Union

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.utils import apply_to

from ..mentors.checkpoint import read_checkpoint
from ..mentors.harmless import CAN_ALLOW, HISTORY, STAND_INS

Place = Union[str, torch.device, None]


@contextmanager
def loading_safely() -> Iterator[None]:
    """Within it MMEngine reads checkpoints as mentors' are read: see :func:`read_checkpoint`.

    Of what ``load_from``, ``--resume``, ``init_cfg`` and ``test`` name. MMEngine reads a file that
    asks for more than tensors once more, with all of pickle, and so runs the code in it. Before
    torch 2.5, which cannot be told what is harmless, it stays so, and under upstream's MMEngine,
    which has no such function: there torch's own default holds.

    Raises:
        ValueError: From within, where such a file cannot be read without.
    """
    # HACK: MMEngine has no setting for it; all its readers of local and downloaded files call this.
    stock = getattr(mmengine_checkpoint, '_safe_torch_load', None)
    if stock is None or not CAN_ALLOW:
        yield
        return
    mmengine_checkpoint._safe_torch_load = _load
    try:
        yield
    finally:
        mmengine_checkpoint._safe_torch_load = stock


def _load(
    file: str | IO[bytes], map_location: Place = None, weights_only: bool | None = None
) -> object:
    """As MMEngine's, of a path; what it reads from memory is tensors alone, or an error."""
    if not isinstance(file, (str, Path)):
        return torch.load(file, map_location=map_location, weights_only=True)
    content = read_checkpoint(Path(file), 'the run')
    if isinstance(content, dict):
        _revive(content)
    if map_location is None or str(map_location) == 'cpu':
        return content
    return apply_to(content, _is_tensor, partial(torch.Tensor.to, device=map_location))


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _revive(content: Mapping[str, Any]) -> None:
    """Make log histories of what stands for them: a resumed run goes on with its own."""
    scalars = (content.get('message_hub') or {}).get('log_scalars') or {}
    for name, kept in scalars.items():
        if isinstance(kept, STAND_INS[HISTORY]):
            state = vars(kept)
            logs, counts = state['_log_history'], state['_count_history']
            scalars[name] = HistoryBuffer(logs, counts, int(state['max_length']))
