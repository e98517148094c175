"""The mentors of a classroom, each with its bridge to the student."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import nn

from .datasets import colour_order
from .mentors import Convention, InputView, Mentor, MentorSettings, WholeConfig
from .parts import Metainfo
from .registry import TASKS
from .tasks import Bridge, Task

Member = tuple[Mentor, Bridge]
Network = tuple[nn.Module, WholeConfig]


def build_members(
    student: nn.Module, task: Task[Any], mentors: Sequence[Mapping[str, Any]]
) -> tuple[Member, ...]:
    """Build all mentors of a config, and what each is in the task's eyes.

    Raises:
        TypeError: Where ``mentors`` is no list of dicts.
        ValueError: For wrong settings, names that are there twice, networks that do not fit.
    """
    if not isinstance(mentors, (list, tuple)):
        raise TypeError(f'mentors must be a list of dicts, got {type(mentors).__name__}')
    foreign = {s: t.networks for t in TASKS.module_dict.values() for s in t.mentor_settings}
    settings = [
        MentorSettings.of(cfg, i, task.mentor_settings, foreign) for i, cfg in enumerate(mentors)
    ]
    names = [each.name for each in settings]
    if len(set(names)) < len(names):
        raise ValueError(f'mentors must have different names, got {names}')
    networks: dict[object, Network] = {}
    return tuple(_build_member(student, task, each, networks) for each in settings)


def _build_member(
    student: BaseModel, task: Task[Any], settings: MentorSettings, networks: dict[object, Network]
) -> Member:
    # The same weights given twice, say with other keypoint names, are one network; random are two.
    same = (str(settings.config), settings.checkpoint) if settings.checkpoint else settings.name
    if same not in networks:
        networks[same] = settings.build()
    network, config = networks[same]
    bridge = task.bridge(settings.name, network, config, settings.own)
    if not isinstance(bridge, Bridge):
        raise TypeError(f'{type(task).__name__}.bridge must give a Bridge, got {bridge!r}')
    view = _view(student.data_preprocessor, network, config, bridge)
    member = Mentor(settings.name, network, view, config), bridge
    _log(f'mentor {settings.name!r}: adapted {", ".join(adaptations(member)) or "nothing"}')
    return member


def adaptations(member: Member) -> tuple[str, ...]:
    """What is carried over between a mentor and the student, in words."""
    mentor, bridge = member
    return (*mentor.view.adaptations, *bridge.adaptations)


def joined(
    member: Member, preprocessor: nn.Module, metainfo: Metainfo, arrives: Optional[str]
) -> Member:
    """A mentor and its bridge to a data set.

    Args:
        member: As it was built.
        preprocessor: The student's data preprocessor.
        metainfo: The data set's.
        arrives: In which order its colours arrive; None where it is not known.

    Raises:
        ValueError: Where mentor and data set have too little in common.
    """
    mentor, bridge = member
    gain = mentor.view.gain
    view = _view(preprocessor, mentor.network, mentor.config, bridge, arrives)
    mentor = replace(mentor, view=view.moved(lambda tensor: tensor.to(gain)))
    bridge = bridge.joined(metainfo).moved(lambda tensor: tensor.to(gain.device))
    told, now = adaptations(member), adaptations((mentor, bridge))
    if now != told:
        _log(f'mentor {mentor.name!r} on this data set: adapted {", ".join(now) or "nothing"}')
    return mentor, bridge


def _view(
    preprocessor: nn.Module,
    network: BaseModel,
    config: Mapping[str, Any],
    bridge: Bridge,
    arrives: Optional[str] = None,
) -> InputView:
    """A mentor's view of pictures that arrive in an order of colours, if that is known."""
    dataset = (config.get('train_dataloader') or {}).get('dataset')
    theirs = colour_order(dataset) if dataset else None
    student = Convention.of(preprocessor, arrives)
    mentor = Convention.of(network.data_preprocessor, theirs, unknown=arrives or 'bgr')
    return InputView.between(student, mentor, bridge.resize)


def _log(message: str) -> None:
    MMLogger.get_current_instance().info(message)
