"""What the samples that were looked at say of each mentor."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .lessons import Looked

SHOWN_CLASSES = 30


def alone_right(looked: Looked) -> np.ndarray:
    """How many samples each member was right on, and no other: ``(1 + M,)``."""
    right = looked.right & looked.known
    return (right & (right.sum(0) == 1)).sum(1)


def right_where_wrong(looked: Looked) -> np.ndarray:
    """Share of samples on which the row's member is right and the column's wrong.

    ``(1 + M, 1 + M)``, 0 on the diagonal.
    """
    right, count = looked.right[:, looked.known].astype(float), max(looked.known.sum(), 1)
    return right @ (1 - right).T / count


def taught_by_keypoint(looked: Looked) -> np.ndarray:
    """Share of each keypoint's labelled samples in which each mentor taught it, ``(M, K)``."""
    knows = ~np.isnan(looked.by_keypoint[1:])
    counted = looked.counted & knows
    return _ratio((looked.taught & counted).sum(1), counted.sum(1))


def ahead_by_keypoint(looked: Looked) -> np.ndarray:
    """Share of them in which its score of the keypoint is above the student's, ``(M, K)``."""
    student, mentors = looked.by_keypoint[0], looked.by_keypoint[1:]
    judged = ~np.isnan(mentors) & ~np.isnan(student)
    return _ratio(((mentors > student) & judged).sum(1), judged.sum(1))


def right_by_class(looked: Looked) -> tuple[list[int], np.ndarray, list[int]]:
    """Classes, the share of each on which each member is right ``(1 + M, C')``, and how many.

    The classes with most samples, in the order of their numbers.
    """
    truth = looked.truth[looked.known]
    classes, counts = np.unique(truth, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind='stable')[:SHOWN_CLASSES])
    classes, counts = classes[kept], counts[kept]
    right = looked.right[:, looked.known]
    shares = [right[:, truth == each].mean(1) for each in classes]
    return classes.tolist(), np.array(shares).T, counts.tolist()


def disagreement(looked: Looked) -> np.ndarray:
    """How far apart the members are on each sample, the mean of all pairs, ``(N,)``.

    Of poses the mean distance of their keypoints over the picture's diagonal; of classes the total
    variation of their distributions, in [0, 1].
    """
    pairs = list(combinations(looked.guesses, 2))
    if not pairs:
        return np.zeros(len(looked.numbers))
    if not looked.is_pose:
        return np.mean([np.abs(a - b).sum(-1) / 2 for a, b in pairs], axis=0)
    weights = np.where(looked.labelled.any(-1, keepdims=True), looked.labelled, True)
    far = np.mean([np.linalg.norm(a - b, axis=-1) for a, b in pairs], axis=0)
    diagonal = np.array([np.hypot(image.shape[0], image.shape[1]) for image in looked.pictures])
    return (far * weights).sum(-1) / weights.sum(-1) / diagonal


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where there is nothing to have a share of."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
