"""ClassroomKD: the lesson, told in one page."""

from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import Tensor, nn

from ..filters import Lesson
from ..losses import Temperature
from ..mentors import Classroom, build_mentor
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
        self.task.check_scorer(self.scorer)

    def _become(self, student: nn.Module) -> None:
        for table in STUDENT_TABLES:
            self.__dict__[table] = student.__dict__[table]
        self._version = student._version
        self.__dict__['student'] = student
        self.register_load_state_dict_post_hook(_refuse_mismatch)

    def _add_parts(self, **parts: dict) -> None:
        # Past nn.Module's registration: these have no weights and no place in a checkpoint.
        self.__dict__.update({name: build_part(cfg) for name, cfg in parts.items()})

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

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> Dict[str, Tensor]:
        """One lesson.

        Args:
            inputs: ``(N, 3, H, W)``, preprocessed for the student.
            data_samples: N samples with ground truth.

        Returns:
            ``loss_task_*`` (the head's own losses), ``loss_distill``, and ``classroom/*``.
        """
        feats, output = self.task.forward(self.student, inputs)
        taught = [mentor(inputs) for mentor in self.mentors]
        outputs = [mentor_output for mentor_output, _ in taught]
        with torch.autocast(inputs.device.type, enabled=False):
            scores = self._score(output, outputs, data_samples)
            student = self.task.logits(output, output)
            logits = [self.task.logits(out, output, m) for m, out in zip(self.mentors, outputs)]
            lesson = self.knowledge_filter(scores, logits)
            if taught:
                lesson = lesson.keep(torch.stack([healthy for _, healthy in taught]))
            temperature = self.mentoring(lesson, student.detach(), logits)
            distill = self.distill_loss(
                student, logits, lesson, temperature, scores.labelled, scores.target
            )
        losses = self.task.task_loss(self.student, feats, output, data_samples, lesson.task_weight)
        return dict(
            _as_task_losses(losses),
            loss_distill=distill,
            **self._statistics(scores, lesson, temperature, [h for _, h in taught]),
        )

    @torch.no_grad()
    def _score(
        self, output: Tensor, outputs: Sequence[Tensor], data_samples: Sequence[Any]
    ) -> Scores:
        return self.task.score(self.scorer, output.float(), self.mentors, outputs, data_samples)

    @torch.no_grad()
    def _statistics(
        self, scores: Scores, lesson: Lesson, temperature: Temperature, healthy: Sequence[Tensor]
    ) -> Dict[str, Tensor]:
        if isinstance(temperature, tuple):
            temperature = temperature[0]  # the mentors'
        values = scores.values * scores.labelled
        mean = values.sum((1, 2)) / scores.labelled.sum().clamp(min=1)
        stats = {'classroom/student_score': mean[0]}
        active = lesson.active.float()
        warmth = (temperature * active).sum((1, 2)) / active.sum((1, 2)).clamp(min=1)
        for i, mentor in enumerate(self.mentors):
            any_active = active[i].amax()
            stats.update(
                {
                    f'classroom/{mentor.name}/active': active[i].mean(),
                    f'classroom/{mentor.name}/score': mean[i + 1],
                    f'classroom/{mentor.name}/rank': lesson.ranks[i + 1].mean(),
                    f'classroom/{mentor.name}/temperature': torch.where(
                        any_active > 0, warmth[i], 1
                    ),
                    f'classroom/{mentor.name}/muted': 1 - healthy[i].float(),
                }
            )
        return stats


def _as_task_losses(losses: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The head's losses as ``loss_task*``: loss_kpt is loss_task_kpt, loss is loss_task."""
    return {
        key.replace('loss', 'loss_task', 1) if 'loss' in key else key: value
        for key, value in losses.items()
    }


def _refuse_mismatch(module: nn.Module, keys: Any) -> None:
    """A checkpoint that does not fit the student is an error, not MMEngine's warning."""
    missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
    if missing or keys.unexpected_keys:
        raise RuntimeError(
            f'the checkpoint is not one of this student: {len(missing)} missing keys '
            f'{missing[:5]}, {len(keys.unexpected_keys)} unexpected keys '
            f'{keys.unexpected_keys[:5]}'
        )
