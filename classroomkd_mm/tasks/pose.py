"""Top-down pose estimation with MMPose, by heatmaps or SimCC."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Optional

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ..scorers import PoseTruth, Scores
from .base import Task, replayed
from .keypoints import join_keypoints, names_of
from .readouts import Readout, SimCCReadout, crop_extent, has_stages, readout_of


@contextmanager
def reweighted(data_samples: Sequence[Any], weight: Tensor) -> Iterator[None]:
    """Multiply each sample's keypoint weights (1, K) by its weight (N,) for a while.

    The head's loss must be linear in the keypoint weights, see :func:`is_linear`.
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


def is_linear(head: nn.Module, readout: Readout) -> bool:
    """Whether a head's loss is linear in the keypoint weights: half of them give half the loss."""
    generator = torch.Generator().manual_seed(0)

    def random(size: int) -> Tensor:
        return torch.rand(2, head.out_channels, size, generator=generator)

    width, height = readout.size
    if isinstance(readout, SimCCReadout):
        pair = [(random(width), random(height)) for _ in range(2)]
    else:
        pair = [random(width * height).unflatten(-1, (height, width)) for _ in range(2)]
    weight = torch.ones(2, head.out_channels)
    half, whole = (head.loss_module(*pair, weight * factor) for factor in (0.5, 1.0))
    return bool(torch.isclose(2 * half, whole, rtol=1e-3))


def ground_truth(data_samples: Sequence[Any], readout: Readout, device: torch.device) -> PoseTruth:
    """What the packed samples know of their people, in the network's input space.

    Args:
        data_samples: N of MMPose's ``PoseDataSample``, one person each.
        readout: The student's: coordinates are read from its targets where the pipeline packs no
            ``transformed_keypoints``.
        device: Where the tensors go.
    """

    def stack(values: list[Any]) -> Optional[Tensor]:
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
        keypoints=_true_keypoints(data_samples, stack, readout),
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


def _true_keypoints(data_samples: Sequence[Any], stack: Any, readout: Readout) -> Tensor:
    packed = [sample.gt_instances.get('transformed_keypoints') for sample in data_samples]
    if all(keypoints is not None for keypoints in packed):
        return stack([keypoints[..., :2] for keypoints in packed]).unflatten(-1, (-1, 2))
    if isinstance(readout, SimCCReadout):
        labels = [sample.gt_instance_labels for sample in data_samples]
        return readout.keypoints(
            tuple(
                torch.cat([torch.as_tensor(label[f'keypoint_{axis}_labels']) for label in labels])
                for axis in 'xy'
            )
        )
    heatmaps = torch.stack([sample.gt_fields.heatmaps for sample in data_samples])
    return readout.keypoints(heatmaps.float())


class PoseTask(Task):
    """MMPose's top-down estimators with a heatmap or a SimCC head.

    Args:
        student: The stock model.

    Raises:
        ValueError: Where the student has neither.
    """

    default_scorer = dict(type='OKSScorer')
    truth = PoseTruth

    def __init__(self, student: nn.Module) -> None:
        self.readout = readout_of(student, 'student')
        if has_stages(student.head):
            raise ValueError(
                f'student has {type(student.head).__name__}, whose output is a list of stages: '
                'such a network can be a mentor, not the student'
            )
        self.input_size = tuple(int(v) for v in student.head.decoder.input_size)
        self.extent = crop_extent(student.head.decoder)
        self.num_keypoints = student.head.out_channels
        self.student_meta = student.metainfo
        self.mentors: list[Any] = []
        self.linear = is_linear(student.head, self.readout)
        self.loss_name = type(student.head.loss_module).__name__

    def check_filter(self, knowledge_filter: nn.Module) -> None:
        """Refuse per-sample task weights where the head's loss cannot take them.

        Raises:
            ValueError: Naming the loss.
        """
        if getattr(knowledge_filter, 'weighs_samples', False) and not self.linear:
            raise ValueError(
                f'knowledge_filter={type(knowledge_filter).__name__} weights each sample through '
                f'its keypoint weights, and student.head.loss={self.loss_name} is not linear in '
                'them; use KeypointMSELoss, or UniformFilter'
            )

    def check_loss(self, distill_loss: nn.Module) -> None:
        """Refuse to compare a heatmap's values with SimCC's, which are logits of another scale.

        Raises:
            ValueError: Naming the loss.
        """
        readouts = [self.readout, *(mentor.readout for mentor in self.mentors)]
        simcc = any(isinstance(readout, SimCCReadout) for readout in readouts)
        if getattr(distill_loss, 'compares_values', False) and simcc:
            raise ValueError(
                f'distill_loss={type(distill_loss).__name__} compares heatmap values, and a member '
                'of this classroom has a SimCC head; use KLDistillLoss'
            )

    def admit(self, mentor: Any) -> None:
        """Check that a mentor's output can be carried over to the student's, and how.

        Raises:
            ValueError: With both sides' values.
        """
        who = f'mentor {mentor.name!r}'
        readout_of(mentor.network, who)
        count = mentor.network.head.out_channels
        if count != self.num_keypoints and mentor.keypoints is None:
            raise ValueError(
                f'{who} has {count} keypoints, the student {self.num_keypoints}; join them with '
                'keypoints=[its keypoint names]'
            )
        codec = mentor.network.head.decoder
        own = tuple(int(v) for v in codec.input_size)
        ratio = mentor.resize_inputs(self.input_size, own, (self.extent, crop_extent(codec)))
        mentor.readout = readout_of(mentor.network, who, ratio)
        if mentor.readout != self.readout:
            mentor.adaptations.append(f'{mentor.readout} to {self.readout}')
        self.mentors.append(mentor)

    def check_data(self, scorer: nn.Module, dataset: Any) -> None:
        """Score the first sample's truth itself, so that what the data lack shows before training.

        Raises:
            ValueError: The scorer's.
        """
        self.join_keypoints(dataset.metainfo)
        samples = [dataset[0]['data_samples']]
        truth = ground_truth(samples, self.readout, torch.device('cpu'))
        scorer(truth.keypoints[None], truth, self.dataset_meta)

    def meet(self, data_samples: Sequence[Any]) -> None:
        """Find the data set's metainfo where ClassroomHook has not handed it over.

        It is the student's, if its config has it, or MMPose's for the name in the samples.
        """
        if self.dataset_meta is not None:
            return
        meta, name = self.student_meta, data_samples[0].metainfo.get('dataset_name')
        if meta is None and name is not None:
            from mmpose.datasets.datasets.utils import parse_pose_metainfo

            meta = parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{name}.py'))
        if meta is not None:
            self.join_keypoints(meta)

    def join_keypoints(self, metainfo: dict) -> None:
        """Note where each mentor has the keypoints of the data set with this parsed metainfo.

        Raises:
            ValueError: Where one shares too few of them.
        """
        self.dataset_meta = metainfo
        for mentor in self.mentors:
            self._join(mentor, names_of(metainfo))

    def _join(self, mentor: Any, ours: list[str]) -> None:
        """Note where a mentor has the student's keypoints.

        Raises:
            ValueError: Where they share too few.
        """
        if mentor.keypoints is None or list(mentor.keypoints) == ours:
            return
        index, known = join_keypoints(mentor.keypoints, ours)
        if sum(known) < mentor.min_shared_keypoints:
            raise ValueError(
                f'mentor {mentor.name!r} shares {sum(known)} of the {len(ours)} keypoints with the '
                f'data set, fewer than min_shared_keypoints={mentor.min_shared_keypoints}'
            )
        joined = f'{sum(known)} of {len(ours)} keypoints by name'
        if joined not in mentor.adaptations:  # several hooks check the data
            mentor.adaptations.append(joined)
            MMLogger.get_current_instance().info(f'mentor {mentor.name!r}: {joined}')
        device = mentor.gain.device
        mentor.keypoint_index = torch.tensor(index, device=device)
        mentor.known = torch.tensor(known, device=device)
        # Evaluated alone it must not flip: the samples' flip indices are of the data set's points.
        mentor.network.test_cfg = {**(mentor.network.test_cfg or {}), 'flip_test': False}

    def forward(self, student: nn.Module, inputs: Tensor) -> tuple[Any, Any]:
        """What the head was given, and its heatmaps or SimCC vectors."""
        feats = student.extract_feat(inputs)
        return feats, student.head.forward(feats)

    def adapt(self, output: Any, mentor: Any) -> Any:
        """A mentor's output with the student's keypoints in the student's order."""
        if mentor.keypoint_index is None:
            if mentor.network.head.out_channels != self.num_keypoints:
                raise RuntimeError(
                    f'mentor {mentor.name!r} has other keypoints, and the samples do not name '
                    'their data set: ClassroomHook does, add it to custom_hooks'
                )
            return output
        if isinstance(output, tuple):
            return tuple(part.index_select(1, mentor.keypoint_index) for part in output)
        return output.index_select(1, mentor.keypoint_index)

    def score(
        self,
        scorer: nn.Module,
        student: Any,
        mentors: Sequence[Any],
        outputs: Sequence[Any],
        data_samples: Sequence[Any],
    ) -> Scores:
        """Score all members on their adapted outputs, each decoded on its own grid."""
        keypoints = [self.readout.keypoints(student)]
        keypoints += [m.readout.keypoints(out) for m, out in zip(mentors, outputs)]
        truth = ground_truth(data_samples, self.readout, keypoints[0].device)
        scores = scorer(torch.stack(keypoints), truth, self.dataset_meta or {})
        if all(mentor.known is None for mentor in mentors):
            return scores
        everything = torch.ones_like(truth.labelled[0])
        known = torch.stack([everything if m.known is None else m.known for m in mentors])
        # What a mentor lacks counts as the student's own score: the two are compared on the rest.
        theirs = torch.where(known[:, None], scores.values[1:], scores.values[:1])
        return replace(scores, values=torch.cat([scores.values[:1], theirs]), known=known)

    def logits(self, output: Any, beta: float, mentor: Any = None) -> tuple[Tensor, ...]:
        """In the student's form: ``(N, K, H*W)``, or ``(N, K, Wx)`` and ``(N, K, Wy)``."""
        readout = self.readout if mentor is None else mentor.readout
        return readout.parts(output, self.readout, beta)

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
