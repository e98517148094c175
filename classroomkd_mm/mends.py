"""A fault of MMPose 1.3.2 that stops its own configs, mended; imported with its data sets."""

from functools import wraps
from typing import Any, Callable, Optional

from mmpose.datasets.datasets import CocoWholeBodyDataset

Info = dict[str, Any]
Parse = Callable[[CocoWholeBodyDataset, Info], Optional[Info]]


def without_absent_3d(parse: Parse) -> Parse:
    """Leave ``keypoints_3d`` out where it is None.

    KeypointConverter takes its shape wherever there is such a key, so whole-body people cannot be
    converted to other keypoints: ``rtmpose-*_body8-halpe26`` dies of its first sample.
    """

    @wraps(parse)
    def parsed(self: CocoWholeBodyDataset, raw: Info) -> Optional[Info]:
        info = parse(self, raw)
        if info is not None and info.get('keypoints_3d', ()) is None:
            del info['keypoints_3d']
        return info

    return parsed


CocoWholeBodyDataset.parse_data_info = without_absent_3d(CocoWholeBodyDataset.parse_data_info)
