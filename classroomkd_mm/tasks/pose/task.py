"""Top-down pose estimation with MMPose, by heatmaps or SimCC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ...parts import DistillLoss, Filter, Metainfo, OKSScorer, Scorer
from ...registry import TASKS
from ...structures import PoseTruth, Reading
from ..base import Bridge, NetworkConfig, Portrait, Samples, Task, warn_of_own_loss
from ..heads import Output, degree, replayed, reweighing, rooted
from .areas import BOX_SHARE, faults
from .bridge import Crop, PoseBridge, Size, crop_of, own_crop_of
from .keypoints import Keypoints, published_metainfo
from .order import KeypointOrder, in_words
from .readouts import (
    SimCCReadout,
    as_plain,
    crop_extent,
    crops_as_udp,
    from_plain,
    keypoint_head,
    readout_of,
    target_level,
)
from .truth import ground_truth
from .unlabelled import labelled_ones, rows_of, spread

if TYPE_CHECKING:
    from mmengine.dataset import BaseDataset
    from mmpose.codecs import BaseKeypointCodec
    from mmpose.models import BasePoseEstimator
    from mmpose.models.heads import BaseHead


@dataclass(frozen=True, eq=False)
class Stages:
    """What the loss of a head with stages takes besides the output that is taught.

    Attributes:
        feats: What the head was given.
        earlier: Heatmaps of the stages before the last.
    """

    feats: object
    earlier: tuple[Tensor, ...]


@TASKS.register_module()
class PoseTask(Task[PoseTruth]):
    """MMPose's top-down estimators with a heatmap or a SimCC head.

    Of a head that gives one heatmap per stage (Hourglass, CPM, MSPN, RSN) the last is what predicts
    and what is scored and taught; the others learn from their own loss alone. Of a VisPredictHead
    the keypoints are taught, its visibility is left to its own loss.

    Args:
        student: The stock model.
        sharpness: What turns the values of a heatmap that peaks at 1 into natural logits.

    Raises:
        ValueError: Where the student has neither.
    """

    default_scorer = dict(type='OKSScorer')
    truth = PoseTruth
    networks = 'pose networks'
    mentor_settings: ClassVar[Mapping[str, object]] = dict(
        keypoints=Union[Mapping[Any, str], Sequence[Any], None],
        min_shared_keypoints=Optional[int],
        letterbox=bool,
        own_resolution=bool,
    )

    def __init__(self, student: nn.Module, sharpness: float = 1.0) -> None:
        super().__init__(student, sharpness)
        self.readout = readout_of(student, 'student').of_crop((1.0, 1.0), sharpness)
        warn_of_own_loss(student, 'mmpose')
        head = keypoint_head(student)
        self.level = target_level(head)
        self.sizes = _sizes(head.decoder)
        self.keypoints = head.out_channels
        width, height = self.readout.size
        self.places = width if isinstance(self.readout, SimCCReadout) else width * height
        self.student_metainfo: Metainfo | None = getattr(student, 'metainfo', None)
        self.loss_name = ', '.join(dict.fromkeys(type(loss).__name__ for loss in _losses(head)))
        self.degrees = self._degrees(head)
        self.takes_weights = None not in self.degrees
        self.order = KeypointOrder()

    @classmethod
    def fits(cls, student: nn.Module) -> bool:
        """Whether a model is one of MMPose's."""
        return any(c.__module__.startswith('mmpose.') for c in type(student).__mro__)

    def _degrees(self, head: BaseHead) -> list[int | None]:
        generator = torch.Generator().manual_seed(0)

        def random(peak: float = 0.5) -> Output:
            shape, (width, height) = (2, self.keypoints), self.readout.size
            if isinstance(self.readout, SimCCReadout):
                return tuple(torch.rand(*shape, n, generator=generator) for n in (width, height))
            values = torch.rand(*shape, width * height, generator=generator)
            values[..., 0] = peak
            return values.unflatten(-1, (height, width))

        try:
            # Some losses look for a target's peaks, which are 1.
            return [degree(loss, random(), random(peak=1.0)) for loss in _losses(head)]
        except Exception as error:  # a stock loss fails in many ways where it does not fit
            raise ValueError(
                f'student.head.loss={self.loss_name} does not fit the outputs of '
                f'{type(head).__name__} ({self.readout}): {error}'
            ) from error

    def bridge(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Bridge:
        """What a mentor is to this student.

        Raises:
            ValueError: Where its output cannot be carried over, with both sides' values.
        """
        return self.bridge_to(name, self.portrait(name, network, config, settings), settings)

    def portrait(
        self, name: str, network: nn.Module, config: NetworkConfig, settings: Mapping[str, Any]
    ) -> Portrait:
        """What a bridge asks of a pose network."""
        who = f'mentor {name!r}'
        readout = readout_of(network, who)  # before anything else is asked of its head
        head = keypoint_head(network)
        keypoints = Keypoints.of(settings.get('keypoints'), config, head.out_channels, who)
        keypoints.check_count(head.out_channels, who)
        return dict(
            readout=as_plain(readout),
            sizes=_sizes(head.decoder),
            count=head.out_channels,
            keypoints=asdict(keypoints),
            udp=crops_as_udp(config, head.decoder),
        )

    def bridge_to(self, name: str, portrait: Portrait, settings: Mapping[str, Any]) -> Bridge:
        """What a mentor is to this student, by its portrait."""
        who, count = f'mentor {name!r}', portrait['count']
        keypoints = Keypoints.from_plain(portrait['keypoints'])
        nameless = keypoints.names is None and keypoints.pairs is None
        if count != self.keypoints and nameless:
            raise ValueError(
                f'{who} has {count} keypoints, the student {self.keypoints}; join them '
                'with keypoints=[its keypoint names]'
            )
        keypoints.check_places(self.keypoints, who)
        crop = self._crop(portrait, settings, who)
        readout = from_plain(portrait['readout']).of_crop(crop.ratio, self.sharpness)
        words = [] if crop.resize is None else [str(crop)]
        words += [] if readout == self.readout else [f'{readout} to {self.readout}']
        return PoseBridge(
            name,
            tuple(words),
            crop.resize,
            readout=readout,
            target=self.readout,
            crop=crop,
            count=self.keypoints,
            keypoints=keypoints,
            min_shared=self._least(settings, who),
            as_many=count == self.keypoints,
        )

    def _least(self, settings: Mapping[str, Any], who: str) -> int | None:
        least: int | None = settings.get('min_shared_keypoints')
        if least is not None and not 1 <= least <= self.keypoints:
            raise ValueError(
                f'{who}: min_shared_keypoints={least} must be at least 1, and at most '
                f"{self.keypoints}: the student's keypoints"
            )
        return least

    def _crop(self, portrait: Portrait, settings: Mapping[str, Any], who: str) -> Crop:
        own, letterbox = (settings.get(key, False) for key in ('own_resolution', 'letterbox'))
        if own and letterbox:
            raise ValueError(
                f'{who}: letterbox=True pads what the student is shown, own_resolution=True cuts '
                'the picture anew: give one of them'
            )
        if own:
            return own_crop_of(self.sizes, portrait['sizes'], portrait['udp'], who)
        return crop_of(self.sizes, portrait['sizes'], letterbox, who)

    def forward(self, student: BasePoseEstimator, inputs: Tensor) -> tuple[object, Output]:
        """What its loss takes besides the output, and its heatmaps or SimCC vectors.

        Of several stages the output is the last's.
        """
        feats = student.extract_feat(inputs)
        output = keypoint_head(student).forward(feats)
        if isinstance(output, list):
            return Stages(feats, tuple(output[:-1])), output[-1]
        return feats, output

    def read(self, output: Output) -> Reading:
        """Keypoints in input pixels, and natural logits."""
        parts = (output,) if isinstance(output, Tensor) else tuple(output)
        maps = [part.float() for part in parts]
        with torch.no_grad():
            keypoints = self.readout.keypoints(maps)
        return Reading(keypoints, self.readout.parts(maps, self.readout))

    def ground_truth(self, data_samples: Samples, device: torch.device) -> PoseTruth:
        """What the packed samples know of their people, in the student's input pixels."""
        at = labelled_ones(data_samples)
        if len(at) == len(data_samples):
            return ground_truth(data_samples, self.readout, device, self.level)
        known = [data_samples[i] for i in at]
        truth = ground_truth(known, self.readout, device, self.level) if known else None
        return spread(truth, at, len(data_samples), self.keypoints, device)

    def task_loss(
        self,
        student: BasePoseEstimator,
        feats: object,
        output: Output,
        data_samples: Samples,
        weight: Tensor | None,
    ) -> dict[str, Any]:
        """The head's own losses with each sample's keypoints weighted by ``weight`` (N,).

        They are of the samples that have targets; 0 where none has.
        """
        at = labelled_ones(data_samples)
        if not at:
            parts = [output] if isinstance(output, Tensor) else [*output]
            # Several stages' and visibility's, too: DDP waits for every parameter's gradient.
            parts += [each for each in student.head.parameters() if each.requires_grad]
            return dict(loss_kpt=sum(part.sum() * 0 for part in parts))
        if len(at) < len(data_samples):
            feats, output, weight = (rows_of(each, at) for each in (feats, output, weight))
            data_samples = [data_samples[i] for i in at]
        head = keypoint_head(student)
        whole = [*feats.earlier, output] if isinstance(feats, Stages) else output
        feats = feats.feats if isinstance(feats, Stages) else feats
        with ExitStack() as stack:
            stack.enter_context(replayed(head, whole))
            if weight is not None:
                stack.enter_context(reweighing(head, data_samples, weight))
                for loss, power in dict(zip(_losses(head), self.degrees)).items():
                    if power == 2:
                        stack.enter_context(rooted(loss, weight))
            return student.head.loss(feats, data_samples, train_cfg=student.train_cfg)

    def check_data(self, scorer: Scorer[Any], dataset: BaseDataset) -> None:
        """Score the first sample's truth itself, so that what the data lack shows before training.

        Says once how many people have no usable area, which an OKSScorer reckons from their boxes.

        Raises:
            ValueError: The scorer's.
        """
        truth = self.ground_truth([dataset[0]['data_samples']], torch.device('cpu'))
        scorer(truth.keypoints[None], truth, self.metainfo)
        if isinstance(scorer, OKSScorer):
            found, people = faults(dataset)
            if found:
                kinds = ', '.join(f'{count} {kind}' for kind, count in sorted(found.items()))
                MMLogger.get_current_instance().warning(
                    f'{sum(found.values())} of {people} people have no usable area ({kinds}): '
                    f'OKSScorer takes {BOX_SHARE} of their boxes, as CocoMetric(use_area=False)'
                )

    def watch(
        self, readings: Sequence[Reading], bridges: Sequence[Bridge], truth: PoseTruth
    ) -> None:
        """Warn once of mentors whose keypoints are others than their names say."""
        if self.order.closed:
            return
        guesses = {bridge.name: reading.guess for bridge, reading in zip(bridges, readings[1:])}
        self.order.add(guesses, truth)
        if self.order.is_due():
            for position, bridge in enumerate(bridges):
                words = self.doubts(bridge)
                if words:
                    MMLogger.get_current_instance().warning(
                        f'mentors[{position}].keypoints of mentor {bridge.name!r}: {words}'
                    )

    def doubts(self, bridge: Bridge) -> str | None:
        """Which of a mentor's keypoints are clearly others than their names say."""
        found = self.order.exchanged(bridge.name, bridge.known)
        if not found:
            return None
        pairs = in_words(found, self.metainfo.get('keypoint_id2name', {}))
        return (
            f'on the first {self.order.samples} samples it sees {pairs}: its names (those of its '
            'config, where keypoints is not set) are in another order than its outputs, or it is '
            'shown something else than it takes'
        )

    def better_scorer(self, metainfo: Metainfo) -> dict[str, Any] | None:
        """PCK where the data set has no sigmas for OKS."""
        sigmas = metainfo.get('sigmas')
        missing = sigmas is None or len(sigmas) != self.keypoints
        return dict(type='PCKScorer', thr=0.2, norm='bbox') if metainfo and missing else None

    def find_metainfo(self, data_samples: Samples) -> Metainfo:
        """The student's own metainfo, or MMPose's for the data set that all samples name.

        Empty where they name none that MMPose knows, several, or one of other keypoints: a part of
        a CombinedDataset says its own name, and its keypoints have been converted to the whole's.
        """
        if self.student_metainfo is not None:
            return self.student_metainfo
        names = {sample.metainfo.get('dataset_name') for sample in data_samples}
        if len(names) > 1 or None in names:
            return {}
        metainfo = published_metainfo(str(names.pop()))
        own = len(metainfo.get('keypoint_id2name', ())) == self.keypoints
        return metainfo if own and not _converted(data_samples[0].metainfo, metainfo) else {}

    def check_filter(self, knowledge_filter: Filter) -> None:
        """Refuse per-sample task weights where the head's loss cannot take them.

        Raises:
            ValueError: Naming the loss.
        """
        if knowledge_filter.task_weight is None and not self.takes_weights:
            raise ValueError(
                f'knowledge_filter={type(knowledge_filter).__name__} weights each sample through '
                f'its keypoint weights, and student.head.loss={self.loss_name} is not linear in '
                'them; use KeypointMSELoss, or UniformFilter'
            )

    def check_loss(self, distill_loss: DistillLoss, bridges: Sequence[Bridge]) -> None:
        """Refuse to compare a heatmap's values with SimCC's, which are logits of another scale.

        Raises:
            ValueError: Naming the loss.
        """
        readouts = [b.readout for b in bridges if isinstance(b, PoseBridge)] + [self.readout]
        if distill_loss.compares_values and any(isinstance(r, SimCCReadout) for r in readouts):
            raise ValueError(
                f'distill_loss={type(distill_loss).__name__} compares heatmap values, and a member '
                'of this classroom has a SimCC head; use KLDistillLoss'
            )


def _losses(head: BaseHead) -> list[nn.Module]:
    """One for each stage, or the one."""
    module = head.loss_module
    return list(module) if isinstance(module, nn.ModuleList) else [module]


def _sizes(codec: BaseKeypointCodec) -> tuple[Size, Size]:
    """(w, h) of a codec's input, and what its decoder takes for the crop's."""
    width, height = codec.input_size
    return (int(width), int(height)), crop_extent(codec)


def _converted(meta: Mapping[str, Any], metainfo: Metainfo) -> bool:
    """Whether a sample's left and right are not those of the data set that it names."""
    flips = list(meta.get('flip_indices', ()))
    pairs = all(flips[flips[i]] == i for i in range(len(flips)))  # made-up samples may have none
    return bool(flips) and pairs and flips != list(metainfo['flip_indices'])
