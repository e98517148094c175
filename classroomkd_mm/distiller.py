"""ClassroomKD: the lesson, told in one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.logging import MMLogger
from torch import Tensor

from .consent import check_consent, consented, contradictions, in_float32
from .datasets import colour_order, stated_metainfo, view_numbers
from .in_place import StudentInPlace
from .members import Member, build_members, cutting, has_own_crops, joined
from .mentors import Mentor
from .mentors.memory import Memory, MentorMemory, RememberedMentor, open_memories
from .parts import (
    DistillLoss,
    Filter,
    Mentoring,
    Metainfo,
    Part,
    Scorer,
    build_part,
    check_scores,
    rehearse,
)
from .record import SCOPE, LessonRecord
from .registry import MODELS
from .standing import Standing
from .structures import Answer, Lesson, Reading, Scores, Temperatures
from .tasks import Samples, Task, build_task
from .tasks.base import check_losses, check_readings
from .tasks.heads import Output, scaled

P = TypeVar('P', bound=Part)

# What a classroom adds to its student; copies, pickles and exports go without.
CLASSROOM = frozenset(
    {
        'task',
        'members',
        'mentors',
        'scorer',
        'scorer_is_default',
        'knowledge_filter',
        'mentoring',
        'distill_loss',
        'record',
        'standing',
    }
)


@MODELS.register_module()
class ClassroomDistiller(StudentInPlace):
    """One student learns from several frozen mentors (arXiv 2409.20237).

    What is built is the student itself: the stock model, its class changed in place to one that
    overrides ``loss`` (and what the mentors need to come along). Parameters, their names,
    checkpoints, modes and methods are the student's own; :meth:`export` gives it back.

    Args:
        student: Config of any MMPose top-down estimator with a heatmap or SimCC head or any
            MMPretrain classifier, unchanged.
        mentors: Each ``dict(name=, zoo=)`` or ``dict(name=, config=, checkpoint=)``, see
            :class:`MentorSettings`.
        scorer: Config of the scorer; the task's default if None.
        knowledge_filter: Config of the filter; ``UniformFilter`` if None.
        mentoring: Config of the mentoring rule; temperature 1 if None.
        distill_loss: Config of the distillation loss; ``KLDistillLoss`` if None.
        data_preprocessor: The student's, where the config has it beside the model (MMPretrain).
        memory: ``dict(dir=FOLDER, keep=NUMBER or None)``: mentors' answers are kept there, and each
            is asked once for each view of each sample (see :class:`Memory`). The training data must
            be :class:`FixedViews`.

    Raises:
        ValueError: For mentors or parts that do not fit this student.
        TypeError: For parts that break their contract.

    Attributes:
        members: Each mentor with its bridge.
        record: What the last lesson was like.
        standing: How well everybody has done so far, where the filter asks for it.
    """

    added = CLASSROOM
    task: Task[Any]
    members: tuple[Member, ...] = ()
    scorer: Scorer[Any]
    knowledge_filter: Filter
    mentoring: Mentoring
    distill_loss: DistillLoss
    record: LessonRecord | None = None
    standing: Standing

    def __init__(
        self,
        student: Mapping[str, Any],
        mentors: Sequence[Mapping[str, Any]] = (),
        scorer: dict[str, Any] | None = None,
        knowledge_filter: dict[str, Any] | None = None,
        mentoring: dict[str, Any] | None = None,
        distill_loss: dict[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        # The student is initialised already.
        loss = _part(distill_loss, dict(type='KLDistillLoss'), DistillLoss)
        task = build_task(self.student, loss.sharpness)
        parts = dict(
            scorer=_part(scorer, task.default_scorer, Scorer),
            knowledge_filter=_part(knowledge_filter, dict(type='UniformFilter'), Filter),
            mentoring=_part(mentoring, dict(type='FixedMentoring', tau=1.0), Mentoring),
            distill_loss=loss,
        )
        kept = None if memory is None else Memory.of(memory)
        members = build_members(self, task, mentors, kept)
        self.__dict__.update(task=task, members=members, standing=Standing(), **parts)
        self.scorer_is_default = scorer is None
        self._check_parts()
        if knowledge_filter is None and self.members:
            MMLogger.get_current_instance().info(
                'no knowledge_filter is set: every mentor teaches every sample (UniformFilter)'
            )

    def _check_parts(self) -> None:
        task, bridges = self.task, [bridge for _, bridge in self.members]
        task.check_scorer(self.scorer)
        task.check_filter(self.knowledge_filter)
        task.check_loss(self.distill_loss, bridges)
        check_consent(self.distill_loss, self.knowledge_filter)
        shape = (task.keypoints, task.places)
        parts = (self.knowledge_filter, self.mentoring, self.distill_loss)
        rehearse(*parts, len(bridges), shape, task.has_target)

    def forward(
        self, inputs: Tensor, data_samples: Samples | None = None, mode: str = 'tensor'
    ) -> Output | Samples | dict[str, Any]:
        """As the student's; with ``mode='loss'`` it is the lesson."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        return super().forward(inputs, data_samples, mode=mode)

    @torch.compiler.disable  # the head's forward is replaced for a while
    def loss(self, inputs: Tensor, data_samples: Samples) -> dict[str, Any]:
        """One lesson.

        Args:
            inputs: ``(N, C, H, W)``, preprocessed for the student.
            data_samples: N samples with ground truth.

        Returns:
            ``loss_task*`` (the student's own losses), ``loss_distill``, and ``classroom/*``.

        Raises:
            RuntimeError: For a copy of the model, which holds no mentors.
        """
        self._meet(data_samples)
        apart = {mentor.source: mentor for mentor in self.mentors}
        begun = {source: m.begin(inputs, data_samples) for source, m in apart.items()}
        feats, output = self.task.forward(self, inputs)
        output, pull, against = in_float32(output), None, None
        mentors, finite = self._ask(inputs, data_samples, begun)
        with torch.autocast(inputs.device.type, enabled=False):
            student = self.task.read(output)
            check_readings([student, *mentors], [bridge for _, bridge in self.members])
            scores = self._score([student, *mentors], data_samples, finite)
            lesson = self.knowledge_filter(scores, [reading.parts[0] for reading in mentors])
            if scores.finite is not None:
                lesson = lesson.keep(scores.finite).about(mentors)
            distill, temperatures = self._distill(student, mentors, scores, lesson)
        losses = self._task_losses(feats, output, data_samples, lesson)
        if mentors:
            task, _ = self.parse_losses(losses)
            against = contradictions(student, mentors, lesson, task, output)
            distill, pull = consented(distill, task, output, self.distill_loss)
        names = [mentor.name for mentor in self.mentors]
        self.record = LessonRecord.of(names, scores, lesson, temperatures, finite, pull, against)
        return dict(losses, loss_distill=distill, **self.record.scalars())

    @torch.no_grad()
    def _ask(
        self,
        inputs: Tensor,
        data_samples: Samples,
        begun: Mapping[object, Callable[[], Answer] | None] | None = None,
    ) -> tuple[list[Reading], list[Tensor]]:
        """What the mentors say, in the student's terms, and whether it is finite.

        One after the other: of each only what is taught is kept, unless it is asked for again.
        Those that have begun on a device of their own are waited for.
        """
        readings, finite = [], []
        numbers, sources = view_numbers(data_samples), [m.source for m in self.mentors]
        again: dict[object, Answer] = {}
        for (mentor, bridge), source in zip(self.members, sources):
            bridge.check_inputs((inputs.shape[-2], inputs.shape[-1]))
            if source in again:
                answer = again[source]
            else:
                wait = (begun or {}).get(source)
                answer = wait() if wait else mentor(inputs, numbers, data_samples)
            if sources.count(source) > 1:
                again[source] = answer
            finite.append(answer.finite)
            with torch.autocast(inputs.device.type, enabled=False):
                readings.append(bridge.read(answer))
        return readings, finite

    @torch.no_grad()
    def _score(
        self, readings: Sequence[Reading], data_samples: Samples, finite: Sequence[Tensor]
    ) -> Scores:
        truth = self.task.ground_truth(data_samples, readings[0].guess.device)
        bridges = [bridge for _, bridge in self.members]
        if self.task.watches:
            self.task.watch(readings, bridges, truth)
        scores = self.task.score(self.scorer, readings, bridges, truth)
        # Once, which waits for the device; what a broken network says has no score.
        closely = self.record is None and all(r.guess.isfinite().all() for r in readings)
        check_scores(self.scorer, scores, len(readings), len(data_samples), closely)
        scores = replace(scores, finite=torch.stack(list(finite))) if finite else scores
        return self.standing.after(scores) if self.knowledge_filter.needs_standing else scores

    def _distill(
        self, student: Reading, mentors: Sequence[Reading], scores: Scores, lesson: Lesson
    ) -> tuple[Tensor, Temperatures]:
        """The distillation loss over all parts, and the temperatures of the first."""
        losses, temperatures = [], []
        for i, z in enumerate(student.parts):
            theirs = [reading.parts[i] for reading in mentors]
            temperature = self.mentoring(lesson, z.detach(), theirs)
            told = (lesson, temperature, scores.heard, scores.target)
            losses.append(self.distill_loss(z, theirs, *told))
            temperatures.append(temperature)
        return sum(losses[1:], losses[0]), temperatures[0]

    def _task_losses(
        self, feats: object, output: Output, data_samples: Samples, lesson: Lesson
    ) -> dict[str, Any]:
        """The student's own losses as ``loss_task*``: loss_kpt is loss_task_kpt."""
        constant = self.knowledge_filter.task_weight
        weight = lesson.task_weight if constant is None else None
        losses = self.task.task_loss(self, feats, output, data_samples, weight)
        check_losses(losses, self.task)
        if constant is not None and constant != 1:
            losses = scaled(losses, constant)
        return {
            key.replace('loss', 'loss_task', 1) if 'loss' in key else key: value
            for key, value in losses.items()
        }

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """As the student's; the lesson's statistics are no losses, whatever a mentor is called."""
        told = {key: value for key, value in losses.items() if key.startswith(SCOPE)}
        own = {key: value for key, value in losses.items() if key not in told}
        total, log_vars = super().parse_losses(own)
        log_vars.update(told)
        return total, log_vars

    @property
    def mentors(self) -> tuple[Mentor | RememberedMentor, ...]:
        """The mentors; a copy of the model has none."""
        return tuple(mentor for mentor, _ in self.members)

    @property
    def memories(self) -> tuple[MentorMemory, ...]:
        """What those mentors have answered whose answers are kept."""
        return tuple(m.memory for m in self.mentors if isinstance(m, RememberedMentor))

    def prepare(self, dataset: BaseDataset) -> None:
        """Look at the training data before the first iteration.

        They are MMEngine's or any map-style data set of packed samples.

        Their metainfo says whose keypoints or classes the mentors' are joined with, their pipeline
        in which order colours arrive. Where mentors have ``own_resolution`` the pipeline is made
        to cut their crops as well.

        Raises:
            ValueError: Where they lack what the scorer needs, or do not fit student, mentors or
                memory.
        """
        metainfo = stated_metainfo(dataset)
        if not metainfo:
            metainfo = self.task.find_metainfo([dataset[0]['data_samples']])
        self._join(metainfo, colour_order(dataset))
        self.cut_own_crops(dataset)
        self.task.check_data(self.scorer, dataset)
        open_memories(self.memories, dataset, self.data_preprocessor)

    @property
    def has_own_crops(self) -> bool:
        """Whether mentors are shown crops that are cut for them."""
        return has_own_crops(self.members)

    def cut_own_crops(self, dataset: object, remembered: bool = True) -> None:
        """Make a data set's pipelines cut them, see :func:`~classroomkd_mm.members.cutting`."""
        preprocessor = self.data_preprocessor
        self.members = cutting(self.members, dataset, preprocessor, remembered)

    def try_mentors(self, dataset: BaseDataset) -> None:
        """Ask every mentor for the first sample: what fails, fails before the first iteration."""
        first = self.data_preprocessor(pseudo_collate([dataset[0]]), False)
        self._ask(first['inputs'], first['data_samples'])

    def _meet(self, data_samples: Samples) -> None:
        """Find out about the data set from its samples where nobody has said :meth:`prepare`."""
        if 'task' not in vars(self):
            raise RuntimeError(
                'this is a copy of a classroom, which holds no mentors: train the original'
            )
        if not self.task.metainfo:
            metainfo = self.task.find_metainfo(data_samples)
            if metainfo:
                self._join(metainfo)

    def _join(self, metainfo: Metainfo, arrives: str | None = None) -> None:
        self.task.metainfo = metainfo
        better = self.task.better_scorer(metainfo) if self.scorer_is_default else None
        if better is not None:
            self.scorer = build_part(better, Scorer)
            MMLogger.get_current_instance().info(f'scorer is not set: these data take {better}')
        self.members = tuple(joined(member, self, metainfo, arrives) for member in self.members)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ClassroomDistiller:
        if self.members:  # a copy has none, and stays one
            self.members = tuple((mentor.moved(fn), b.moved(fn)) for mentor, b in self.members)
        return super()._apply(fn, recurse)


def _part(cfg: dict[str, Any] | None, default: dict[str, Any], contract: type[P]) -> P:
    return build_part(default if cfg is None else cfg, contract)
