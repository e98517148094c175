"""Compare what a classroom reads from its pose mentors with their own stock inference.

Every mentor sees the first people of the config's training data twice, without augmentation: as in
the classroom (the student's crop, adapted), and through `mmpose.apis.inference_topdown` (its own
pipeline, from the picture; no flip). The table says how far apart the keypoints are that are
labelled and that it has, in the student's heatmap pixels or SimCC bins: those that are scored, read
from its own output, and those that are taught, read from its output in the student's form. A mentor
that is carried over wrongly shows here; one whose weights are random only shows noise. Of one that
stock inference cannot ask, the table says why.
"""

import argparse
import copy
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch import Tensor

from ..arguments import positive
from ..distiller import ClassroomDistiller
from ..members import AnyMentor
from ..mentors import MentorSettings
from ..mentors.checkpoint import read_checkpoint
from ..mentors.download import fetch
from ..progress import progress_bar
from ..runs import read_classroom
from ..tasks.base import Samples
from ..tasks.pose import PoseTask
from ..tasks.pose.bridge import PoseBridge
from ..tasks.pose.keypoints import metainfo_in_config
from .check import Dataset, build_classroom, training_set
from .tables import Rows, text

EXAMPLE = """example:
  python -m classroomkd_mm compare configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py"""
# Sharp enough that a heatmap's distribution has a peak, whatever the config's own loss is.
LOSS = dict(type='KLDistillLoss', beta=10.0)
Far = dict[str, Union[np.ndarray, str]]  # by the mentor's name: distances (2, n), or why none


class Crops:
    """The student's crops of people, and where a point of the picture is in them.

    Args:
        dataset: Of people; its pipeline is replaced.
        pipeline: One that crops without augmentation.
    """

    def __init__(self, dataset: Dataset, pipeline: Sequence[Mapping[str, Any]]) -> None:
        self.dataset = dataset
        self.dataset.pipeline = Compose(pipeline)
        self.udp = any(t['type'] == 'TopdownAffine' and t.get('use_udp') for t in pipeline)

    def to_input(self, points: np.ndarray, meta: Mapping[str, Any]) -> np.ndarray:
        """Points ``(K, 2)`` of the picture in the student's input."""
        from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

        warp = get_udp_warp_matrix if self.udp else get_warp_matrix
        matrix = warp(meta['input_center'], meta['input_scale'], 0.0, meta['input_size'])
        return points @ matrix[:, :2].T + matrix[:, 2]


class Incomparable(ValueError):
    """A mentor lacks what stock inference needs."""


def make_stock(mentor: AnyMentor, settings: MentorSettings) -> None:
    """Leave a mentor's network as ``mmpose.apis.init_model`` does, but for the flip test.

    Args:
        mentor: Its network is changed in place.
        settings: What the classroom's config says of it.

    Raises:
        Incomparable: Where neither its config nor its checkpoint has what stock inference needs.
    """
    network: Any = mentor.network
    cfg = mentor.config if isinstance(mentor.config, Config) else Config(mentor.config)
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    if not dataset.get('pipeline'):
        raise Incomparable(
            f'mentor {mentor.name!r}: its config has no test_dataloader.dataset.pipeline, which '
            'stock inference uses; give its whole config'
        )
    network.cfg = cfg
    network.dataset_meta = _dataset_meta(cfg, settings)
    network.test_cfg = {**(network.test_cfg or {}), 'flip_test': False}


def _dataset_meta(cfg: Config, settings: MentorSettings) -> Mapping[str, Any]:
    """The metainfo of the data that a mentor was trained on."""
    who = f'mentor {settings.name!r}'
    # Of the training data alone, as stock inference does.
    found = metainfo_in_config(cfg, who, ['train_dataloader'])
    meta = found or _meta_in_checkpoint(settings)
    if not meta:
        # MMPose itself would take it for a network of COCO's keypoints.
        raise Incomparable(
            f'{who}: neither its config nor its checkpoint names the data set '
            'that stock inference must know; give train_dataloader.dataset of a known type, or '
            'with metainfo, in its config'
        )
    return meta


def _meta_in_checkpoint(settings: MentorSettings) -> Mapping[str, Any]:
    """The metainfo that MMPose's runner keeps beside the weights; empty where there is none."""
    if settings.checkpoint is None:
        return {}
    who = f'mentor {settings.name!r}'
    remote = re.match('https?://', settings.checkpoint)
    path = fetch(settings.checkpoint, who) if remote else Path(settings.checkpoint).expanduser()
    content = read_checkpoint(path, who, settings.trusted)
    meta = content.get('meta') if isinstance(content, dict) else None
    return (meta or {}).get('dataset_meta') or {}


def stock_keypoints(mentor: AnyMentor, bridge: PoseBridge, sample: Any) -> np.ndarray:
    """The student's keypoints ``(K, 2)`` in the picture; where the mentor lacks one, any.

    Raises:
        Incomparable: Where its own pipeline gives what its network does not take.
    """
    from mmpose.apis import inference_topdown

    try:
        (found,) = inference_topdown(mentor.network, sample.img_path, sample.gt_instances.bboxes)
    except RuntimeError as error:
        raise Incomparable(
            f'mentor {mentor.name!r}: its own stock inference fails: {error}; does the '
            'test_dataloader.dataset.pipeline of its config crop to what its network takes?'
        ) from error
    return bridge.carried(found.pred_instances).keypoints[0]


def classroom_keypoints(
    mentor: AnyMentor, bridge: PoseBridge, inputs: Tensor, samples: Samples
) -> np.ndarray:
    """Keypoints ``(2, K, 2)`` in the student's input: as they are scored, as they are taught."""
    reading = bridge.read(mentor(inputs, samples=samples))
    taught = [part.softmax(-1) for part in reading.parts]
    if len(taught) == 1:
        taught = [taught[0].unflatten(-1, bridge.target.size[::-1])]
    read = (reading.guess[0], bridge.target.keypoints(taught)[0])
    return np.stack([points.numpy() for points in read])


def compare(cfg: Config, people: int) -> Far:
    """How far apart each mentor's keypoints are.

    Args:
        cfg: A classroom's config, with training data and a pipeline for validation.
        people: How many are looked at; all where there are fewer.

    Returns:
        ``(2, n)`` by the mentor's name, scored and taught: distances of n keypoints, in the
        student's heatmap pixels or SimCC bins. Of one that cannot be compared, why.

    Raises:
        ValueError: Where it is not a classroom of pose estimation, or the config lacks what the
            comparison needs.
    """
    if not cfg.get('val_dataloader') or not cfg.get('train_dataloader'):
        raise ValueError('the config needs train_dataloader (people) and val_dataloader (pipeline)')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = _classroom(cfg)
        crops = Crops(_shown(cfg, model), cfg.val_dataloader.dataset.pipeline)
        model.cut_own_crops(crops.dataset)
        shown = range(min(people, len(crops.dataset)))
        return {
            model.mentors[position].name: _far(cfg, model, position, crops, shown)
            for position in range(len(model.mentors))
        }


def _far(
    cfg: Config, model: ClassroomDistiller, position: int, crops: Crops, shown: Sequence[int]
) -> Union[np.ndarray, str]:
    """A mentor's distances ``(2, n)``, or why it has none."""
    mentor, bridge = model.members[position]
    assert isinstance(bridge, PoseBridge)
    settings = cfg.model.mentors[position]
    parts = []
    try:
        make_stock(mentor, MentorSettings.of(settings, position, model.task.mentor_settings))
        with progress_bar() as progress:
            for i in progress.track(shown, description=f'comparing {mentor.name}'):
                data = model.data_preprocessor(pseudo_collate([crops.dataset[i]]), False)
                parts.append(_apart(mentor, bridge, data, crops))
    except Incomparable as why:
        return str(why)
    return np.concatenate(parts, axis=1)


def _classroom(cfg: Config) -> ClassroomDistiller:
    cfg = copy.deepcopy(cfg)
    cfg.model.distill_loss = dict(LOSS)
    model = build_classroom(cfg).eval()
    if not isinstance(model.task, PoseTask):
        raise ValueError('the classroom is not one of pose estimation')
    return model


def _shown(cfg: Config, model: ClassroomDistiller) -> Dataset:
    """The training data, which the mentors have been joined with."""
    dataset = training_set(cfg, 'the comparison')
    model.prepare(dataset)
    return dataset


def _apart(
    mentor: AnyMentor, bridge: PoseBridge, data: Mapping[str, Any], crops: Crops
) -> np.ndarray:
    """Distances ``(2, n)`` of a person's n keypoints that are labelled and that the mentor has."""
    (sample,) = data['data_samples']
    stock = crops.to_input(stock_keypoints(mentor, bridge, sample), sample.metainfo)
    ours = classroom_keypoints(mentor, bridge, data['inputs'], [sample])
    kept = sample.gt_instances.keypoints_visible[0] > 0
    if bridge.known is not None:
        kept = kept & bridge.known.numpy()
    return np.linalg.norm((ours - stock) / bridge.target.scale, axis=-1)[:, kept]


def table(far: Far) -> Rows:
    """Rows of median, 90 % quantile and the share within half a pixel, scored and taught."""
    measures = ('median', '90 %', 'within 0.5')
    heads = [f'{kind} {measure}' for kind in ('scored', 'taught') for measure in measures]
    rows = [['mentor', 'keypoints', *heads, 'or why not']]
    for name, apart in far.items():
        if isinstance(apart, str):
            rows.append([name, '-', *('-' for _ in heads), apart])
        else:
            numbers = [number for values in apart for number in _numbers(values)]
            rows.append([name, str(apart.shape[1]), *numbers, ''])
    return rows


def _numbers(values: np.ndarray) -> list[str]:
    if not len(values):
        return ['-'] * 3
    median, ninety = np.quantile(values, [0.5, 0.9])
    return [f'{median:.2f}', f'{ninety:.2f}', f'{(values <= 0.5).mean():.0%}']


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm compare',
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help='classroom config')
    parser.add_argument('--people', type=positive, default=32, help='how many (default 32)')
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print the table; 1 where a mentor cannot be compared."""
    args = parse_args(argv)
    with redirect_stdout(sys.stderr):  # the log: the table alone is the answer
        far = compare(read_classroom(args.config), args.people)
    print(text(table(far)))
    return int(any(isinstance(apart, str) for apart in far.values()))
