"""A mentor: a frozen stock network with its own view of the student's inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..datasets import colour_order, own_crops
from ..structures import Answer, OwnCrop, Shown
from .cheap import CheapNetwork, Output, parts_of, sent
from .view import Convention, InputView

WholeConfig = Union[dict[str, Any], Config]  # or only the model's
LESS_MEMORY = (
    " (less memory: the mentor's dtype='bfloat16', batch_size, which asks it for so many samples "
    'at a time, or another device; model.memory, with which it is asked once for each view; a '
    'smaller train_dataloader.batch_size)'
)


@dataclass(frozen=True, eq=False)
class Mentor:
    """A frozen network outside the student's module tree. It knows nothing of the task.

    Attributes:
        name: How logs call it.
        network: A stock model, in eval mode, without gradients.
        view: How it sees the student's inputs.
        config: Its config, whole or only the model, as given; read where it was a path.
        cheap: The network with the settings that it runs by; None where it runs as it is.
    """

    name: str
    network: nn.Module
    view: InputView
    config: WholeConfig = field(default_factory=dict)
    cheap: CheapNetwork | None = None

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    @classmethod
    def of(
        cls,
        name: str,
        network: nn.Module,
        config: WholeConfig,
        student: nn.Module,
        resize: Shown | None = None,
        cheap: CheapNetwork | None = None,
    ) -> Mentor:
        """A network as mentor of this student.

        Raises:
            ValueError: Where it takes channels that the student's inputs cannot become.
        """
        view = _view(name, network, config, student, resize)
        return cls(name, network, view, config, cheap)

    def facing(self, student: nn.Module, resize: Shown | None, arrives: str | None) -> Mentor:
        """The mentor on a data set whose colours arrive in this order; None if it is not known."""
        view = _view(self.name, self.network, self.config, student, resize, arrives)
        gain = self.view.gain
        return replace(self, view=view.moved(lambda tensor: tensor.to(gain)))

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What its inputs are adapted by, in words."""
        return self.view.adaptations

    @property
    def stock(self) -> nn.Module:
        """Its network as it was built, until :meth:`CheapNetwork.compare` has compared."""
        stock = None if self.cheap is None else self.cheap.stock
        return self.network if stock is None else stock

    @property
    def source(self) -> object:
        """Two mentors of one source give the same answer."""
        return id(self.network), self.view.resize

    def moved(self, fn: Callable[[Tensor], Tensor]) -> Mentor:
        """The mentor on another device or in another precision (``nn.Module._apply``).

        Where it has a device of its own, only what it makes of the student's inputs is.
        """
        if self.cheap is None:
            self.network._apply(fn)
        else:
            self.cheap.moved(fn)
        return replace(self, view=self.view.moved(fn))

    def shown(self, inputs: Tensor, samples: Sequence[object] = ()) -> Tensor:
        """What its network is shown of a batch, where that is.

        Args:
            inputs: The student's ``(N, C, H, W)``.
            samples: The batch's; they bring the crops of a mentor that has its own.

        Raises:
            RuntimeError: Where they do not.
        """
        return sent(self._seen(inputs, samples), None if self.cheap is None else self.cheap.device)

    def _seen(self, inputs: Tensor, samples: Sequence[object]) -> Tensor:
        own = self.view.resize
        if isinstance(own, OwnCrop):
            inputs = own_crops(samples, own, inputs, f'mentor {self.name!r}')
        return self.view(inputs)

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        numbers: Sequence[int | None] = (),
        samples: Sequence[object] = (),
    ) -> Answer:
        """What it says to a batch.

        A sample's outputs that are not finite are replaced by 0: the caller mutes the mentor there.

        Args:
            inputs: The student's ``(N, C, H, W)``.
            numbers: Those of the samples' views, whichever they are.
            samples: See :meth:`shown`.

        Raises:
            RuntimeError: See :meth:`shown`; where its forward fails, naming it, its config and the
                inputs; where the device's memory runs out it is torch's own kind.
            ValueError: Where its outputs move too far by its cheap settings, see
                :meth:`CheapNetwork.compare`.
        """
        return self._asked(inputs, samples)()

    @torch.no_grad()
    def begin(self, inputs: Tensor, samples: Sequence[object] = ()) -> Callable[[], Answer] | None:
        """Ask one that has a device of its own, and wait for nothing: it computes meanwhile.

        Returns:
            What gives the answer; None for one that shares the student's device.
        """
        apart = self.cheap is not None and self.cheap.device is not None
        return self._asked(inputs, samples) if apart else None

    def _asked(self, inputs: Tensor, samples: Sequence[object]) -> Callable[[], Answer]:
        seen = self._seen(inputs, samples)
        raw = parts_of(self._forward(seen))
        return lambda: self._answer(inputs, seen, raw)

    def _answer(self, inputs: Tensor, seen: Tensor, raw: Sequence[Tensor]) -> Answer:
        parts = [part.float() for part in raw]
        if self.cheap is not None:
            # Bridges read maps row by row: they come back in the memory format of any mentor.
            parts = [sent(part, inputs.device).contiguous() for part in parts]
            self.cheap.compare(f'mentor {self.name!r}', seen, parts)
        # One pass each, no synchronisation; in float64 no sum of finite float32 overflows.
        totals = [part.flatten(1).sum(1, dtype=torch.float64) for part in parts]
        finite = torch.stack(totals).sum(0).isfinite()
        return Answer(tuple(_where(finite, part) for part in parts), finite)

    def _forward(self, inputs: Tensor) -> Output:
        try:
            if self.cheap is not None:
                return self.cheap(inputs)
            return self.network(inputs, None, mode='tensor')
        except Exception as error:  # of whatever network it is
            full = isinstance(error, torch.cuda.OutOfMemoryError)  # others ask for this kind
            kind: type[Exception] = torch.cuda.OutOfMemoryError if full else RuntimeError
            name = '' if full else f'{type(error).__name__}: '
            raise kind(
                f'mentor {self.name!r} ({self._told()}) fails on inputs of shape '
                f'{tuple(inputs.shape)}: {name}{error}{LESS_MEMORY if full else ""}'
            ) from error

    def _told(self) -> str:
        """What it is, in a few words: its parts, its config's file, its cheap settings."""
        file = getattr(self.config, 'filename', None) if isinstance(self.config, Config) else None
        parts = (self.network, *(getattr(self.network, key, None) for key in ('backbone', 'head')))
        kinds = [type(part).__name__ for part in parts if part is not None]
        cheap = [] if self.cheap is None else [str(self.cheap.cheap)]
        return ', '.join([*kinds, *([file] if file else []), *cheap])


def _where(finite: Tensor, part: Tensor) -> Tensor:
    """A part of an answer, 0 for samples that are not finite."""
    return torch.where(finite.view(-1, *[1] * (part.dim() - 1)), part, 0)


def _view(
    name: str,
    network: nn.Module,
    config: WholeConfig,
    student: nn.Module,
    resize: Shown | None,
    arrives: str | None = None,
) -> InputView:
    """A network's view of pictures that arrive in an order of colours, if that is known."""
    dataset = (config.get('train_dataloader') or {}).get('dataset')
    theirs = colour_order(dataset) if dataset else None
    own = Convention.of(network, theirs, unknown=arrives or 'bgr')
    seen = Convention.of(student, arrives)
    if isinstance(resize, OwnCrop):
        seen = seen.before(arrives)
    return InputView.between(seen, own, resize, f'mentor {name!r}')
