"""Published networks by name, through the installed libraries' own model indexes."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Optional, Protocol

LIBRARIES = ('mmpose', 'mmpretrain')


@dataclass(frozen=True)
class Published:
    """A network in a library's model index.

    Attributes:
        name: Its name there.
        config: ``library::path``, as MMEngine's ``get_config`` reads it.
        weights: URL of its checkpoint, None where none is published.
        task: E.g. 'Body 2D Keypoint', 'Image Classification'.
        dataset: E.g. 'COCO', 'ImageNet-1k'.
        metrics: Published metrics in the index's units (COCO AP as a share, top-1 accuracy in per
            cent); None where the index names a metric and gives no value.
    """

    name: str
    config: str
    weights: Optional[str]
    task: str
    dataset: str
    metrics: Mapping[str, Optional[float]]


class _Result(Protocol):
    """What the index says of a model on one data set."""

    task: str
    dataset: str
    metrics: Optional[Mapping[str, Optional[float]]]


class _Model(Protocol):
    """A model as ``modelindex``, which has no types of its own, reads it."""

    name: str
    config: str
    weights: Optional[str]
    results: Optional[Sequence[_Result]]


@cache
def zoo() -> dict[str, list[Published]]:
    """The published networks of the installed libraries, by name; a few names are there twice."""
    found: dict[str, list[Published]] = {}
    for library in LIBRARIES:
        for model in _read(library):
            found.setdefault(model.name, []).append(model)
    return found


def _read(library: str) -> list[Published]:
    spec = find_spec(library)
    if spec is None or spec.origin is None:  # without origin: a folder of that name, no package
        return []
    index = Path(spec.origin).parent / '.mim/model-index.yml'
    if not index.is_file():
        return []
    from modelindex.load_model_index import load

    return [_published(library, model) for model in load(str(index)).models if model.config]


def _published(library: str, model: _Model) -> Published:
    result = model.results[0] if model.results else None
    return Published(
        name=model.name,
        config=f'{library}::{model.config.removeprefix("configs/")}',
        weights=model.weights,
        task=result.task if result else '',
        dataset=result.dataset if result else '',
        metrics=dict(result.metrics) if result and result.metrics else {},
    )


def look_up(name: str, who: str) -> Published:
    """The network of that name.

    Args:
        name: As in the model index.
        who: Names the mentor in errors.

    Raises:
        ValueError: For an unknown name, with the nearest ones, and for one that is not unique.
    """
    if name not in zoo():
        near = difflib.get_close_matches(name, zoo(), n=3, cutoff=0.4)
        hint = f'did you mean {", ".join(near)}?' if near else 'see classroomkd_mm mentors search'
        raise ValueError(f'{who}: zoo={name!r} is not in the installed model indexes; {hint}')
    if len({(model.config, model.weights) for model in zoo()[name]}) > 1:
        configs = ', '.join(model.config for model in zoo()[name])
        raise ValueError(
            f'{who}: zoo={name!r} is in the model index more than once ({configs}); give config '
            'and checkpoint'
        )
    return zoo()[name][0]
