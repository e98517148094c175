"""Data sets inside others: repeated, concatenated, combined."""

from collections.abc import Iterator, Mapping
from typing import Any


def inner_sets(dataset: object) -> Iterator[object]:
    """The data sets that read files, of a data set or its config; itself if it wraps none."""
    # A wrapper of one set may show that one's attributes as its own, its parts among them.
    one = get(dataset, 'dataset')
    parts = (get(dataset, 'datasets') or ()) if one is None else (one,)
    for each in parts:
        yield from inner_sets(each)
    if not parts:
        yield dataset


def get(thing: object, key: str) -> Any:
    """An attribute of an object, an entry of its config; None where there is none."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)


def stated_metainfo(dataset: object) -> Mapping[str, Any]:
    """What a data set says of itself: MMEngine's its metainfo, torchvision's its classes.

    Empty for one that says nothing, as a plain torch data set need not.
    """
    metainfo = getattr(dataset, 'metainfo', None)
    if isinstance(metainfo, Mapping):
        return metainfo
    classes = getattr(dataset, 'classes', None)
    return dict(classes=tuple(classes)) if isinstance(classes, (list, tuple)) else {}
