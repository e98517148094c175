"""The mentors of a classroom, each with its bridge to the student."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import nn

from .datasets import Wanted, cut_own_crops, own_random_numbers
from .mentors import CheapNetwork, Mentor, MentorSettings, WholeConfig
from .mentors.memory import Answered, Memory, RememberedMentor
from .parts import Metainfo
from .registry import TASKS
from .structures import OwnCrop
from .tasks import Bridge, Task

AnyMentor = Union[Mentor, RememberedMentor]
Member = tuple[AnyMentor, Bridge]
Network = tuple[nn.Module, WholeConfig, Optional[CheapNetwork]]
Builder = Callable[[MentorSettings], tuple[Mentor, Bridge]]


def build_members(
    student: BaseModel,
    task: Task[Any],
    mentors: Sequence[Mapping[str, Any]],
    memory: Optional[Memory] = None,
) -> tuple[Member, ...]:
    """Build all mentors of a config, and what each is in the task's eyes.

    With a memory a network is built only when an answer is missing.

    Raises:
        TypeError: Where ``mentors`` is no list of dicts.
        ValueError: For wrong settings, names that are there twice, networks that do not fit.
    """
    settings = _read(task, mentors)
    names = [each.name for each in settings]
    networks: dict[object, Network] = {}

    def build(each: MentorSettings) -> tuple[Mentor, Bridge]:
        # The student goes on from the same random numbers whoever teaches it, and however many.
        with own_random_numbers():
            torch.default_generator.manual_seed(torch.initial_seed() + 1 + names.index(each.name))
            # Of a memory one rank may miss an answer that the others have.
            return _build_member(student, task, each, networks, alone=memory is not None)

    members = [
        build(each) if memory is None else _remember(student, task, each, memory, build)
        for each in settings
    ]
    for member in members:
        words = ', '.join(adaptations(member)) or 'nothing'
        _log(f'mentor {member[0].name!r}: adapted {words}')
    return tuple(members)


def _read(task: Task[Any], mentors: Sequence[Mapping[str, Any]]) -> list[MentorSettings]:
    if not isinstance(mentors, (list, tuple)):
        raise TypeError(f'mentors must be a list of dicts, got {type(mentors).__name__}')
    settings = [read_mentor(task, cfg, position) for position, cfg in enumerate(mentors)]
    names = [each.name for each in settings]
    if len(set(names)) < len(names):
        raise ValueError(f'mentors must have different names, got {names}')
    return settings


def read_mentor(task: Task[Any], cfg: Mapping[str, Any], position: int) -> MentorSettings:
    """A mentor's settings, see :meth:`MentorSettings.of`.

    Args:
        task: The student's.
        cfg: The mentor's entry in a config.
        position: Its place in the config's list, for errors and for a default name.

    Raises:
        TypeError: Where the entry is no dict, or a value of another kind.
        ValueError: For wrong settings.
    """
    foreign = {s: t.networks for t in TASKS.module_dict.values() for s in t.mentor_settings}
    return MentorSettings.of(cfg, position, task.mentor_settings, foreign)


def _build_member(
    student: BaseModel,
    task: Task[Any],
    settings: MentorSettings,
    networks: dict[object, Network],
    alone: bool,
) -> tuple[Mentor, Bridge]:
    # The same weights given twice, say with other keypoint names, are one network; random are two.
    # Cheap settings change a network in place: it is shared by those that have the same.
    same = (str(settings.config), settings.checkpoint) if settings.checkpoint else settings.name
    key = same, settings.cheap
    if key not in networks:
        networks[key] = _network(settings, alone)
    network, config, cheap = networks[key]
    bridge = task.bridge(settings.name, network, config, settings.own)
    if not isinstance(bridge, Bridge):
        raise TypeError(f'{type(task).__name__}.bridge must give a Bridge, got {bridge!r}')
    mentor = Mentor.of(settings.name, network, config, student, bridge.resize, cheap)
    return mentor, bridge


def _network(settings: MentorSettings, alone: bool) -> Network:
    network, config = settings.build(alone)
    if not settings.cheap.changes:
        return network, config, None
    return network, config, CheapNetwork(network, settings.cheap, f'mentor {settings.name!r}')


def _remember(
    student: BaseModel, task: Task[Any], settings: MentorSettings, memory: Memory, build: Builder
) -> Member:
    """A mentor whose answers are kept: without its network, if its portrait is kept as well."""
    kept = memory.of_mentor(settings)
    mentor = RememberedMentor(settings.name, kept, lambda: build(settings)[0])
    if kept.portrait is not None and settings.checkpoint is not None:
        bridge = task.bridge_to(settings.name, kept.portrait, settings.own)
        kept.describe(kept.portrait, bridge.resize)
        return mentor, bridge
    _, bridge = build(settings)
    if settings.checkpoint is None:
        kept.of_weights(mentor.live.stock)
    portrait = task.portrait(settings.name, mentor.network, mentor.config, settings.own)
    kept.describe(portrait, bridge.resize)
    return mentor, bridge


def adaptations(member: Member) -> tuple[str, ...]:
    """What is carried over between a mentor and the student, in words."""
    mentor, bridge = member
    return (*mentor.adaptations, *bridge.adaptations)


def joined(
    member: Member, student: BaseModel, metainfo: Metainfo, arrives: Optional[str]
) -> Member:
    """A mentor and its bridge to a data set.

    Args:
        member: As it was built.
        student: The student.
        metainfo: The data set's.
        arrives: In which order its colours arrive; None where it is not known.

    Raises:
        ValueError: Where mentor and data set have too little in common.
    """
    mentor, bridge = member
    device = next((parameter.device for parameter in student.parameters()), None)
    bridge = bridge.joined(metainfo).moved(lambda tensor: tensor.to(device))
    mentor = mentor.facing(student, bridge.resize, arrives)
    told, now = adaptations(member), adaptations((mentor, bridge))
    if now != told:
        _log(f'mentor {mentor.name!r} on this data set: adapted {", ".join(now) or "nothing"}')
    return mentor, bridge


def _log(message: str) -> None:
    MMLogger.get_current_instance().info(message)


def has_own_crops(members: Sequence[Member]) -> bool:
    """Whether mentors are shown crops that are cut for them."""
    return any(isinstance(bridge.resize, OwnCrop) for _, bridge in members)


def cutting(
    members: tuple[Member, ...], dataset: object, preprocessor: nn.Module, remembered: bool
) -> tuple[Member, ...]:
    """The members, once a data set's pipelines cut the crops of those with ``own_resolution``.

    Args:
        members: Mentors with their bridges.
        dataset: Whose samples those mentors will be shown; or a pipeline alone.
        preprocessor: The student's.
        remembered: Whether nothing is cut for a mentor whose answer is kept.

    Raises:
        ValueError: See :func:`~classroomkd_mm.datasets.cut_own_crops`; where the preprocessor
            changes a batch's pictures.
    """
    wanted = [
        Wanted(mentor.name, bridge.resize, _answered(mentor) if remembered else None)
        for mentor, bridge in members
        if isinstance(bridge.resize, OwnCrop)
    ]
    if wanted and getattr(preprocessor, 'batch_augments', None) is not None:
        raise ValueError(
            f"mentor {wanted[0].mentor!r}: own_resolution=True, and the student's "
            'data_preprocessor has batch_augments, which would change its picture alone'
        )
    extent = cut_own_crops(dataset, wanted)
    if extent is None:
        return members
    return tuple((mentor, bridge.cut_beside(extent)) for mentor, bridge in members)


def _answered(mentor: AnyMentor) -> Optional[Answered]:
    """Which of its answers are kept."""
    return Answered(mentor.memory.folder) if isinstance(mentor, RememberedMentor) else None
