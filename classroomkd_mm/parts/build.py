"""Parts from their configs; one that breaks its contract is refused by name."""

import copy
import difflib
import inspect
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor

from ..kinds import check_settings
from ..registry import MODELS
from ..structures import Lesson, Scores
from .base import DistillLoss, Filter, Mentoring, Metainfo, Part, Scorer

P = TypeVar('P', bound=Part)
SAMPLES = 2  # of a rehearsal
ROUNDING = 1e-4  # of scores of up to 1
NOT_ITS_OWN = ('type', '_scope_')


def build_part(cfg: dict[str, Any], contract: type[P]) -> P:
    """Build a part without a scope prefix: a run's default scope is its student's library.

    Args:
        cfg: ``dict(type=...)``.
        contract: What it must derive from.

    Raises:
        TypeError: Where the setting is no ``dict(type=...)``, its class lacks what the contract
            asks for, or does not take what is set, see :func:`check_settings`.
        KeyError: Where its type is not registered.
        ValueError: Where it is another part.
    """
    setting = contract.setting
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise TypeError(f'{setting}={cfg!r} must be a dict(type=...)')
    _check_registered(cfg['type'], setting)
    kind = MODELS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if inspect.isclass(kind) and issubclass(kind, contract):
        check_settings(kind, {key: cfg[key] for key in cfg if key not in NOT_ITS_OWN}, setting)
    try:
        part = MODELS.build({'_scope_': 'classroomkd_mm', **cfg})
    except TypeError as error:  # another part's setting, a method that it lacks
        raise TypeError(f'{setting}: {error}') from error
    name = type(part).__name__
    if isinstance(part, Scorer) and not hasattr(part, 'truth'):
        raise TypeError(f'{setting}={name} must say in `truth` which ground truth it takes')
    if isinstance(part, DistillLoss) and not hasattr(part, 'loss_weight'):
        raise TypeError(f'{setting}={name}.__init__ must call super().__init__(), see DistillLoss')
    if isinstance(part, contract):
        return part
    if isinstance(part, Part):
        raise ValueError(f'{setting}={name} is a {part.setting}: it belongs in {part.setting}=')
    raise TypeError(f'{setting}={name} must derive from classroomkd_mm.parts.{contract.__name__}')


def _check_registered(name: object, setting: str) -> None:
    if isinstance(name, str) and MODELS.get(name) is None:
        near = difflib.get_close_matches(name, MODELS.module_dict, n=2)
        hint = f'did you mean {" or ".join(near)}?' if near else 'is its module in custom_imports?'
        raise KeyError(f'{setting}: type={name!r} is not registered; {hint}')


def rehearse(
    knowledge_filter: Filter,
    mentoring: Mentoring,
    distill_loss: DistillLoss,
    mentors: int,
    shape: tuple[int, int],
    has_target: bool,
) -> None:
    """Let copies of the parts give one lesson on made-up scores and logits.

    Args:
        knowledge_filter: Shown level scores.
        mentoring: Shown its lesson.
        distill_loss: Shown all of it.
        mentors: How many.
        shape: K keypoints and D places of each.
        has_target: Whether the task has a true class.

    Raises:
        TypeError: For a part that breaks its contract.
        ValueError: A part's own, for a task that it is not for.
        RuntimeError: For one that fails.
    """
    scores = _level_scores(mentors, shape[0], has_target)
    student = torch.zeros(SAMPLES, *shape, requires_grad=True)
    theirs = [torch.zeros(SAMPLES, *shape) for _ in range(mentors)]
    with torch.no_grad():
        lesson = _try(knowledge_filter, scores, theirs)
        _check_lesson(lesson, knowledge_filter, mentors, shape[0])
        temperature = _try(mentoring, lesson, student.detach(), theirs)
    for side in temperature if isinstance(temperature, tuple) else (temperature,):
        _check_shape(side, mentoring, 'temperatures', (mentors, SAMPLES), shape[0])
        if not (side > 0).all():  # NaN is not, either
            _refuse(mentoring, 'positive temperatures', f'{side.min().item()}')
    told = (lesson, temperature, scores.labelled, scores.target)
    loss = _try(distill_loss, student, theirs, *told)
    wanted = 'a scalar with the gradient of the student'
    if not isinstance(loss, Tensor) or loss.dim():
        _refuse(distill_loss, wanted, loss)
    if mentors and not loss.requires_grad:
        _refuse(distill_loss, wanted, 'one without any gradient')


def scored(scorer: Scorer[Any], guesses: Tensor, truth: object, metainfo: Metainfo) -> Scores:
    """What a scorer gives for guesses ``(1 + M, N, ...)``.

    Raises:
        TypeError: Where that is no score of them, see :func:`check_scores`.
    """
    scores = scorer(guesses, truth, metainfo)
    check_scores(scorer, scores, *guesses.shape[:2])
    return scores


def check_scores(
    scorer: Scorer[Any], scores: object, members: int, samples: int, closely: bool = False
) -> None:
    """Refuse what is no score of this batch.

    Args:
        scorer: Who gave them.
        scores: What it gave.
        members: 1 + M.
        samples: N.
        closely: Look at the values as well, which waits for the device.

    Raises:
        TypeError: Naming the scorer, and shapes or values.
    """
    if not isinstance(scores, Scores):
        _refuse(scorer, 'Scores', scores, samples)
    keypoints = scores.labelled.shape[1:]
    if scores.values.shape != (members, samples, *keypoints) or len(keypoints) != 1:
        wanted = f'values (1 + M, N, K) with 1 + M = {members} and labelled (N, K)'
        found = f'{tuple(scores.values.shape)} and {tuple(scores.labelled.shape)}'
        _refuse(scorer, wanted, found, samples)
    if scores.labelled.dtype is not torch.bool:
        _refuse(scorer, 'labelled as bool', scores.labelled.dtype, samples)
    if closely:
        counted = scores.values[:, scores.labelled]
        wrong = counted[~((counted >= 0) & (counted <= 1 + ROUNDING))]  # NaN is, too
        if len(wrong):
            _refuse(scorer, 'scores in [0, 1] for what is labelled', f'{wrong[0].item()}', samples)


def _level_scores(mentors: int, keypoints: int, has_target: bool) -> Scores:
    return Scores(
        torch.full((1 + mentors, SAMPLES, keypoints), 0.5),
        torch.ones(SAMPLES, keypoints, dtype=torch.bool),
        correct=torch.ones(mentors, SAMPLES, dtype=torch.bool) if has_target else None,
        target=torch.zeros(SAMPLES, keypoints, dtype=torch.long) if has_target else None,
    )


def _try(part: Part, *args: object) -> Any:
    """What a copy of a part gives: whatever it counts or remembers starts with the real lessons."""
    try:
        part = copy.deepcopy(part)
    except TypeError:
        pass  # what holds a lock or a file cannot be copied: it is asked itself
    try:
        return part(*args)
    except (TypeError, ValueError):  # a part's own sentence
        raise
    except Exception as error:  # an outsider's part: whatever it raises, its name must be said
        raise RuntimeError(
            f'{part.setting}={type(part).__name__} fails on {SAMPLES} made-up samples: {error}'
        ) from error


def _check_lesson(lesson: object, part: Filter, mentors: int, keypoints: int) -> None:
    if not isinstance(lesson, Lesson):
        _refuse(part, 'a Lesson', lesson)
    _check_shape(lesson.active, part, 'active', (mentors, SAMPLES), keypoints)
    _check_shape(lesson.weight, part, 'weight', (mentors, SAMPLES), keypoints)
    _check_shape(lesson.ranks, part, 'ranks', (1 + mentors, SAMPLES), keypoints)
    if lesson.active.dtype is not torch.bool or not lesson.weight.is_floating_point():
        _refuse(part, 'active as bool and weight as float', lesson.active.dtype)
    if not (lesson.weight.isfinite() & (lesson.weight >= 0)).all():
        _refuse(part, 'finite weights of at least 0', f'{lesson.weight.min().item()}')
    own = lesson.task_weight
    if part.task_weight is None and (own is None or tuple(own.shape) != (SAMPLES,)):
        _refuse(part, f'task_weight shaped ({SAMPLES},)', own)


def _check_shape(
    value: object, part: Part, what: str, lead: tuple[int, ...], keypoints: int
) -> None:
    shapes = {(*lead, 1), (*lead, keypoints)}
    if not isinstance(value, Tensor) or tuple(value.shape) not in shapes:
        _refuse(part, f'{what} shaped {" or ".join(map(str, sorted(shapes)))}', value)


def _refuse(part: Part, wanted: str, got: object, samples: int = SAMPLES) -> NoReturn:
    found = got if isinstance(got, (str, torch.dtype)) else type(got).__name__
    if isinstance(got, Tensor):
        found = f'shape {tuple(got.shape)}'
    raise TypeError(
        f'{part.setting}={type(part).__name__} must give {wanted} for {samples} samples, '
        f'got {found}'
    )
