"""A task and four rules of one's own, in one file. It lies beside the config, which says:

custom_imports = dict(imports=['outsider'])
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
ours = dict(type='ImgDataPreprocessor', mean=[0.5], std=[0.25])
raw = dict(type='ImgDataPreprocessor', mean=[0.0], std=[1.0])
model = dict(
    type='classroomkd_mm.ClassroomDistiller',
    student=dict(type='DenseNet', width=4, data_preprocessor=ours),
    mentors=[
        dict(name='a', config=dict(type='DenseNet', data_preprocessor=ours), checkpoint=None),
        dict(name='b', config=dict(type='DenseNet', data_preprocessor=raw), checkpoint=None),
    ],
    scorer=dict(type='PixelScorer'),  # the task's default: may be left out
    knowledge_filter=dict(type='BestFilter'),
    mentoring=dict(type='EntropyMentoring', gain=2.0),
    distill_loss=dict(type='ReverseKLDistillLoss', loss_weight=0.5),
)
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import Tensor, nn

from classroomkd_mm.functional import member_ranks, sample_score
from classroomkd_mm.parts import DistillLoss, Filter, Mentoring, Scorer
from classroomkd_mm.registry import MODELS, TASKS
from classroomkd_mm.structures import Lesson, Reading, Scores
from classroomkd_mm.tasks import Bridge, Task

UNKNOWN = 255  # a pixel without a class


# The network: it is there already, and knows nothing of a classroom.


@MMENGINE_MODELS.register_module()
class DenseNet(BaseModel):
    def __init__(self, classes=4, width=8, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.classes = classes
        self.body = nn.Conv2d(3, width, 3, padding=1)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        logits = self.head(self.body(inputs).relu())
        return logits if mode == 'tensor' else list(logits.argmax(1))

    def loss(self, inputs, data_samples):
        return self.loss_of(self(inputs), data_samples)

    def loss_of(self, logits, data_samples, weight=None):
        labels = torch.stack([sample.pixels for sample in data_samples])
        each = F.cross_entropy(logits, labels, ignore_index=UNKNOWN, reduction='none')
        if weight is not None:
            each = each * weight[:, None, None]
        return dict(loss_pixels=each.sum() / (labels != UNKNOWN).sum().clamp(min=1))


# The four parts.


@dataclass(frozen=True)
class PixelTruth:
    label: Tensor  # (N, K), UNKNOWN where there is none


@MODELS.register_module()
class PixelScorer(Scorer[PixelTruth]):
    truth = PixelTruth

    def forward(self, guesses, truth, metainfo):
        labelled = truth.label != UNKNOWN
        label = torch.where(labelled, truth.label, 0)
        index = label.expand(guesses.shape[:-1])[..., None]
        values = guesses.softmax(-1).gather(-1, index).squeeze(-1)
        return Scores(values, labelled, geometric=True, target=label)


@MODELS.register_module()
class BestFilter(Filter):
    def __init__(self, each_pixel=False):
        self.each_pixel = each_pixel

    def forward(self, scores, mentors=()):
        per_sample = sample_score(scores.values, scores.judged)  # (1 + M, N, 1)
        per_pixel = torch.where(scores.judged, scores.values, 0)  # (1 + M, N, K)
        compared = per_pixel if self.each_pixel else per_sample
        members = torch.arange(len(compared), device=compared.device).view(-1, 1, 1)
        active = (compared.argmax(0) == members)[1:]  # nobody where the student is the best
        return Lesson(active, active.float(), member_ranks(compared), 1 + per_sample[0, :, 0])


@MODELS.register_module()
class EntropyMentoring(Mentoring):
    def __init__(self, gain):
        self.gain = gain

    def forward(self, lesson, student, mentors):
        entropy = torch.stack([self.entropy(logits) for logits in (student, *mentors)])
        surer = (entropy[:1] - entropy[1:]).clamp(min=0)  # (M, N, K)
        return torch.where(lesson.active, 1 + self.gain * surer, 1)

    @staticmethod
    def entropy(logits):
        return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


@MODELS.register_module()
class ReverseKLDistillLoss(DistillLoss):
    def distance(self, student, mentors, weight, tau, tau_s, target):
        total = student.sum() * 0
        for logits, w, t, t_s in zip(mentors, weight, tau[..., None], tau_s[..., None]):
            log_p, log_q = (logits / t).log_softmax(-1), (student / t_s).log_softmax(-1)
            kl = (log_q.exp() * (log_q - log_p)).sum(-1)
            total = total + (w * (t * t_s).squeeze(-1) * kl).sum()
        return total


# The task: each pixel is a "keypoint", its classes are the places.


def reading(logits, sharpness):
    each = logits.float().flatten(2).transpose(1, 2)  # (N, D, H, W) -> (N, K, D)
    return Reading(each, (each * sharpness,))


@dataclass(frozen=True, eq=False)
class PixelBridge(Bridge):
    sharpness: float

    def read(self, answer):
        return reading(answer.parts[0], self.sharpness)

    def predict(self, network, inputs, data_samples):
        return network(inputs, data_samples, mode='predict')


@TASKS.register_module()
class PixelTask(Task[PixelTruth]):
    default_scorer = dict(type='PixelScorer')
    truth = PixelTruth
    networks = 'dense classifiers'
    has_target = True
    keypoints = 6  # any number: K depends on the picture

    def __init__(self, student, sharpness=1.0):
        super().__init__(student, sharpness)
        self.places = student.classes

    @classmethod
    def fits(cls, student):
        return isinstance(student, DenseNet)

    def bridge(self, name, network, config, settings):
        if not self.fits(network) or network.classes != self.places:
            raise ValueError(f'mentor {name!r} must be a DenseNet of {self.places} classes')
        return PixelBridge(name, (), None, self.sharpness)

    def forward(self, student, inputs):
        return None, student(inputs)

    def read(self, output):
        return reading(output, self.sharpness)

    def ground_truth(self, data_samples, device):
        labels = torch.stack([sample.pixels for sample in data_samples])
        return PixelTruth(labels.flatten(1).to(device))

    def task_loss(self, student, feats, output, data_samples, weight):
        return student.loss_of(output, data_samples, weight)

    def check_data(self, scorer, dataset):
        labels = set(dataset[0]['data_samples'].pixels.flatten().tolist()) - {UNKNOWN}
        if not labels <= set(range(self.places)):
            raise ValueError(f'the data set has classes {labels}, the student {self.places}')
