"""The processes of one run: on GPUs as MMEngine starts them, and on CPUs, which it does not."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional, TypeVar

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from torch import Tensor, distributed

T = TypeVar('T')
DDP = 'MMDistributedDataParallel'


@contextmanager
def ranks(cfg: Config) -> Iterator[None]:
    """Within it a runner of ``cfg`` finds the ranks that torchrun has started.

    On GPUs that is MMEngine's work. It insists on one for each rank, so where there are none the
    processes are joined here, by gloo, and the model's wrapper is told of no device. (SLURM's and
    MPI's launchers stay MMEngine's, and need GPUs.)

    When all is done the ranks leave their group, and what held it is collected while the
    interpreter still works: a thread of gloo that lives on aborts a process that exits.
    """
    if cfg.get('launcher') == 'pytorch' and not torch.cuda.is_available():
        atexit.register(gc.collect)  # a runner is a circle, and it and its hooks hold groups
        distributed.init_process_group('gloo')
        unused = cfg.get('find_unused_parameters', False)
        stock = dict(broadcast_buffers=False, find_unused_parameters=unused)  # MMEngine's, too
        wrapper = dict(cfg.get('model_wrapper_cfg') or stock)
        if wrapper.setdefault('type', DDP) == DDP:
            wrapper['device_ids'] = None
        cfg.model_wrapper_cfg = wrapper
    try:
        yield
    except SystemExit:  # all stop together
        _leave(cfg)
        raise
    _leave(cfg)


def _leave(cfg: Config) -> None:
    launched = cfg.get('launcher', 'none') != 'none'  # another's group is none of ours
    if launched and distributed.is_initialized():
        distributed.destroy_process_group()


class Agreement:
    """What ranks tell each other on the CPU: no GPU is waited for.

    Attributes:
        alone: Whether there is one rank, which agrees with itself.
    """

    def __init__(self) -> None:
        self.alone = get_world_size() == 1
        self._group: Any = None if self.alone else distributed.new_group(backend='gloo')
        self._asked: Optional[tuple[Any, Tensor]] = None

    def largest(self, number: int) -> int:
        """The largest number of any rank: the same for all of them, and known without waiting.

        So that is of the call before, which all ranks have made since; 0 at the first one.
        """
        if self.alone:
            return number
        asked, mine = self._asked, torch.tensor(number)
        work = distributed.all_reduce(mine, distributed.ReduceOp.MAX, self._group, async_op=True)
        self._asked = work, mine
        if asked is None:
            return 0
        asked[0].wait()
        return int(asked[1])

    def of_all(self, mine: T) -> list[T]:
        """What each rank gives, by rank. All wait for each other."""
        if self.alone:
            return [mine]
        found: list[Any] = [None] * get_world_size()
        distributed.all_gather_object(found, mine, group=self._group)
        return found
