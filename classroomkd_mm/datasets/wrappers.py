"""Data sets inside others: repeated, concatenated, combined."""

from collections.abc import Iterator, Mapping
from typing import Any


def inner_sets(dataset: object) -> Iterator[object]:
    """The data sets that read files, of a data set or its config; itself if it wraps none."""
    inner = [*(get(dataset, 'datasets') or ()), get(dataset, 'dataset')]
    inner = [each for each in inner if each is not None]
    for each in inner:
        yield from inner_sets(each)
    if not inner:
        yield dataset


def get(thing: object, key: str) -> Any:
    """An attribute of an object, an entry of its config; None where there is none."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)
