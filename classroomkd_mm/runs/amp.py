"""Mixed precision where there is no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Autocast to bfloat16 on a CPU, where MMEngine's AmpOptimWrapper refuses to run.

    bfloat16 has the range of float32: no loss needs to be scaled. Lessons are reckoned in float32
    as ever. All else is the :class:`OptimWrapper`'s. A CPU without bfloat16 is warned of: there a
    convolution takes many times as long as in float32.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if torch.backends.mkldnn.is_available() and not _has_bfloat16():
            MMLogger.get_current_instance().warning(
                'this CPU has no fast bfloat16 (AVX-512): with --amp (CpuAmpOptimWrapper) a step '
                'takes many times as long as without'
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """As the wrapper's, with autocast."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


def _has_bfloat16() -> bool:
    """Whether this CPU has instructions for it."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
