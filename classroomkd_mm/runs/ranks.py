"""The processes of one run: on GPUs as MMEngine starts them, and on CPUs, which it does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from torch import distributed

DDP = 'MMDistributedDataParallel'


@contextmanager
def ranks(cfg: Config) -> Iterator[None]:
    """Within it a runner of ``cfg`` finds the ranks that torchrun has started.

    On GPUs that is MMEngine's work. It insists on one for each rank, so where there are none the
    processes are joined here, by gloo, and the model's wrapper is told of no device. (SLURM's and
    MPI's launchers stay MMEngine's, and need GPUs.)

    When all is done the ranks leave their group: threads of gloo that live on abort a process
    that exits.
    """
    if cfg.get('launcher') == 'pytorch' and not torch.cuda.is_available():
        distributed.init_process_group('gloo')
        unused = cfg.get('find_unused_parameters', False)
        stock = dict(broadcast_buffers=False, find_unused_parameters=unused)  # MMEngine's, too
        wrapper = dict(cfg.get('model_wrapper_cfg') or stock)
        if wrapper.setdefault('type', DDP) == DDP:
            wrapper['device_ids'] = None
        cfg.model_wrapper_cfg = wrapper
    yield
    launched = cfg.get('launcher', 'none') != 'none'  # another's group is none of ours
    if launched and distributed.is_initialized():
        distributed.destroy_process_group()
