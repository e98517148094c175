"""What a task owes to the method, and what a mentor is in its eyes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar, Union

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ..parts import DistillLoss, Filter, Metainfo, Scorer
from ..parts.build import scored
from ..structures import Answer, Reading, Scores, Shown
from .heads import Output

NetworkConfig = Union[dict[str, Any], Config]  # whole, or only the model's
Samples = Sequence[Any]  # of the library's own class: PoseDataSample, DataSample
Truth = TypeVar('Truth')
# What a bridge asks of a network, in values that JSON keeps: a memory is read without the network.
Portrait = Mapping[str, Any]


def warn_of_own_loss(student: nn.Module, library: str) -> None:
    """Warn where a student's class computes its loss itself.

    A lesson takes the model's ``loss`` apart: it needs what the head gives before the head's loss.

    Args:
        student: It.
        library: Whose classes do what the lesson does in their place.
    """
    stock = getattr(student, 'stock_class', type(student))  # of a classroom, the student's own
    owner = next(kind for kind in stock.__mro__ if 'loss' in vars(kind))
    if owner.__module__.split('.')[0] != library:
        MMLogger.get_current_instance().warning(
            f'student={stock.__name__} computes its loss itself ({owner.__module__}), and a lesson '
            f"calls backbone, neck, head and the head's loss in its place: what {owner.__name__} "
            "adds is not trained; move it into the head's loss"
        )


@dataclass(frozen=True, eq=False)
class Bridge(ABC):
    """A mentor in a task's eyes: how its answer reads in the student's terms. A value.

    Attributes:
        name: The mentor's, for errors.
        adaptations: What is carried over between mentor and student, in words.
        resize: What the student's inputs must become before the mentor sees them, or what it sees
            instead; None if nothing.
        things: What a mentor may lack some of: keypoints, classes.
    """

    things: ClassVar[str] = 'things'
    name: str
    adaptations: tuple[str, ...]
    resize: Shown | None

    @property
    def known(self) -> Tensor | None:
        """Which of the student's K keypoints the mentor has, bool ``(K,)``; None if all."""
        return None

    @property
    def shared(self) -> tuple[int, int] | None:
        """How many it has of the data set's keypoints or classes; None if it has all."""
        if self.known is None or self.known.all():
            return None
        return int(self.known.sum()), len(self.known)

    @property
    def lacks(self) -> str | None:
        """What of the data set's it does not have, in words; None if it has all."""
        if self.shared is None:
            return None
        has, of = self.shared
        return f'{of - has} of the {of} {self.things}'

    def check_inputs(self, size: tuple[int, int]) -> None:
        """Refuse the student's inputs of a size ``(H, W)`` that the mentor cannot take; none here.

        Raises:
            ValueError: With both sizes, and what to set.
        """

    def joined(self, metainfo: Metainfo) -> Bridge:
        """The bridge to a data set: whose keypoints or classes are joined by name. Itself if none.

        Raises:
            ValueError: Where mentor and data set have too little in common.
        """
        return self

    def cut_beside(self, extent: tuple[int, int]) -> Bridge:
        """The bridge of a mentor whose own crop is cut beside the student's; itself if none is.

        Args:
            extent: (w, h) of the student's crop in its own pixels, as its pipeline cuts it.
        """
        return self

    def moved(self, fn: Callable[[Tensor], Tensor]) -> Bridge:
        """The bridge on another device or in another precision (``nn.Module._apply``)."""
        return self

    @abstractmethod
    def read(self, answer: Answer) -> Reading:
        """A mentor's answer in the student's terms, without gradient.

        Of the student the bridge knows what it was told when it was made.

        Raises:
            RuntimeError: Where it takes :meth:`joined` to know what the answer is about.
        """

    @abstractmethod
    def predict(self, network: nn.Module, inputs: Tensor, data_samples: Samples) -> Samples:
        """The mentor's own predictions, as ``mode='predict'`` gives, of the student's things.

        Args:
            network: The mentor's.
            inputs: As the network wants them.
            data_samples: As the student sees them; what is changed in them meanwhile is restored.
        """


def check_losses(losses: object, task: Task[Any]) -> None:
    """Refuse what MMEngine would not train on.

    Args:
        losses: What the task's ``task_loss`` gave.
        task: It.

    Raises:
        TypeError: Where it is no dict of at least one loss.
    """
    if not isinstance(losses, Mapping) or not any('loss' in str(key) for key in losses):
        got = list(losses) if isinstance(losses, Mapping) else type(losses).__name__
        raise TypeError(
            f'{type(task).__name__}.task_loss must give a dict of losses, with "loss" in their '
            f'names (what MMEngine adds up), got {got}'
        )


def check_readings(readings: Sequence[Reading], bridges: Sequence[Bridge]) -> None:
    """Refuse what is no reading in the student's terms.

    Args:
        readings: The student's and each mentor's.
        bridges: The mentors'.

    Raises:
        TypeError: Naming the mentor, its bridge, and both sides' shapes.
    """
    student, *mentors = readings
    for bridge, reading in zip(bridges, mentors):
        who = f'mentor {bridge.name!r}: {type(bridge).__name__}.read must give'
        if not isinstance(reading, Reading):
            raise TypeError(f'{who} a Reading, got {type(reading).__name__}')
        places = None if student.places is reading.places else reading.places
        wanted = _shapes(student)
        if places is not None:
            wanted = [(*shape[:-1], len(places)) for shape in wanted]
        if _shapes(reading) != wanted:
            raise TypeError(
                f'{who} guess and parts shaped {wanted}, in the terms of the student, '
                f'got {_shapes(reading)}'
            )


def _shapes(reading: Reading) -> list[tuple[int, ...]]:
    return [tuple(each.shape) for each in (reading.guess, *reading.parts)]


class Task(ABC, Generic[Truth]):
    """What the method must know of a task. The student's own network is handed in each time.

    A network, the student's or a mentor's, must have a ``data_preprocessor`` (MMEngine's BaseModel
    does) and give a tensor, or a tuple of them, for ``network(inputs, None, mode='tensor')``.

    Args:
        student: The stock model.
        sharpness: What turns its outputs into natural logits for the distillation loss.

    Raises:
        ValueError: Where the student is not one that can learn this way.

    Attributes:
        default_scorer: Config of the scorer that fits.
        truth: The kind of ground truth that a scorer for this task takes.
        mentor_settings: Settings of a mentor that only this task knows: names, or names with
            annotations of their values.
        networks: What its networks are called in errors.
        has_target: Whether a sample has a true class.
        keypoints: K, 1 where a sample is one distribution. Like ``places`` it is for the parts'
            rehearsal alone: any number will do where it is not known.
        places: D, the size of a distribution.
        metainfo: The data set's; empty until it is known.
        watches: Whether batches are watched: not where one comes again and again.
    """

    default_scorer: ClassVar[dict[str, Any]]
    truth: ClassVar[type]
    mentor_settings: ClassVar[Collection[str]] = ()
    networks: ClassVar[str] = 'networks of another task'
    has_target: ClassVar[bool] = False
    keypoints: int = 1
    places: int = 4
    watches: bool = True

    def __init__(self, student: nn.Module, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness
        self.metainfo: Metainfo = {}

    @classmethod
    @abstractmethod
    def fits(cls, student: nn.Module) -> bool:
        """Whether a model is one of this task's."""

    @abstractmethod
    def bridge(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Bridge:
        """What a mentor is in this task's eyes.

        Args:
            name: Its name, for errors.
            network: It.
            config: Its config, whole or only the model's.
            settings: Those of ``mentor_settings`` that are set.

        Raises:
            ValueError: Where it cannot teach the student, with both sides' values.
        """

    def portrait(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Portrait | None:
        """What :meth:`bridge_to` asks of a network; arguments and errors are :meth:`bridge`'s.

        None where the task has none: a memory's networks are then built although nobody asks them.
        """
        return None

    def bridge_to(self, name: str, portrait: Portrait, settings: Mapping[str, Any]) -> Bridge:
        """As :meth:`bridge`, of a network that is not there."""
        raise NotImplementedError(f'{type(self).__name__} gives portraits but no bridge to them')

    @abstractmethod
    def forward(self, student: nn.Module, inputs: Tensor) -> tuple[object, Output]:
        """What the student's head was given, and its output, with gradient."""

    @abstractmethod
    def read(self, output: Output) -> Reading:
        """The student's output, as scorer and loss see it, with gradient."""

    @abstractmethod
    def ground_truth(self, data_samples: Samples, device: torch.device) -> Truth:
        """What a batch's samples know; what is missing is None."""

    @abstractmethod
    def task_loss(
        self,
        student: nn.Module,
        feats: object,
        output: Output,
        data_samples: Samples,
        weight: Tensor | None,
    ) -> dict[str, Any]:
        """The student's own losses, each sample weighted by ``weight`` (N,); all alike if None."""

    def check_data(self, scorer: Scorer[Any], dataset: BaseDataset) -> None:
        """Look at a data set before training; at nothing by default.

        It is MMEngine's, or any map-style one of packed samples.

        Raises:
            ValueError: Where it lacks what the scorer needs, or does not fit the student.
        """

    def find_metainfo(self, data_samples: Samples) -> Metainfo:
        """The data set's metainfo where nobody has handed it over; empty if samples do not say."""
        return {}

    def score(
        self,
        scorer: Scorer[Truth],
        readings: Sequence[Reading],
        bridges: Sequence[Bridge],
        truth: Truth,
    ) -> Scores:
        """Score the student, the first of ``readings``, and each mentor on what it knows."""
        guesses = torch.stack([reading.guess.detach() for reading in readings])
        scores = scored(scorer, guesses, truth, self.metainfo)
        known = [bridge.known for bridge in bridges]
        if all(each is None for each in known):
            return scores
        everything = torch.ones_like(scores.labelled[0])
        rows = [everything if each is None else each for each in known]
        return replace(scores, known=torch.stack(rows))

    def watch(self, readings: Sequence[Reading], bridges: Sequence[Bridge], truth: Truth) -> None:
        """Look at what the mentors say to a batch, without waiting for it; at nothing by default.

        Args:
            readings: The student's and each mentor's.
            bridges: The mentors'.
            truth: The batch's.
        """

    def doubts(self, bridge: Bridge) -> str | None:
        """What of a mentor's settings cannot be right, by all that was watched; None if nothing."""
        return None

    def better_scorer(self, metainfo: Metainfo) -> dict[str, Any] | None:
        """A scorer to take instead of the default for such data; None where the default fits."""
        return None

    def check_scorer(self, scorer: Scorer[Any]) -> None:
        """Refuse another task's scorer.

        Raises:
            ValueError: Naming the scorer and one that fits.
        """
        if scorer.truth is not self.truth:
            raise ValueError(
                f'scorer={type(scorer).__name__} does not fit the student; use '
                f'{self.default_scorer["type"]}'
            )

    def check_filter(self, knowledge_filter: Filter) -> None:
        """Refuse a filter whose task weights the student's loss cannot take; none by default."""

    def check_loss(self, distill_loss: DistillLoss, bridges: Sequence[Bridge]) -> None:
        """Refuse a loss that cannot compare what the members give; none by default."""
