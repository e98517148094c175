"""Top-down pose estimation with one heatmap per keypoint."""

from contextlib import contextmanager
from typing import Any, Iterator, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..functional import decode_heatmaps, resample_heatmaps
from ..scorers import PoseTruth, Scores
from .base import Task, replayed


@contextmanager
def reweighted(data_samples: Sequence[Any], weight: Tensor) -> Iterator[None]:
    """Multiply each sample's keypoint weights (1, K) by its weight (N,) for a while.

    MMPose's heatmap losses are linear in the keypoint weights, so this weights the samples.
    """
    labels = [sample.gt_instance_labels for sample in data_samples]
    originals = [label.keypoint_weights for label in labels]
    for label, original, factor in zip(labels, originals, weight):
        label.keypoint_weights = original * factor
    try:
        yield
    finally:
        for label, original in zip(labels, originals):
            label.keypoint_weights = original


def check_heatmap_head(network: nn.Module, who: str) -> None:
    """Refuse a network whose head does not give one heatmap per keypoint.

    Raises:
        ValueError: Naming ``who``, the head and what is expected.
    """
    from mmpose.models.heads import HeatmapHead

    head = getattr(network, 'head', None)
    if not isinstance(head, HeatmapHead) or head.decoder is None:
        raise ValueError(
            f'{who} needs a heatmap head (HeatmapHead or a subclass, with its '
            f'decoder set), got {type(head).__name__}'
        )
    if getattr(head.decoder, 'heatmap_type', 'gaussian') != 'gaussian':
        raise ValueError(
            f'{who} has heatmap_type={head.decoder.heatmap_type!r}: its channels are '
            'not one heatmap per keypoint'
        )


def num_keypoints(network: nn.Module) -> int:
    """Number of heatmaps the network's head gives."""
    return network.head.out_channels


def _by(size: Sequence[int]) -> str:
    return 'x'.join(str(int(v)) for v in size)


def ground_truth(
    data_samples: Sequence[Any], scale: Tuple[float, float], device: torch.device
) -> PoseTruth:
    """What the packed samples know of their people, in the network's input space.

    Args:
        data_samples: N of MMPose's ``PoseDataSample``, one person each.
        scale: Input pixels per pixel of the target heatmaps, where coordinates are read from them
            because the pipeline packs no ``transformed_keypoints``.
        device: Where the tensors go.
    """

    def stack(values: List[Any]) -> Optional[Tensor]:
        if any(value is None for value in values):
            return None
        rows = [torch.as_tensor(value).reshape(-1) for value in values]
        return torch.stack(rows).to(device, torch.float32, non_blocking=True)

    meta = [sample.metainfo for sample in data_samples]
    instances = [sample.gt_instances for sample in data_samples]
    weights = torch.cat([s.gt_instance_labels.keypoint_weights for s in data_samples])
    ratio = stack([_pixel_ratio(m) for m in meta])
    area = stack([(m.get('raw_ann_info') or {}).get('area') for m in meta])
    head = stack([instance.get('head_size') for instance in instances])
    bbox = stack([_box_size(instance.get('bboxes')) for instance in instances])
    return PoseTruth(
        keypoints=_true_keypoints(data_samples, stack, scale),
        labelled=weights.to(device) > 0,
        area=None if area is None or ratio is None else area[:, 0] * ratio.prod(-1),
        bbox=None if bbox is None or ratio is None else bbox * ratio,
        head=None if head is None or ratio is None else head[:, 0] * ratio.mean(-1),
    )


def _pixel_ratio(meta: dict) -> Any:
    if 'input_scale' not in meta:
        return None
    return torch.as_tensor(meta['input_size']) / torch.as_tensor(meta['input_scale']).reshape(-1)


def _box_size(boxes: Any) -> Any:
    return None if boxes is None else boxes[0, 2:4] - boxes[0, :2]


def _true_keypoints(data_samples: Sequence[Any], stack: Any, scale: Tuple[float, float]) -> Tensor:
    packed = [sample.gt_instances.get('transformed_keypoints') for sample in data_samples]
    if all(keypoints is not None for keypoints in packed):
        return stack([keypoints[..., :2] for keypoints in packed]).unflatten(-1, (-1, 2))
    heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples])
    return decode_heatmaps(heatmaps.float(), scale)


class HeatmapTask(Task):
    """MMPose's top-down estimators with a heatmap head.

    Args:
        student: The stock model.

    Raises:
        ValueError: Where the student has no heatmap head.
    """

    default_scorer = dict(type='OKSScorer')
    truth = PoseTruth

    def __init__(self, student: nn.Module) -> None:
        check_heatmap_head(student, 'student')
        codec = student.head.decoder
        self.input_size = tuple(int(v) for v in codec.input_size)
        self.scale = tuple(float(v) for v in codec.scale_factor)
        self.heatmap_size = tuple(codec.heatmap_size)
        self.codec_name = type(codec).__name__
        self.num_keypoints = num_keypoints(student)
        self.dataset_meta = student.metainfo

    def admit(self, mentor: Any) -> None:
        """Check that a mentor's heatmaps can be carried over to the student's, and how.

        Raises:
            ValueError: With both sides' values.
        """
        who = f'mentor {mentor.name!r}'
        check_heatmap_head(mentor.network, who)
        if num_keypoints(mentor.network) != self.num_keypoints:
            raise ValueError(
                f'{who} has {num_keypoints(mentor.network)} keypoints, the student '
                f'{self.num_keypoints}'
            )
        codec = mentor.network.head.decoder
        mentor.resize_inputs(self.input_size, tuple(int(v) for v in codec.input_size))
        ratio = [ours / theirs for ours, theirs in zip(self.input_size, codec.input_size)]
        mentor.scale = tuple(float(s) * r for s, r in zip(codec.scale_factor, ratio))
        if mentor.scale != self.scale or tuple(codec.heatmap_size) != self.heatmap_size:
            mentor.adaptations.append(
                f'{type(codec).__name__} {_by(codec.heatmap_size)} to '
                f'{self.codec_name} {_by(self.heatmap_size)}'
            )

    def check_data(self, scorer: nn.Module, dataset: Any) -> None:
        """Score the first sample's truth itself, so that what the data lack shows before training.

        Raises:
            ValueError: The scorer's.
        """
        self.dataset_meta = dataset.metainfo
        samples = [dataset[0]['data_samples']]
        truth = ground_truth(samples, self.scale, torch.device('cpu'))
        scorer(truth.keypoints[None], truth, self._metainfo(samples))

    def forward(self, student: nn.Module, inputs: Tensor) -> Tuple[Any, Tensor]:
        """What the head was given, and its heatmaps."""
        feats = student.extract_feat(inputs)
        return feats, student.head.forward(feats)

    def score(
        self,
        scorer: nn.Module,
        student: Tensor,
        mentors: Sequence[Any],
        outputs: Sequence[Tensor],
        data_samples: Sequence[Any],
    ) -> Scores:
        """Score all members on heatmaps ``(N, K, H, W)``, each decoded on its own grid."""
        keypoints = [decode_heatmaps(student, self.scale)]
        keypoints += [decode_heatmaps(out, m.scale) for m, out in zip(mentors, outputs)]
        truth = ground_truth(data_samples, self.scale, student.device)
        return scorer(torch.stack(keypoints), truth, self._metainfo(data_samples))

    def logits(self, output: Tensor, like: Tensor, mentor: Any = None) -> Tensor:
        """Heatmaps as ``(N, K, H*W)`` on the grid of the student's, ``like``."""
        if mentor is not None:
            output = resample_heatmaps(output, mentor.scale, like.shape[-2:], self.scale)
        return output.flatten(2)

    def task_loss(
        self,
        student: nn.Module,
        feats: Any,
        output: Tensor,
        data_samples: Sequence[Any],
        weight: Tensor,
    ) -> dict:
        """The head's own losses with each sample weighted by ``weight`` (N,)."""
        with replayed(student.head, output), reweighted(data_samples, weight):
            return student.head.loss(feats, data_samples, train_cfg=student.train_cfg)

    def _metainfo(self, data_samples: Sequence[Any]) -> dict:
        """The data set's metainfo: given by ClassroomHook, else looked up by its name."""
        if self.dataset_meta is None:
            from mmpose.datasets.datasets.utils import parse_pose_metainfo

            name = data_samples[0].metainfo.get('dataset_name')
            if name is None:
                return {}
            self.dataset_meta = parse_pose_metainfo(
                dict(from_file=f'configs/_base_/datasets/{name}.py')
            )
        meta = self.dataset_meta
        return meta
