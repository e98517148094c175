"""Scorers: how well each member did on each sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor, nn

from .functional import keypoint_pck, keypoint_similarity, true_class_probability
from .registry import MODELS

NORMS = ('bbox', 'torso', 'head')


@dataclass(frozen=True)
class Scores:
    """Scores of one student and M mentors.

    Attributes:
        values: ``(1 + M, N, K)`` in [0, 1], the student in row 0.
        labelled: bool ``(N, K)``, which of them count.
        geometric: Whether a batch's score is the geometric mean of its samples'.
        correct: bool ``(M, N)``, for tasks where a mentor is right or wrong; None elsewhere.
        target: The true class ``(N, K)``, for tasks that have one; None elsewhere.
        known: bool ``(M, K)``, which keypoints each mentor has; None where all have all.
    """

    values: Tensor
    labelled: Tensor
    geometric: bool = False
    correct: Optional[Tensor] = None
    target: Optional[Tensor] = None
    known: Optional[Tensor] = None

    @property
    def taught(self) -> Tensor:
        """Which keypoints can be taught: bool ``(N, K)``, or ``(M, N, K)`` where mentors differ."""
        return self.labelled if self.known is None else self.labelled & self.known[:, None]

    def right(self, per_sample: Tensor, min_score: float) -> Tensor:
        """Bool ``(M, N, 1)``: the mentor itself is right."""
        if self.correct is not None:
            return self.correct[..., None]
        return per_sample[1:] >= min_score


@dataclass(frozen=True)
class PoseTruth:
    """What is known of a batch of people, in the network's input space.

    Attributes:
        keypoints: ``(N, K, 2)`` in pixels.
        labelled: bool ``(N, K)``.
        area: ``(N,)`` in square input pixels, or None.
        bbox: Width and height ``(N, 2)`` in input pixels, or None.
        head: Head size ``(N,)`` in input pixels, or None.
    """

    keypoints: Tensor
    labelled: Tensor
    area: Optional[Tensor] = None
    bbox: Optional[Tensor] = None
    head: Optional[Tensor] = None


@dataclass(frozen=True)
class ClassTruth:
    """What is known of a batch of pictures.

    Attributes:
        label: The true class ``(N,)``, or soft labels ``(N, C)`` (mixup, cutmix).
    """

    label: Tensor


@MODELS.register_module()
class TrueClassScorer(nn.Module):
    """The true class's probability; with soft labels ``exp(sum_c y_c log p_c)``."""

    role = 'scorer'
    truth = ClassTruth

    def forward(self, logits: Tensor, truth: ClassTruth) -> Scores:
        """Score ``(1 + M, N, C)`` logits."""
        values = true_class_probability(logits, truth.label)[..., None]
        soft = truth.label.dim() > 1
        label = truth.label.argmax(-1) if soft else truth.label
        return Scores(
            values,
            torch.ones_like(values[0], dtype=torch.bool),
            geometric=True,
            correct=logits[1:].argmax(-1) == label,
            target=label[:, None],
        )


@MODELS.register_module()
class OKSScorer(nn.Module):
    """Object Keypoint Similarity against the ground truth, as COCO computes it.

    Args:
        sigmas: Per-keypoint constants; the data set's own (from its metainfo) if None.
    """

    role = 'scorer'
    truth = PoseTruth

    def __init__(self, sigmas: Optional[Sequence[float]] = None) -> None:
        super().__init__()
        self.sigmas = sigmas

    def forward(self, keypoints: Tensor, truth: PoseTruth, metainfo: dict) -> Scores:
        """Score ``(1 + M, N, K, 2)`` predictions.

        Raises:
            ValueError: Where the data set has no areas, or no sigmas for its keypoints.
        """
        if truth.area is None:
            raise ValueError(
                "scorer=OKSScorer needs each person's area and the data set has none "
                "(no 'area' in its annotations); use scorer=dict(type='PCKScorer', ...)"
            )
        sigmas = self.sigmas if self.sigmas is not None else metainfo.get('sigmas')
        if sigmas is None or len(sigmas) != keypoints.shape[-2]:
            raise ValueError(
                f'scorer=OKSScorer needs {keypoints.shape[-2]} sigmas and the data set has '
                f'{0 if sigmas is None else len(sigmas)}; set scorer.sigmas or use PCKScorer'
            )
        sigmas = torch.as_tensor(sigmas, dtype=keypoints.dtype)
        sigmas = sigmas.to(
            keypoints.device, non_blocking=True
        )  # a blocking copy would wait for all
        return Scores(
            keypoint_similarity(keypoints, truth.keypoints, truth.area, sigmas), truth.labelled
        )


@MODELS.register_module()
class PCKScorer(nn.Module):
    """Share of labelled keypoints within ``thr`` of a reference length.

    Args:
        thr: Share of the length; 0.5 with 'head' is MPII's PCKh@0.5.
        norm: 'bbox' (the longer side), 'torso' (left shoulder to right hip) or 'head' (MPII's
            head size).

    Raises:
        ValueError: For an unknown norm.
    """

    role = 'scorer'
    truth = PoseTruth

    def __init__(self, thr: float = 0.2, norm: str = 'bbox') -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f'scorer.norm={norm!r} is unknown; choose one of {NORMS}')
        self.thr = thr
        self.norm = norm

    def forward(self, keypoints: Tensor, truth: PoseTruth, metainfo: dict) -> Scores:
        """Score ``(1 + M, N, K, 2)`` predictions.

        Raises:
            ValueError: Where the data set lacks what the norm needs.
        """
        norm = getattr(self, f'_{self.norm}_length')(truth, metainfo)
        return Scores(keypoint_pck(keypoints, truth.keypoints, norm, self.thr), truth.labelled)

    @staticmethod
    def _bbox_length(truth: PoseTruth, metainfo: dict) -> Tensor:
        if truth.bbox is None:
            raise ValueError("scorer.norm='bbox' needs bounding boxes and the data set has none")
        return truth.bbox.amax(-1)

    @staticmethod
    def _head_length(truth: PoseTruth, metainfo: dict) -> Tensor:
        if truth.head is None:
            raise ValueError(
                "scorer.norm='head' needs head sizes and the data set has none (set "
                "its headbox_file, or use norm='bbox')"
            )
        return truth.head

    @staticmethod
    def _torso_length(truth: PoseTruth, metainfo: dict) -> Tensor:
        names = metainfo.get('keypoint_name2id', {})
        if 'left_shoulder' not in names or 'right_hip' not in names:
            raise ValueError(
                "scorer.norm='torso' needs keypoints named left_shoulder and "
                f'right_hip; the data set has {sorted(names)}'
            )
        a, b = names['left_shoulder'], names['right_hip']
        length = (truth.keypoints[:, a] - truth.keypoints[:, b]).square().sum(-1).sqrt()
        return torch.where(truth.labelled[:, a] & truth.labelled[:, b], length, 0)
