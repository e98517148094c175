"""Compare what a classroom reads from its pose mentors with their own stock inference.

Every mentor sees the first people of the config's training data twice, without augmentation: as in
the classroom (the student's crop, adapted), and through `mmpose.apis.inference_topdown` (its own
pipeline, from the picture; no flip). The table says how far apart the keypoints are that are
labelled and that it has, in the student's heatmap pixels or SimCC bins: those that are scored, read
from its own output, and those that are taught, read from its output in the student's form. A mentor
that is carried over wrongly shows here; one whose weights are random only shows noise.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from mentors import build_classroom, show
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmengine.utils import track_iter_progress
from torch import Tensor

from classroomkd_mm.mentors import Mentor
from classroomkd_mm.tasks import PoseTask

EXAMPLE = """example:
  python tools/compare_mentors.py configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py"""
BETA = 10.0  # sharp enough that a heatmap's distribution has a peak


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='classroom config')
    parser.add_argument('--people', type=int, default=32, help='how many (default 32)')
    return parser.parse_args(argv)


class Crops:
    """The student's crops of people, and where a point of the picture is in them."""

    def __init__(self, cfg: Config) -> None:
        pipeline = cfg.val_dataloader.dataset.pipeline
        self.dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, pipeline=pipeline))
        self.udp = any(t.type == 'TopdownAffine' and t.get('use_udp') for t in pipeline)

    def to_input(self, points: np.ndarray, meta: dict) -> np.ndarray:
        """Points ``(K, 2)`` of the picture in the student's input."""
        from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

        warp = get_udp_warp_matrix if self.udp else get_warp_matrix
        matrix = warp(meta['input_center'], meta['input_scale'], 0.0, meta['input_size'])
        return points @ matrix[:, :2].T + matrix[:, 2]


def make_stock(mentor: Mentor) -> None:
    """Leave a mentor's network as ``mmpose.apis.init_model`` does, but for the flip test.

    Raises:
        ValueError: Where its config is only the model's.
    """
    from mmpose.apis.inference import dataset_meta_from_config

    if 'test_dataloader' not in mentor.config:
        raise ValueError(
            f'mentor {mentor.name!r}: its config has no test_dataloader, whose pipeline stock '
            'inference uses; give its whole config'
        )
    mentor.network.cfg = Config(mentor.config) if type(mentor.config) is dict else mentor.config
    mentor.network.dataset_meta = dataset_meta_from_config(mentor.network.cfg)
    mentor.network.test_cfg = {**(mentor.network.test_cfg or {}), 'flip_test': False}


def stock_keypoints(mentor: Mentor, sample: Any) -> np.ndarray:
    """The student's keypoints ``(K, 2)`` in the picture; where the mentor lacks one, any."""
    from mmpose.apis import inference_topdown

    (found,) = inference_topdown(mentor.network, sample.img_path, sample.gt_instances.bboxes)
    keypoints = found.pred_instances.keypoints[0]
    return keypoints if mentor.keypoint_index is None else keypoints[mentor.keypoint_index.numpy()]


def classroom_keypoints(task: PoseTask, mentor: Mentor, inputs: Tensor) -> list[np.ndarray]:
    """Keypoints ``(K, 2)`` in the student's input: as they are scored, and as they are taught."""
    output = task.adapt(mentor(inputs)[0], mentor)
    lesson = [(BETA * z).softmax(-1) for z in task.logits(output, BETA, mentor)]
    if len(lesson) == 1:
        taught = lesson[0].unflatten(-1, task.readout.size[::-1])
    else:
        taught = tuple(lesson)
    scored = mentor.readout.keypoints(output)
    return [scored[0].numpy(), task.readout.keypoints(taught)[0].numpy()]


def compare(cfg: Config, people: int) -> dict[str, np.ndarray]:
    """How far apart each mentor's keypoints are, ``(2, n)``: scored and taught."""
    if not cfg.get('val_dataloader') or not cfg.get('train_dataloader'):
        raise ValueError('the config needs train_dataloader (people) and val_dataloader (pipeline)')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        distiller = build_classroom(cfg, cfg.model.mentors).eval()
        task = distiller.task
        if not isinstance(task, PoseTask):
            raise ValueError('the classroom is not one of pose estimation')
        for mentor in distiller.mentors:
            make_stock(mentor)
        crops = Crops(cfg)
        task.join_keypoints(crops.dataset.metainfo)
        far: dict[str, list[np.ndarray]] = {mentor.name: [] for mentor in distiller.mentors}
        for i in track_iter_progress(range(min(people, len(crops.dataset))), file=sys.stderr):
            packed = crops.dataset[i]
            inputs = distiller.data_preprocessor(pseudo_collate([packed]), False)['inputs']
            sample = packed['data_samples']
            for mentor in distiller.mentors:
                ours = np.stack(classroom_keypoints(task, mentor, inputs))
                stock = crops.to_input(stock_keypoints(mentor, sample), sample.metainfo)
                kept = sample.gt_instances.keypoints_visible[0] > 0
                if mentor.known is not None:
                    kept = kept & mentor.known.numpy()
                apart = np.linalg.norm((ours - stock) / task.readout.scale, axis=-1)
                far[mentor.name].append(apart[:, kept])
    return {name: np.concatenate(parts, axis=1) for name, parts in far.items()}


def table(far: dict[str, np.ndarray]) -> list[list[str]]:
    """Rows of median, 90 % quantile and the share within half a pixel, scored and taught."""
    measures = ('median', '90 %', 'within 0.5')
    rows = [['mentor', 'keypoints', *(f'{k} {m}' for k in ('scored', 'taught') for m in measures)]]
    for name, apart in far.items():
        row = [name, str(apart.shape[1])]
        for values in apart:
            numbers = ['-'] * 3
            if len(values):
                median, ninety = np.quantile(values, [0.5, 0.9])
                numbers = [f'{median:.2f}', f'{ninety:.2f}', f'{(values <= 0.5).mean():.0%}']
            row.extend(numbers)
        rows.append(row)
    return rows


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    try:
        show(table(compare(Config.fromfile(args.config), args.people)))
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
