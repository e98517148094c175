"""What happened in single lessons: asked anew, of some training samples and the last checkpoint.

A run logs means. Who was right where, what each member said to a sample and who taught it there is
asked of the classroom itself, without a gradient: the same scorer, filter and mentoring as in
training, with the student as it is now, in eval mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from ..datasets import FixedViews, colour_order
from ..distiller import ClassroomDistiller
from ..functional import sample_score
from ..structures import ClassTruth, Lesson, PoseTruth, Reading, Scores

Batch = Mapping[str, Any]
RIGHT = 0.5  # of a pose's score: COCO's loosest threshold of OKS


@dataclass(frozen=True)
class Looked:
    """What was seen of N samples; members are the student, then the M mentors.

    Attributes:
        names: The mentors'.
        numbers: Which samples, ``(N,)``.
        pictures: Each as the student sees it, uint8 ``(H, W, 3)`` in RGB.
        scores: ``(1 + M, N)``, NaN where it is not known.
        right: bool ``(1 + M, N)``: the top class is the label; the pose's score is at least the
            bound that counts as right.
        known: bool ``(N,)``, whether it can be right or wrong: it has a label.
        ranks: ``(1 + M, N)``, the mean of a sample's keypoints; NaN where nobody is ranked.
        temperatures: ``(M, N)``, the mean of what was taught; NaN where nothing was.
        taught: bool ``(M, N, K')``, ``K'`` is K where each keypoint is filtered by itself, else 1.
        counted: bool ``(M, N, K')``, what could be taught.
        guesses: Keypoints ``(1 + M, N, K, 2)`` in pixels of the picture, or probabilities
            ``(1 + M, N, C)``.
        truth: Keypoints ``(N, K, 2)``, or true classes ``(N,)``, -1 where there is none.
        labelled: bool ``(N, K)``, which keypoints count; ``(N, 1)`` for classes.
        by_keypoint: Scores ``(1 + M, N, K)``, NaN where one is not judged.
    """

    names: tuple[str, ...]
    numbers: np.ndarray
    pictures: tuple[np.ndarray, ...]
    scores: np.ndarray
    right: np.ndarray
    known: np.ndarray
    ranks: np.ndarray
    temperatures: np.ndarray
    taught: np.ndarray
    counted: np.ndarray
    guesses: np.ndarray
    truth: np.ndarray
    labelled: np.ndarray
    by_keypoint: np.ndarray

    @property
    def is_pose(self) -> bool:
        """Whether the guesses are keypoints."""
        return self.guesses.ndim == 4


# Along which axis batches are put together.
AXES = dict(
    scores=1, right=1, known=0, ranks=1, temperatures=1, taught=1, counted=1, guesses=1, truth=0,
    labelled=0, by_keypoint=1,
)  # fmt: skip


def fixed_numbers(dataset: FixedViews, count: int) -> list[int]:
    """Which samples are looked at: the same ones whenever a page of these data is made."""
    size = len(dataset)
    drawn = np.random.default_rng(0).choice(size, size=min(count, size), replace=False)
    return sorted(drawn.tolist())


def look(
    model: ClassroomDistiller,
    dataset: FixedViews,
    numbers: Sequence[int],
    batch_size: int = 16,
    right: float = RIGHT,
    advance: Callable[[int], None] = lambda done: None,
) -> Looked:
    """What a classroom does with these samples.

    Args:
        model: It, prepared for the data; it is left in eval mode.
        dataset: Its training data; a sample's first view is shown.
        numbers: Of the samples.
        batch_size: A filter that ranks batches ranks these.
        right: From which score on a pose counts as right.
        advance: Told how many samples more are done.

    Raises:
        ValueError: For a task that is neither pose estimation nor classification.
    """
    model.eval()
    parts, pictures, order = [], [], colour_order(dataset)
    for start in range(0, len(numbers), batch_size):
        samples = [dataset[number] for number in numbers[start : start + batch_size]]
        pictures += [picture(sample['inputs'], order) for sample in samples]  # type: ignore[index]
        parts.append(
            one_batch(model, model.data_preprocessor(pseudo_collate(samples), False), right)
        )
        advance(len(samples))
    whole = {key: np.concatenate([p[key] for p in parts], axis) for key, axis in AXES.items()}
    names = tuple(mentor.name for mentor in model.mentors)
    return Looked(names, np.array(numbers), tuple(pictures), **whole)


@torch.no_grad()
def one_batch(model: ClassroomDistiller, data: Batch, right: float) -> dict[str, np.ndarray]:
    """The arrays of :class:`Looked`, of one preprocessed batch."""
    inputs, samples = data['inputs'], data['data_samples']
    student = model.task.read(model.task.forward(model, inputs)[1])
    mentors, finite = model._ask(inputs, samples)
    scores = model._score([student, *mentors], samples, finite)
    theirs = [reading.parts[0] for reading in mentors]
    lesson = model.knowledge_filter(scores, theirs)
    lesson = lesson.keep(torch.stack(finite)).about(mentors) if mentors else lesson
    warmth = model.mentoring(lesson, student.parts[0], theirs)
    own = warmth[0] if isinstance(warmth, tuple) else warmth
    truth = model.task.ground_truth(samples, inputs.device)
    found = {**_judged(scores), **_lesson(lesson, scores, own)}
    found.update(_answers([student, *mentors], truth, scores))
    arrays = {key: value.cpu().numpy() for key, value in found.items()}
    if arrays['right'].size == 0:  # of a pose it is its score that says it
        arrays['right'] = np.nan_to_num(arrays['scores']) >= right
    return arrays


def _judged(scores: Scores) -> dict[str, Tensor]:
    judged = scores.judged.expand_as(scores.values)
    whole = sample_score(scores.values, scores.judged)[..., 0]
    return dict(
        scores=torch.where(judged.any(-1), whole, torch.nan),
        by_keypoint=torch.where(judged, scores.values, torch.nan),
        labelled=scores.labelled,
        known=scores.labelled.any(-1),
    )


def _lesson(lesson: Lesson, scores: Scores, temperature: Tensor) -> dict[str, Tensor]:
    by_keypoint = lesson.active.shape[-1] > 1
    counted = scores.taught if by_keypoint else scores.taught.any(-1, keepdim=True)
    counted = counted.expand_as(lesson.active)
    taught = lesson.active & counted
    temperature, each = torch.broadcast_tensors(temperature, taught)
    return dict(
        taught=taught,
        counted=counted,
        ranks=torch.where(scores.unlabelled[:, 0], torch.nan, lesson.ranks.mean(-1)),
        temperatures=(temperature * each).sum(-1) / each.sum(-1),  # NaN where nothing is taught
    )


def _answers(readings: Sequence[Reading], truth: object, scores: Scores) -> dict[str, Tensor]:
    """Guesses and truth; an empty ``right`` where the score alone says it."""
    if isinstance(truth, PoseTruth):
        guesses = torch.stack([reading.guess.detach() for reading in readings])
        return dict(guesses=guesses, truth=truth.keypoints, right=guesses.new_zeros(0))
    if not isinstance(truth, ClassTruth) or scores.target is None:
        raise ValueError(f'the page knows poses and classes, and no {type(truth).__name__}')
    classes = readings[0].guess.shape[-1]
    guesses = torch.stack([_probabilities(reading, classes) for reading in readings])
    target = scores.target[:, 0]
    return dict(guesses=guesses, truth=target, right=guesses.argmax(-1) == target)


def _probabilities(reading: Reading, classes: int) -> Tensor:
    """``(N, C)``; 0 for classes that the member does not know."""
    own = reading.guess.detach().softmax(-1)
    if reading.places is None:
        return own
    return own.new_zeros(len(own), classes).index_copy(1, reading.places, own)


def picture(inputs: Tensor, order: str | None) -> np.ndarray:
    """A sample's inputs ``(C, H, W)`` before they are normalised, as uint8 ``(H, W, 3)`` in RGB."""
    values = inputs.detach().cpu().float().numpy().transpose(1, 2, 0)
    if inputs.dtype is not torch.uint8:
        low, high = values.min(), values.max()
        values = (values - low) / max(high - low, 1e-6) * 255
    values = values.clip(0, 255).astype(np.uint8)
    if values.shape[-1] != 3:
        return np.repeat(values[..., :1], 3, axis=-1)
    return values if order == 'rgb' else np.ascontiguousarray(values[..., ::-1])
