"""Compare what a classroom reads from its pose mentors with their own stock inference.

Every mentor sees the first people of the config's training data twice, without augmentation: as in
the classroom (the student's crop, adapted; its output read in the student's input space), and
through `mmpose.apis.inference_topdown` (its own pipeline, from the picture; no flip). The table
says how far apart the two are, in the student's heatmap pixels or SimCC bins. A mentor that is
carried over wrongly shows here; one whose weights are random only shows noise.
"""

import argparse
import sys
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
from mentors import build_classroom, show
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmengine.utils import track_iter_progress

from classroomkd_mm.mentors import Classroom, Mentor

Distances = List[np.ndarray]

EXAMPLE = """example:
  python tools/compare_mentors.py configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py"""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='classroom config')
    parser.add_argument('--people', type=int, default=32, help='how many (default 32)')
    parser.add_argument(
        '--min-score',
        type=float,
        default=0.3,
        help='compare keypoints whose stock score is at least this (default 0.3)',
    )
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


def stock_inference(mentor: Mentor, sample: Any) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints ``(K, 2)`` in the picture and scores ``(K,)``, both of the student's keypoints."""
    from mmpose.apis import inference_topdown

    (found,) = inference_topdown(mentor.network, sample.img_path, sample.gt_instances.bboxes)
    (keypoints,), (scores,) = found.pred_instances.keypoints, found.pred_instances.keypoint_scores
    if mentor.keypoint_index is not None:
        index = mentor.keypoint_index.numpy()
        keypoints, scores = keypoints[index], np.where(mentor.known.numpy(), scores[index], -1)
    return keypoints, scores


def compare(cfg: Config, people: int, min_score: float = 0.3) -> Tuple[Classroom, Distances]:
    """The mentors, and how far apart each one's keypoints are, in the student's pixels or bins."""
    from mmpose.apis.inference import dataset_meta_from_config

    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        distiller = build_classroom(cfg, cfg.model.mentors).eval()
        crops = Crops(cfg)
        distiller.task.join_keypoints(crops.dataset.metainfo)
        for mentor in distiller.mentors:  # as init_model leaves a network
            mentor.network.cfg = mentor.config
            mentor.network.dataset_meta = dataset_meta_from_config(mentor.config)
            mentor.network.test_cfg = {**(mentor.network.test_cfg or {}), 'flip_test': False}
        far: Distances = [np.empty(0) for _ in distiller.mentors]
        for i in track_iter_progress(range(min(people, len(crops.dataset))), file=sys.stderr):
            packed = crops.dataset[i]
            inputs = distiller.data_preprocessor(pseudo_collate([packed]), False)['inputs']
            sample = packed['data_samples']
            for m, mentor in enumerate(distiller.mentors):
                output = distiller.task.adapt(mentor(inputs)[0], mentor)
                ours = mentor.readout.keypoints(output)[0].numpy()
                theirs, scores = stock_inference(mentor, sample)
                theirs = crops.to_input(theirs, sample.metainfo)
                apart = np.linalg.norm((ours - theirs) / distiller.task.readout.scale, axis=-1)
                far[m] = np.append(far[m], apart[scores >= min_score])
    return distiller.mentors, far


def table(mentors: Classroom, far: Distances) -> List[List[str]]:
    """Rows of numbers, median, 90 % quantile and the share within half a pixel."""
    rows = [['mentor', 'keypoints', 'median', '90 %', 'within 0.5', 'adapted']]
    for mentor, apart in zip(mentors, far):
        numbers = ['-'] * 3
        if len(apart):
            median, ninety = np.quantile(apart, [0.5, 0.9])
            numbers = [f'{median:.2f}', f'{ninety:.2f}', f'{(apart <= 0.5).mean():.0%}']
        rows.append([mentor.name, str(len(apart)), *numbers, ', '.join(mentor.adaptations) or '-'])
    return rows


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    show(table(*compare(Config.fromfile(args.config), args.people, args.min_score)))


if __name__ == '__main__':
    main()
