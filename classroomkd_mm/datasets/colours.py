"""In which order a data set's colours arrive: what a preprocessor does to them is not enough."""

from collections.abc import Mapping
from typing import Optional

from .wrappers import get, inner_sets

# Their pictures are stored as arrays; OpenCV reads files as BGR.
RGB_ARRAYS = {'CIFAR10', 'CIFAR100'}
LOADERS = {'LoadImage', 'LoadImageFromFile', 'LoadImageFromWebcam'}


def colour_order(dataset: object) -> Optional[str]:
    """How the pictures of a data set leave its pipeline.

    Args:
        dataset: A data set, wrapped or not, or its config.

    Returns:
        'rgb', 'bgr', or None where it cannot be told.
    """
    dataset = next(inner_sets(dataset))
    order = 'rgb' if RGB_ARRAYS & _names(dataset) else None
    pipeline = get(dataset, 'pipeline') or ()
    for step in getattr(pipeline, 'transforms', pipeline):
        names = _names(step)
        if names & LOADERS or ('PILToNumpy' in names and get(step, 'to_bgr')):
            order = 'bgr'
        elif 'NumpyToPIL' in names and get(step, 'to_rgb'):
            order = 'rgb'
    return order


def _names(thing: object) -> set[str]:
    """Class names of an object and its bases, or of the type in a config."""
    kind = thing.get('type') if isinstance(thing, Mapping) else type(thing)
    if isinstance(kind, str):
        return {kind.split('.')[-1]}
    return {c.__name__ for c in getattr(kind, '__mro__', ())}
