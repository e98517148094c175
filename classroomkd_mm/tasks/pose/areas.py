"""A person's area, which OKS is relative to: annotated, or reckoned from its box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from ...datasets.wrappers import inner_sets

BOX_SHARE = 0.53  # of its box a person fills, as MMPose's CocoMetric(use_area=False) reckons


def area_of(meta: Mapping[str, Any], box: Any) -> float | None:
    """A person's area in picture pixels; None where neither an area nor a box is known.

    Args:
        meta: A packed sample's metainfo.
        box: Its width and height, or None.
    """
    annotation = meta.get('raw_ann_info')
    area: Any = annotation.get('area') if isinstance(annotation, Mapping) else None
    if fault(area) is None:
        return float(area)
    return None if box is None else BOX_SHARE * float(box[0] * box[1])


def fault(area: object) -> str | None:
    """What is wrong with an annotated area; None where nothing is."""
    if area is None:
        return 'missing'
    value = np.asarray(area, dtype=float)
    if not np.isfinite(value).all():
        return 'not finite'
    return None if (value > 0).all() else 'zero or negative'


def faults(dataset: object) -> tuple[Counter[str], int]:
    """Faults of all annotated areas of a data set, and how many people it has."""
    found: Counter[str] = Counter()
    people = 0
    for inner in inner_sets(dataset):
        if not isinstance(inner, BaseDataset):
            continue
        inner.full_init()
        people += len(inner)
        for i in range(len(inner)):
            # Past the data set's own, which copies its metainfo for every person.
            annotation = BaseDataset.get_data_info(inner, i).get('raw_ann_info')
            what = fault(annotation.get('area') if isinstance(annotation, Mapping) else None)
            if what is not None:
                found[what] += 1
    return found, people
