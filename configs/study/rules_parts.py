"""Rules that configs/study/rules.py tries, for the drawn people's crops of 48x64 and maps of 24x32."""

from dataclasses import replace

import torch

from classroomkd_mm.distiller import ClassroomDistiller
from classroomkd_mm.functional import kl_distill, sample_score
from classroomkd_mm.parts.filters import KnowledgeFilter, UniformFilter, _everyone
from classroomkd_mm.parts.losses import KLDistillLoss
from classroomkd_mm.registry import MODELS

W, H, STRIDE, SIGMA, BETA = 24, 32, 2, 2, 10.0


@MODELS.register_module()
class SoftFilter(KnowledgeFilter):
    """Weight 1 - exp(-error of student / error of mentor) in place of 0 or 1."""

    def forward(self, scores, mentors=()):
        lesson = super().forward(scores, mentors)
        error = (1 - sample_score(scores.values, scores.judged)).clamp(min=1e-4)
        weight = lesson.ranks[1:] * (1 - torch.exp(-error[:1] / error[1:]))
        return replace(lesson, active=torch.ones_like(lesson.active), weight=weight)


@MODELS.register_module()
class MixtureFilter(UniformFilter):
    """Weights softmax(score / T) over mentors, per sample or keypoint."""

    def __init__(self, T, granularity='sample'):
        super().__init__()
        self.T, self.granularity = T, granularity

    def forward(self, scores, mentors=()):
        whole = self.granularity == 'sample'
        judged = sample_score(scores.values, scores.judged) if whole else scores.values
        weight = (judged[1:] / self.T).softmax(0)
        active = torch.ones_like(weight, dtype=torch.bool)
        return replace(_everyone(scores, weight.mean(-1, keepdim=True)), weight=weight, active=active)


@MODELS.register_module()
class StandardKL(KLDistillLoss):
    """Maps standardised before the softmax, times 3."""

    def distance(self, student, mentors, weight, tau, tau_s, target):
        maps = [student, *mentors]
        maps = [(z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True).clamp(min=1e-3) for z in maps]
        return kl_distill(3 * maps[0], [3 * z for z in maps[1:]], weight, tau, tau_s)


class _Truth(ClassroomDistiller):
    def _score(self, readings, data_samples):
        self.__dict__['_truth'] = self.task.ground_truth(data_samples, readings[0].guess.device)
        return super()._score(readings, data_samples)

    def _distill(self, student, mentors, scores, lesson):
        return super()._distill(student, [self._changed(m) for m in mentors], scores, lesson)


def _from(point):
    """Columns and rows of the map, counted from a point ``(N, K, 2)``."""
    x = torch.arange(W)[None, None, None, :] - point[..., 0, None, None]
    return x, torch.arange(H)[None, None, :, None] - point[..., 1, None, None]


@MODELS.register_module()
class CorrectedDistiller(_Truth):
    """Each mentor's map moved so that it peaks at the label."""

    def _changed(self, reading):
        (z,) = reading.parts
        shift = ((self._truth.keypoints - reading.guess) / STRIDE).round().long()
        x, y = _from(torch.where(self._truth.labelled[..., None], shift, 0))
        inside = ((x >= 0) & (x < W) & (y >= 0) & (y < H)).flatten(2)
        index = (y.clamp(0, H - 1) * W + x.clamp(0, W - 1)).flatten(2)
        return replace(reading, parts=(torch.where(inside, z.gather(-1, index), 0),))


@MODELS.register_module()
class LabelDistiller(_Truth):
    """Control: the label's own Gaussian in place of every mentor's map."""

    def _changed(self, reading):
        x, y = _from(self._truth.keypoints / STRIDE)
        gaussian = torch.exp(-(x**2 + y**2) / (2 * SIGMA**2))
        return replace(reading, parts=((BETA * gaussian).flatten(2),))
