"""Scorers: how well each member did on each sample."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

from ..functional import keypoint_pck, keypoint_similarity, true_class_probability
from ..kinds import refuse_negative
from ..registry import MODELS
from ..structures import ClassTruth, PoseTruth, Scores
from .base import Metainfo, Scorer

NORMS = ('bbox', 'torso', 'head')
UNKNOWN_DATA = '; ClassroomHook hands over what the data set says, add it to custom_hooks'


@MODELS.register_module()
class TrueClassScorer(Scorer[ClassTruth]):
    """The true class's probability; with soft labels ``exp(sum_c y_c log p_c)``."""

    truth = ClassTruth

    def forward(
        self, guesses: Tensor, truth: ClassTruth, metainfo: Optional[Metainfo] = None
    ) -> Scores:
        """Score ``(1 + M, N, C)`` logits; a sample may have no label."""
        soft = truth.label.dim() > 1
        labelled = truth.label.sum(-1) > 0 if soft else truth.label >= 0
        label = truth.label.argmax(-1) if soft else truth.label
        known = truth.label if soft else label.clamp(min=0)
        return Scores(
            true_class_probability(guesses, known)[..., None],
            labelled[:, None],
            geometric=True,
            correct=guesses[1:].argmax(-1) == label,
            target=torch.where(labelled, label, -1)[:, None],
        )


@MODELS.register_module()
class OKSScorer(Scorer[PoseTruth]):
    """Object Keypoint Similarity against the ground truth, as COCO computes it.

    Args:
        sigmas: Per-keypoint constants; the data set's own (from its metainfo) if None.

    Raises:
        ValueError: For a negative one.
    """

    truth = PoseTruth

    def __init__(self, sigmas: Optional[Sequence[float]] = None) -> None:
        refuse_negative('scorer', sigmas=sigmas)
        self.sigmas = sigmas

    def forward(self, guesses: Tensor, truth: PoseTruth, metainfo: Metainfo) -> Scores:
        """Score ``(1 + M, N, K, 2)`` predictions.

        Raises:
            ValueError: Where the data set has no areas, or no sigmas for its keypoints.
        """
        if truth.area is None:
            raise ValueError(
                "scorer=OKSScorer needs each person's area or box, and the samples have neither "
                "(no 'area' in its annotations; meta_keys without raw_ann_info, input_size or "
                "input_scale); use scorer=dict(type='PCKScorer', ...)"
            )
        sigmas = self.sigmas if self.sigmas is not None else metainfo.get('sigmas')
        if sigmas is None or len(sigmas) != guesses.shape[-2]:
            raise ValueError(
                f'scorer=OKSScorer needs {guesses.shape[-2]} sigmas and the data set has '
                f'{0 if sigmas is None else len(sigmas)}; set scorer.sigmas or use PCKScorer'
                f'{"" if metainfo else UNKNOWN_DATA}'
            )
        sigmas = torch.as_tensor(sigmas, dtype=guesses.dtype)
        sigmas = sigmas.to(guesses.device, non_blocking=True)  # a blocking copy waits for all
        return Scores(
            keypoint_similarity(guesses, truth.keypoints, truth.area, sigmas), truth.labelled
        )


@MODELS.register_module()
class PCKScorer(Scorer[PoseTruth]):
    """Share of labelled keypoints within ``thr`` of a reference length.

    Args:
        thr: Share of the length; 0.5 with 'head' is MPII's PCKh@0.5.
        norm: 'bbox' (the longer side), 'torso' (left shoulder to right hip) or 'head' (MPII's
            head size). Who has no such length, no torso in the picture for example, is judged by
            the box.

    Raises:
        ValueError: For an unknown norm, or a negative share.
    """

    truth = PoseTruth

    def __init__(self, thr: float = 0.2, norm: str = 'bbox') -> None:
        if norm not in NORMS:
            raise ValueError(f'scorer.norm={norm!r} is unknown; choose one of {NORMS}')
        refuse_negative('scorer', thr=thr)
        self.thr = thr
        self.norm = norm

    def forward(self, guesses: Tensor, truth: PoseTruth, metainfo: Metainfo) -> Scores:
        """Score ``(1 + M, N, K, 2)`` predictions.

        Raises:
            ValueError: Where the data set lacks what the norm needs.
        """
        norm = getattr(self, f'_{self.norm}_length')(truth, metainfo)
        if truth.bbox is not None:  # of length 0 all would be wrong, and the sample lost
            norm = torch.where(norm > 0, norm, truth.bbox.amax(-1))
        return Scores(keypoint_pck(guesses, truth.keypoints, norm, self.thr), truth.labelled)

    @staticmethod
    def _bbox_length(truth: PoseTruth, metainfo: Metainfo) -> Tensor:
        if truth.bbox is None:
            raise ValueError("scorer.norm='bbox' needs bounding boxes and the data set has none")
        return truth.bbox.amax(-1)

    @staticmethod
    def _head_length(truth: PoseTruth, metainfo: Metainfo) -> Tensor:
        if truth.head is None:
            raise ValueError(
                "scorer.norm='head' needs head sizes and the data set has none (set "
                "its headbox_file, or use norm='bbox')"
            )
        return truth.head

    @staticmethod
    def _torso_length(truth: PoseTruth, metainfo: Metainfo) -> Tensor:
        names = metainfo.get('keypoint_name2id', {})
        if 'left_shoulder' not in names or 'right_hip' not in names:
            raise ValueError(
                "scorer.norm='torso' needs keypoints named left_shoulder and "
                f'right_hip; the data set has {sorted(names)}{"" if metainfo else UNKNOWN_DATA}'
            )
        a, b = names['left_shoulder'], names['right_hip']
        length = (truth.keypoints[:, a] - truth.keypoints[:, b]).square().sum(-1).sqrt()
        return torch.where(truth.labelled[:, a] & truth.labelled[:, b], length, 0)
