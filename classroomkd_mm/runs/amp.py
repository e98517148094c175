"""Mixed precision where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Autocast to bfloat16 on a CPU, where MMEngine's AmpOptimWrapper refuses to run.

    bfloat16 has the range of float32: no loss needs to be scaled. Lessons are reckoned in float32
    as ever. All else is the :class:`OptimWrapper`'s.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """As the wrapper's, with autocast."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield
