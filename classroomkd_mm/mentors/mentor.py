"""A mentor: a frozen stock network with its own view of the student's inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..structures import Answer
from .view import InputView

WholeConfig = Union[dict[str, Any], Config]  # or only the model's


@dataclass(frozen=True, eq=False)
class Mentor:
    """A frozen network outside the student's module tree. It knows nothing of the task.

    Attributes:
        name: How logs call it.
        network: A stock model, in eval mode, without gradients.
        view: How it sees the student's inputs.
        config: Its config, whole or only the model, as given; read where it was a path.
    """

    name: str
    network: nn.Module
    view: InputView
    config: WholeConfig = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def moved(self, fn: Callable[[Tensor], Tensor]) -> Mentor:
        """The mentor on another device or in another precision (``nn.Module._apply``)."""
        self.network._apply(fn)
        return replace(self, view=self.view.moved(fn))

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Answer:
        """What it says to the student's inputs ``(N, C, H, W)``.

        Outputs that are not finite are replaced by 0: the caller mutes the mentor.
        """
        output = self.network(self.view(inputs), None, mode='tensor')
        while isinstance(output, list):  # of stages (Hourglass, CPM, MSPN): the last is the answer
            output = output[-1]
        parts = [part.float() for part in (output if isinstance(output, tuple) else (output,))]
        # One pass each, no synchronisation; in float64 no sum of finite float32 overflows.
        finite = torch.stack([part.sum(dtype=torch.float64) for part in parts]).sum().isfinite()
        return Answer(tuple(torch.where(finite, part, 0) for part in parts), finite)
