"""Who taught how much: the statistics of lessons, named here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce
from torch import Tensor

from .structures import Lesson, Pull, Scores, Temperatures

SCOPE = 'classroom/'  # of the scalars of an iteration


@dataclass(frozen=True)
class LessonRecord:
    """Sums over batches; a batch's own record is a sum of one.

    Attributes:
        names: The mentors'.
        student_score: Mean score of the student over what is labelled, a scalar.
        active: ``(M,)``, each mentor's share of what could be taught that it taught.
        score: ``(M,)``, its mean score over what it knows.
        rank: ``(M,)``, its mean rank where it is judged.
        warmth: ``(M,)``, its mean temperature over what it taught, times ``active``.
        muted: ``(M,)``, whether its outputs were not finite for any sample.
        task_weight: Mean weight of the task loss, a scalar.
        batches: How many are summed, a scalar.
        losses: The iteration's losses by name, scalars.
        pull: ``(5,)``, the fields of a :class:`Pull` in their order, 0 where nothing was compared.
        corrected: Whether lessons were balanced or projected.
        unlabelled: How many samples have no label, a scalar.
        against: ``(2, M)``, how many of each mentor's lessons contradict the labels, and of how
            many that were looked at.
        judged: ``(1 + M,)``, in how many batches each member was judged, the student first.
        teachable: ``(M,)``, in how many there was anything that a mentor could teach.
        weight: ``(M,)``, the mean weight of its lessons over what it taught, times ``active``.
    """

    names: tuple[str, ...]
    student_score: Tensor
    active: Tensor
    score: Tensor
    rank: Tensor
    warmth: Tensor
    muted: Tensor
    task_weight: Tensor
    batches: Tensor
    losses: Mapping[str, Tensor] = field(default_factory=dict)
    pull: Tensor = field(default_factory=lambda: torch.zeros(5))
    corrected: bool = False
    unlabelled: Tensor = field(default_factory=lambda: torch.zeros(()))
    against: Tensor = field(default_factory=lambda: torch.zeros(2, 1))
    judged: Tensor = field(default_factory=lambda: torch.zeros(1))
    teachable: Tensor = field(default_factory=lambda: torch.zeros(1))
    weight: Tensor = field(default_factory=lambda: torch.zeros(1))

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        scores: Scores,
        lesson: Lesson,
        temperature: Temperatures,
        finite: Sequence[Tensor],
        pull: Pull | None = None,
        against: Tensor | None = None,
    ) -> LessonRecord:
        """One batch's record, on its device and without waiting for it."""
        counted = _teachable(scores, lesson.active.shape[-1] > 1).expand(len(names), -1, -1)
        taught, ranked = lesson.active & counted, counted & ~scores.unlabelled
        mean, active = _mean(scores.values, scores.judged), _mean(taught, counted)
        return cls(
            names=tuple(names),
            student_score=mean[0],
            active=active,
            score=mean[1:],
            rank=_mean(lesson.ranks[1:], ranked),
            warmth=_mean_temperature(temperature, taught) * active,
            weight=_mean(lesson.weight, taught) * active,
            muted=(~torch.stack(list(finite))).any(-1).to(active) if names else active,
            task_weight=_mean_weight(lesson, scores),
            batches=torch.ones_like(mean[0]),
            judged=scores.judged.any(-1).any(-1).to(mean).expand_as(mean),
            teachable=counted.any(-1).any(-1).to(mean),
            **_pulls(pull, mean),
            unlabelled=scores.unlabelled.sum().to(mean),
            against=active.new_zeros(2, len(names)) if against is None else against.to(mean),
        )

    def scalars(self) -> dict[str, Tensor]:
        """The means by name: ``classroom/student_score``, ``classroom/<mentor>/active``, ..."""
        found = {f'{SCOPE}student_score': _share(self.student_score, self.judged[0])}
        found.update({f'{SCOPE}{key}': value for key, value in self._contest().items()})
        for name, row in zip(self.names, self._rows()):
            found.update({f'{SCOPE}{name}/{key}': value for key, value in row.items()})
        return found

    def _contest(self) -> dict[str, Tensor]:
        """Lessons against labels: ratios of the sums, 0 where the task's gradient was 0."""
        if not self.names:
            return {}
        task, lesson, given, against, compared = self.pull
        found = dict(lesson_to_task=_share(lesson, task), against=_share(against, compared))
        return dict(found, lesson_to_task_after=_share(given, task)) if self.corrected else found

    def _rows(self) -> list[dict[str, Tensor]]:
        """The mentors' means over the batches that told; of ``muted`` the share of all."""
        means = dict(
            active=_share(self.active, self.teachable),
            score=_share(self.score, self.judged[1:]),
            rank=_share(self.rank, self.judged[1:]),
            weight=_share(self.weight, self.active),
            temperature=torch.where(self.active > 0, self.warmth / self.active, 1),
            muted=self.muted / self.batches,
        )
        order = ('active', 'score', 'rank', 'weight', 'temperature', 'muted')
        return [{key: means[key][i] for key in order} for i in range(len(self.names))]

    def with_losses(self, outputs: Mapping[str, Any]) -> LessonRecord:
        """With those of an iteration's outputs that are losses."""
        losses = {
            key: torch.as_tensor(value).detach()
            for key, value in outputs.items()
            if 'loss' in key and not key.startswith(SCOPE)
        }
        return replace(self, losses=losses)

    def __add__(self, other: LessonRecord) -> LessonRecord:
        """Of both."""
        total = {key: getattr(self, key) + getattr(other, key) for key in SUMMED}
        both = {**self.losses, **other.losses}
        none = torch.zeros_like(self.batches)
        losses = {key: self.losses.get(key, none) + other.losses.get(key, none) for key in both}
        return replace(self, **total, losses=losses)

    def double(self) -> LessonRecord:
        """In double precision, for a sum over an epoch."""
        losses = {key: value.double() for key, value in self.losses.items()}
        return replace(self, **{key: getattr(self, key).double() for key in SUMMED}, losses=losses)

    def reduced(self) -> LessonRecord:
        """Summed over all ranks, which may have had different losses, or in another order."""
        names = sorted({name for each in all_gather_object(list(self.losses)) for name in each})
        none = torch.zeros_like(self.batches)
        losses = {name: self.losses.get(name, none) for name in names}
        flat = [getattr(self, key).flatten() for key in SUMMED]
        flat += [value.to(self.batches).flatten() for value in losses.values()]
        total = torch.cat(flat)
        all_reduce(total)
        parts = total.split([len(part) for part in flat])
        summed = {key: part.view_as(getattr(self, key)) for key, part in zip(SUMMED, parts)}
        losses = {key: part[0] for key, part in zip(losses, parts[len(SUMMED) :])}
        return replace(self, **summed, losses=losses)

    def line(self) -> dict[str, Any]:
        """Plain numbers for a line of ``classroom.jsonl``: means, and batches that were muted.

        Of no batch with a label there is no weight of the task: it is None.
        """
        mentors = {}
        for i, (name, row) in enumerate(zip(self.names, self._rows())):
            plain = {key: value.item() for key, value in row.items() if key != 'muted'}
            against = _share(*self.against[:, i]).item()
            mentors[name] = dict(plain, against=against, muted_batches=round(self.muted[i].item()))
        return dict(
            student_score=_share(self.student_score, self.judged[0]).item(),
            task_weight=(self.task_weight / self.judged[0]).item() if self.judged[0] else None,
            **{key: value.item() for key, value in self._contest().items()},
            losses={key: (value / self.batches).item() for key, value in self.losses.items()},
            mentors=mentors,
            **self._blanks(),
        )

    def _blanks(self) -> dict[str, int]:
        """How many samples have no label, where there are any; this waits for the device."""
        count = round(self.unlabelled.item())
        return dict(unlabelled=count) if count else {}


APART = ('names', 'losses', 'corrected')
SUMMED = tuple(f.name for f in fields(LessonRecord) if f.name not in APART)


def _teachable(scores: Scores, by_keypoint: bool) -> Tensor:
    """What can be taught: labelled keypoints that a mentor knows, or samples with any."""
    return scores.taught if by_keypoint else scores.taught.any(-1, keepdim=True)


def _mean(values: Tensor, judged: Tensor) -> Tensor:
    """Mean of values ``(M, N, K)`` over what counts, ``(M,)``."""
    count = judged.sum((-2, -1)).clamp(min=1)
    return torch.where(judged, values, 0).sum((1, 2)) / count


def _mean_temperature(temperature: Temperatures, taught: Tensor) -> Tensor:
    """The mentors' own over what each taught, ``(M,)``."""
    own = temperature[0] if isinstance(temperature, tuple) else temperature
    own, each = torch.broadcast_tensors(own, taught)
    return (own * each).sum((1, 2)) / each.sum((1, 2)).clamp(min=1)


def _pulls(pull: Pull | None, like: Tensor) -> dict[str, Any]:
    """The record's fields of it."""
    if pull is None:
        return dict(pull=like.new_zeros(5))
    given = pull.lesson if pull.given is None else pull.given
    found = (pull.task, pull.lesson, given, pull.against, pull.compared)
    sums = torch.stack([value.to(like) for value in found])
    return dict(pull=sums, corrected=pull.given is not None)


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, 0)


def _mean_weight(lesson: Lesson, scores: Scores) -> Tensor:
    """Over the samples that have a label."""
    weight, labelled = lesson.task_weight, ~scores.unlabelled[:, 0]
    if weight is None:
        return torch.ones_like(scores.values[0, 0, 0])
    return torch.where(labelled, weight, 0).sum() / labelled.sum().clamp(min=1)


LITTLE = 0.1  # a mean task weight below it leaves the labels next to nothing
# Up to 1 no step along both can lead against the labels, and about 1 it hardly does. Students that
# lessons made worse than their labels alone had 11 to 24, of which 27 to 36 % contradicted labels;
# those from scratch that mentors helped most 8 to 22, and 3 to 10 %.
HEAVY = 2.0


def warnings_of(line: Mapping[str, Any]) -> dict[str, str]:
    """What in a line of ``classroom.jsonl`` its reader should know, by what it is about.

    Args:
        line: A :meth:`LessonRecord.line`.
    """
    found, mentors = {}, line['mentors']
    silent = [name for name, record in mentors.items() if not record['active']]
    if mentors and len(silent) == len(mentors):
        found['nobody'] = (
            'nobody taught: no mentor did better than the student on any sample. Did their weights '
            'load (MentorEvalHook tells), do keypoints, classes and normalisation fit, is '
            'min_score too high?'
        )
    for name in silent if 'nobody' not in found else ():
        found[name] = (
            f'mentor {name!r} taught nobody: its mean score is {mentors[name]["score"]:.3f}, '
            f"the student's {line['student_score']:.3f}; it costs time and adds nothing"
        )
    found.update(_contested(line))
    if line['task_weight'] is not None and line['task_weight'] < LITTLE:
        found['task_weight'] = (
            f'the mean weight of the task loss is {line["task_weight"]:.3f}: the student hardly '
            'learns from its labels; set knowledge_filter.task_bias, e.g. to 1'
        )
    return found


def _contested(line: Mapping[str, Any]) -> dict[str, str]:
    """Lessons that outweighed the labels, or contradicted them."""
    before, found = line.get('lesson_to_task', 0), {}
    ratio, share = line.get('lesson_to_task_after', before), line.get('against', 0)
    advice = 'distill_loss.balance=0.1 with balance_odds=2, or a smaller loss_weight'
    if 'lesson_to_task_after' in line:  # where balance is set, loss_weight hardly counts
        advice = 'a smaller distill_loss.balance, with balance_odds=2'
    if ratio * share > HEAVY * max(share, 1 - share):  # of the odds that a lesson agrees, or 1
        found['outweighed'] = (
            f'lessons outweighed the labels: at the output the gradient of loss_distill was '
            f'{ratio:.1f} times that of the task, {share:.0%} of the lessons contradicted their '
            f'labels, and they may undo what these teach; set {advice}'
        )
    if 'lesson_to_task_after' in line and not before:
        found['unopposed'] = (
            'the task losses had no gradient at the output of the student: with '
            'distill_loss.balance no lesson is given then. Are there labels? Without them set '
            'distill_loss.balance=None'
        )
    against = {name: record.get('against', 0) for name, record in line['mentors'].items()}
    each = ', '.join(f'{name} {share:.0%}' for name, share in against.items() if share > 0.5)
    if share > 0.5 or each:
        found['contradicted'] = (
            f'{share:.0%} of the lessons contradicted the labels'
            f'{each and f" ({each} of its own)"}: mentors know other '
            'data, or another convention (MentorEvalHook tells how well they do on these); '
            "what contradicts is taken out of each lesson by distill_loss.conflict='project'"
        )
    return found
