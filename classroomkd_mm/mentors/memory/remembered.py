"""A mentor that is asked once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ...structures import Answer, Shown
from ..mentor import Mentor, WholeConfig
from ..view import InputView
from .store import MentorMemory


class RememberedMentor:
    """A :class:`Mentor` whose answers are kept; its network is built when one is missing.

    What it says has always been through the memory, also when it is said for the first time: a run
    that fills a memory, one that is resumed and one that reads it learn the same.

    Args:
        name: How logs call it.
        memory: What it has answered.
        build: Makes the mentor itself.
    """

    def __init__(self, name: str, memory: MentorMemory, build: Callable[[], Mentor]) -> None:
        self.name = name
        self.memory = memory
        self._build = build
        self._live: Mentor | None = None

    @property
    def live(self) -> Mentor:
        """The mentor itself."""
        if self._live is None:
            self._live = self._build()
        return self._live

    @property
    def built(self) -> bool:
        """Whether there is a network."""
        return self._live is not None

    @property
    def network(self) -> nn.Module:
        """Its network, built here if it was not yet."""
        return self.live.network

    @property
    def view(self) -> InputView:
        """Its view of the student's inputs."""
        return self.live.view

    @property
    def config(self) -> WholeConfig:
        """Its config."""
        return self.live.config

    @property
    def adaptations(self) -> tuple[str, ...]:
        """What its inputs are adapted by, in words."""
        return (
            self.live.adaptations if self.built else ('colours and normalisation once it is asked',)
        )

    def shown(self, inputs: Tensor, samples: Sequence[object] = ()) -> Tensor:
        """As :meth:`Mentor.shown`."""
        return self.live.shown(inputs, samples)

    @property
    def source(self) -> object:
        """Two mentors of one source give the same answer."""
        return id(self.memory)

    def begin(self, inputs: Tensor, samples: Sequence[object] = ()) -> None:
        """Nothing: what is missing is known when the answers are looked up."""

    def moved(self, fn: Callable[[Tensor], Tensor]) -> RememberedMentor:
        """As :meth:`Mentor.moved`; later, where there is no network yet."""
        return self._changed(lambda mentor: mentor.moved(fn))

    def facing(
        self, student: nn.Module, resize: Shown | None, arrives: str | None
    ) -> RememberedMentor:
        """As :meth:`Mentor.facing`; later, where there is no network yet."""
        return self._changed(lambda mentor: mentor.facing(student, resize, arrives))

    def _changed(self, change: Callable[[Mentor], Mentor]) -> RememberedMentor:
        live, build = self._live, self._build
        if live is None:
            return RememberedMentor(self.name, self.memory, lambda: change(build()))
        changed = RememberedMentor(self.name, self.memory, build)
        changed._live = change(live)
        return changed

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        numbers: Sequence[int | None] = (),
        samples: Sequence[object] = (),
    ) -> Answer:
        """What it says to a batch of these numbers; arguments are :meth:`Mentor.__call__`'s.

        Raises:
            RuntimeError: Where they have none: their data set is not :class:`FixedViews`.
        """
        known = [number for number in numbers if number is not None]
        if self.memory.data is None or len(known) < len(inputs):
            raise RuntimeError(
                f'mentor {self.name!r} cannot remember: the samples do not say which view of which '
                'sample they are. Memory needs FixedViews as train_dataloader.dataset, and '
                'ClassroomHook in custom_hooks; a pipeline that a hook exchanges shows other ones'
            )
        records: list[bytes | Tensor | None] = [self.memory.read(number) for number in known]
        missing = [i for i, record in enumerate(records) if record is None]
        finite = torch.ones(len(inputs), dtype=torch.bool, device=inputs.device)
        if missing:
            asked = inputs if len(missing) == len(known) else inputs[missing]
            asked_of = [samples[i] for i in missing] if samples else ()
            # A run's own autocast must not decide what other runs are told.
            with torch.autocast(inputs.device.type, enabled=False):
                answer = self.live(asked, samples=asked_of)
            new, finite[missing] = self.memory.encode(answer.parts), answer.finite
            good = [i for i, fine in enumerate(answer.finite.tolist()) if fine]
            self.memory.write([known[missing[i]] for i in good], new[good])
            for i, record in zip(missing, new):
                records[i] = record
        whole = [record for record in records if record is not None]
        return Answer(self.memory.decode(whole, inputs.device), finite)
