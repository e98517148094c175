"""What MMEngine's checkpoints lack for a resume to the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from .seeds import put_random_state

STOPPED = 'stopped'  # in the checkpoint of a run that stopped within an epoch: where


def pending_gradients(runner: Runner) -> dict[str, Tensor]:
    """Gradients that wait for others (``accumulative_counts``), by their parameters' names.

    After an update there are none. Of several ranks' only the first's could be written: there
    MMEngine's warning holds, that those of a few iterations are lost.
    """
    if get_world_size() > 1 or not waits_for_update(runner):
        return {}
    found = {name: p.grad for name, p in _model(runner).named_parameters()}
    return {name: grad.cpu() for name, grad in found.items() if grad is not None}


def put_back_gradients(runner: Runner, gradients: dict[str, Tensor]) -> None:
    """Let a resumed run go on from them."""
    for name, parameter in _model(runner).named_parameters():
        if name in gradients:
            parameter.grad = gradients[name].to(parameter)
    if gradients:
        runner.logger.info(
            f'the accumulated gradients of {len(gradients)} parameters are put back: none is lost'
        )


def skip_batches(runner: Runner, batches: int, random: Sequence[Mapping[str, Any]]) -> None:
    """Let the epoch that begins pass over its first batches, which an earlier run has had.

    They are loaded all the same: what workers draw for the others depends on them.

    Args:
        runner: By epochs.
        batches: How many.
        random: The random numbers with which each rank of that run would have gone on.

    Raises:
        RuntimeError: Where that run had more ranks, or fewer: its batches were others.
    """
    ranks = get_world_size()
    if len(random) != ranks:
        raise RuntimeError(
            f'{STOPPED}.pth is of a run of {len(random)} ranks that stopped within an epoch, and '
            f'these are {ranks}: resume with {len(random)}, or from the end of an epoch, with '
            '--resume and --cfg-options load_from=WORK_DIR/epoch_N.pth'
        )
    loop, last = runner.train_loop, min(batches, len(runner.train_dataloader)) - 1

    def passed_over(idx: int, data_batch: object) -> None:
        if idx == last:
            del loop.run_iter  # the class's own is left
            put_random_state(random[get_rank()])

    if last >= 0:
        loop.run_iter = passed_over
        runner.logger.info(f'{last + 1} batches of this epoch are passed over: the run had them')


def on_cpu(fields: Mapping[str, object]) -> dict[str, object]:
    """A record's fields as a checkpoint keeps them."""
    return {
        key: on_cpu(value)
        if isinstance(value, Mapping)
        else value.cpu()
        if isinstance(value, Tensor)
        else value
        for key, value in fields.items()
    }


def waits_for_update(runner: Runner) -> bool:
    """Whether the last iteration's backward was without an update."""
    wrapper = runner.optim_wrapper
    each = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return any(one.inner_count % getattr(one, '_accumulative_counts', 1) for one in each)


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
