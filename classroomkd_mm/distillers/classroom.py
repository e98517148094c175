"""ClassroomKD: the lesson, told in one page."""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import Tensor, nn

from ..filters import Lesson
from ..losses import Temperature
from ..mentors import Classroom, as_float, build_mentor
from ..mentors.checkpoint import wrongly_shaped
from ..registry import MODELS, build_part
from ..scorers import Scores
from ..tasks import build_task

# What the distiller takes over from its student, so that to an optimizer, a wrapper or a
# checkpoint it *is* the student: same parameters, same names, same checkpoint conversions.
STUDENT_TABLES = (
    '_modules',
    '_parameters',
    '_buffers',
    '_non_persistent_buffers_set',
    '_load_state_dict_pre_hooks',
    '_state_dict_hooks',
)


@MODELS.register_module()
class ClassroomDistiller(BaseModel):
    """One student learns from several frozen mentors (arXiv 2409.20237).

    ``predict`` and ``tensor`` modes, ``state_dict`` and parameters are the student's alone.

    Args:
        student: Config of any MMPose top-down estimator with a heatmap head or any MMPretrain
            classifier, unchanged.
        mentors: Each ``dict(name=, config=, checkpoint=)``, see :func:`build_mentor`.
        scorer: Config of the scorer; the task's default if None.
        knowledge_filter: Config of the filter; ``UniformFilter`` if None.
        mentoring: Config of the mentoring rule; temperature 1 if None.
        distill_loss: Config of the distillation loss.
        data_preprocessor: The student's, where the config has it beside the model (MMPretrain).

    Raises:
        ValueError: For mentors that cannot teach this student.
    """

    def __init__(
        self,
        student: dict,
        mentors: Sequence[dict] = (),
        scorer: Optional[dict] = None,
        knowledge_filter: Optional[dict] = None,
        mentoring: Optional[dict] = None,
        distill_loss: Optional[dict] = None,
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        super().__init__()
        if data_preprocessor is not None:
            student = {'data_preprocessor': data_preprocessor, **student}
        self._become(MMENGINE_MODELS.build(student))
        self.task = build_task(self.student)
        if not isinstance(mentors, (list, tuple)):
            raise TypeError(f'mentors must be a list of dicts, got {type(mentors).__name__}')
        self.__dict__['mentors'] = Classroom(
            build_mentor(cfg, i, self.data_preprocessor) for i, cfg in enumerate(mentors)
        )
        names = [mentor.name for mentor in self.mentors]
        if len(set(names)) < len(names):
            raise ValueError(f'mentors must have different names, got {names}')
        for mentor in self.mentors:
            self.task.admit(mentor)
            adapted = ', '.join(mentor.adaptations) or 'nothing'
            MMLogger.get_current_instance().info(f'mentor {mentor.name!r}: adapted {adapted}')
        self._add_parts(
            scorer=scorer or self.task.default_scorer,
            knowledge_filter=knowledge_filter or dict(type='UniformFilter'),
            mentoring=mentoring or dict(type='FixedMentoring', tau=1.0),
            distill_loss=distill_loss or dict(type='KLDistillLoss'),
        )
        if knowledge_filter is None and self.mentors:
            MMLogger.get_current_instance().info(
                'no knowledge_filter is set: every mentor teaches every sample (UniformFilter)'
            )
        self.task.check_scorer(self.scorer)
        self.task.check_filter(self.knowledge_filter)
        self.task.check_loss(self.distill_loss)

    def _become(self, student: nn.Module) -> None:
        for table in STUDENT_TABLES:
            self.__dict__[table] = student.__dict__[table]
        self._version = student._version
        self.__dict__['student'] = student
        self._register_load_state_dict_pre_hook(_refuse_shapes, with_module=True)
        self.register_load_state_dict_post_hook(_refuse_mismatch)

    def __getattr__(self, name: str) -> Any:
        """What else a stock model offers (``train_cfg``, ``get_layer_depth``) is the student's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if 'student' not in self.__dict__:
                raise
            return getattr(self.__dict__['student'], name)

    def _add_parts(self, **parts: dict) -> None:
        # Past nn.Module's registration: these have no weights and no place in a checkpoint.
        for name, cfg in parts.items():
            self.__dict__[name] = part = build_part(cfg, name)
            if getattr(part, 'role', name) != name:
                raise ValueError(
                    f'{name}={type(part).__name__} is a {part.role}: it belongs in {part.role}='
                )

    def init_weights(self) -> None:
        """Initialise the student."""
        self.student.init_weights()

    def train(self, mode: bool = True) -> 'ClassroomDistiller':
        """Set the student's mode; mentors stay in eval mode."""
        self.student.training = mode
        return super().train(mode)

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> 'ClassroomDistiller':
        for mentor in self.mentors:
            mentor.apply(fn)
        return super()._apply(fn, *args, **kwargs)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """As the student's; with ``mode='loss'`` it is the lesson."""
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.student(inputs, data_samples, mode=mode)

    @torch.compiler.disable  # the head's forward is replaced for a while
    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """One lesson.

        Args:
            inputs: ``(N, 3, H, W)``, preprocessed for the student.
            data_samples: N samples with ground truth.

        Returns:
            ``loss_task_*`` (the head's own losses), ``loss_distill``, and ``classroom/*``.
        """
        self.task.meet(data_samples)
        feats, output = self.task.forward(self.student, inputs)
        taught = [mentor(inputs) for mentor in self.mentors]
        outputs = [self.task.adapt(out, m) for m, (out, _) in zip(self.mentors, taught)]
        with torch.autocast(inputs.device.type, enabled=False):
            plain = as_float(output)
            scores = self._score(plain, outputs, data_samples)
            parts = self._parts(plain, outputs)
            lesson = self.knowledge_filter(scores, parts[0][1])
            if taught:
                lesson = lesson.keep(torch.stack([healthy for _, healthy in taught]))
            temperatures = [self.mentoring(lesson, z.detach(), theirs) for z, theirs in parts]
            distill = sum(
                self.distill_loss(z, theirs, lesson, temperature, scores.taught, scores.target)
                for (z, theirs), temperature in zip(parts, temperatures)
            )
        losses = self.task.task_loss(self.student, feats, output, data_samples, lesson.task_weight)
        return dict(
            _as_task_losses(losses),
            loss_distill=distill,
            **self._statistics(scores, lesson, temperatures[0], [h for _, h in taught]),
        )

    @torch.no_grad()
    def _score(self, output: Any, outputs: Sequence[Any], data_samples: Sequence[Any]) -> Scores:
        return self.task.score(self.scorer, output, self.mentors, outputs, data_samples)

    def _parts(self, output: Any, outputs: Sequence[Any]) -> list[tuple[Tensor, list[Tensor]]]:
        """The student's logits with all mentors' in its form: one part, two for a SimCC student.

        A rule that looks at logits to choose who teaches is shown the first part.
        """
        beta = getattr(self.distill_loss, 'beta', 1.0)
        ours = self.task.logits(output, beta)
        with torch.no_grad():
            theirs = [self.task.logits(out, beta, m) for m, out in zip(self.mentors, outputs)]
        return [(part, [parts[i] for parts in theirs]) for i, part in enumerate(ours)]

    @torch.no_grad()
    def _statistics(
        self, scores: Scores, lesson: Lesson, temperature: Temperature, healthy: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        if isinstance(temperature, tuple):
            temperature = temperature[0]  # the mentors'
        values = scores.values * scores.labelled
        mean = values.sum((1, 2)) / scores.labelled.sum().clamp(min=1)
        stats = {'classroom/student_score': mean[0]}
        # Of what can be taught: labelled keypoints, or samples with any.
        counted = scores.labelled.any(-1, keepdim=True)
        if lesson.active.shape[-1] > 1:
            counted = scores.labelled
        count = counted.sum().clamp(min=1)
        active = lesson.active & counted
        each = active.expand_as(temperature)
        warmth = (temperature * each).sum((1, 2)) / each.sum((1, 2)).clamp(min=1)
        share = active.sum((1, 2)) / count
        rank = (lesson.ranks * counted).sum((1, 2)) / count
        for i, mentor in enumerate(self.mentors):
            stats.update(
                {
                    f'classroom/{mentor.name}/active': share[i],
                    f'classroom/{mentor.name}/score': mean[i + 1],
                    f'classroom/{mentor.name}/rank': rank[i + 1],
                    f'classroom/{mentor.name}/temperature': torch.where(share[i] > 0, warmth[i], 1),
                    f'classroom/{mentor.name}/muted': 1 - healthy[i].float(),
                }
            )
        return stats


def _as_task_losses(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """The head's losses as ``loss_task*``: loss_kpt is loss_task_kpt, loss is loss_task."""
    return {
        key.replace('loss', 'loss_task', 1) if 'loss' in key else key: value
        for key, value in losses.items()
    }


def _refuse_shapes(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    """Weights of another shape are an error, not MMEngine's warning."""
    wrong = wrongly_shaped(module, state_dict, prefix)
    if wrong:
        raise RuntimeError(
            f'the checkpoint is not one of this student: {len(wrong)} wrongly shaped keys '
            f'({", ".join(wrong[:5])})'
        )


def _refuse_mismatch(module: nn.Module, keys: Any) -> None:
    """A checkpoint that does not fit the student is an error, not MMEngine's warning."""
    missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
    if missing or keys.unexpected_keys:
        raise RuntimeError(
            f'the checkpoint is not one of this student: {len(missing)} missing keys '
            f'{missing[:5]}, {len(keys.unexpected_keys)} unexpected keys '
            f'{keys.unexpected_keys[:5]}'
        )
