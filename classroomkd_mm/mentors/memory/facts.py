"""What answers depend on: a memory of other mentors, data or views is refused, naming what differs.

Facts are plain values that JSON keeps. They name no path: the same data elsewhere are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor

from ...datasets import FixedViews
from ...datasets.wrappers import inner_sets
from ..configs import model_config, read_config
from ..digest import file_digest, file_name
from ..settings import MentorSettings

FORMAT = 1  # of the records and of this file; another version's memory is refused
Facts = dict[str, Any]

# Settings of a data set that do not change its pictures: where files lie, how they are read, what
# is known of their keypoints. The annotation file counts by its content.
ELSEWHERE = frozenset(
    {
        'ann_file',
        'backend_args',
        'bbox_file',
        'data_prefix',
        'data_root',
        'file_client_args',
        'lazy_init',
        'max_refetch',
        'metainfo',
        'serialize_data',
        'views',
        '_scope_',
    }
)
# Transforms that leave the picture as it is: one memory serves students of all kinds of heads.
OF_THE_STUDENT = ('GenerateTarget', 'PackPoseInputs', 'PackInputs')
PROBE = 'pictures'
NOTHING = 'not set'
PROBES = 8  # samples whose pictures are compared
GRID = 6  # of a probe's picture, which is averaged down to it
TOLERANCE = 0.02  # of a picture's range: decoders of other versions differ by a grey level


def differences(stored: Facts, here: Facts) -> list[str]:
    """Where two sets of facts differ, a line each; what one side does not know is no difference."""
    lines = []
    known = [key for key in stored if None not in (stored[key], here.get(key))]
    for key in known:
        if key == 'checkpoint' and 'weights' in known:
            continue  # only what is in it counts
        then, now = stored[key], here[key]
        if key == PROBE:
            lines += _unlike(then, now)
        elif isinstance(then, dict):
            lines += [
                _line(name, then.get(name, NOTHING), now.get(name, NOTHING))
                for name in dict.fromkeys((*then, *now))
                if then.get(name, NOTHING) != now.get(name, NOTHING)
            ]
        elif then != now:
            lines.append(_line(key, then, now))
    return lines


def data_facts(dataset: FixedViews) -> Facts:
    """What is known of a data set of fixed views."""
    files = [Path(str(getattr(each, 'ann_file', ''))) for each in inner_sets(dataset.dataset)]
    known = all(path.is_file() for path in files)
    return {
        'number of samples': len(dataset),
        'seed of the views': dataset.seed,
        'annotation files': [file_digest(path) for path in files] if known else None,
        'data set': None if dataset.recipe is None else dict(_flat('dataset', dataset.recipe)),
        PROBE: {str(number): _picture(dataset, number) for number in _probed(dataset)},
    }


def mentor_facts(settings: MentorSettings) -> Facts:
    """What is known of a mentor without its network.

    Its weights are None where they are random, or their file cannot be read here; its config where
    that, or a module that it needs, is missing.
    """
    path = Path(settings.checkpoint or '').expanduser()
    try:
        model = model_config(read_config(settings.config, f'mentor {settings.name!r}'))
    except (FileNotFoundError, ImportError):
        model = None
    # Of the cheap settings this one alone is more than rounding; the others can differ.
    dtype = {} if settings.cheap.dtype is None else {'dtype': settings.cheap.dtype}
    return {
        'config': None if model is None else {**dict(_flat('model', model)), **dtype},
        'weights': file_digest(path) if path.is_file() else None,
        'checkpoint': settings.checkpoint and file_name(settings.checkpoint),
    }


def plain(value: object) -> Any:
    """A config's value as JSON keeps it; classes and functions by their names."""
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, '__qualname__', None) or str(value)


def _flat(name: str, value: object) -> Iterator[tuple[str, Any]]:
    """A config's settings by dotted names, transforms by their types."""
    value = plain(value)
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in ELSEWHERE:
                yield from _flat(f'{name}.{key}', each)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        kept = [each for each in value if _kind(each) not in OF_THE_STUDENT]
        for i, each in enumerate(kept):
            yield from _flat(f'{name}.{i}:{_kind(each)}' if _kind(each) else f'{name}.{i}', each)
    else:
        yield name, _bare(name, value)


def _bare(name: str, value: Any) -> Any:
    """A setting without where it lies: of a path the last part, of a type its name."""
    if not isinstance(value, str):
        return value
    return value.rsplit('.', 1)[-1] if name.endswith('.type') else value.rsplit('/', 1)[-1]


def _kind(value: object) -> str:
    return str(value.get('type', '')).split('.')[-1] if isinstance(value, dict) else ''


def _probed(dataset: FixedViews) -> list[int]:
    """Numbers of samples all over the data set, half of them in another view than the first."""
    size, views = len(dataset), dataset.views or 1
    samples = sorted({round(i * (size - 1) / (PROBES - 1)) for i in range(PROBES)})
    return [s + size * (i % 2 if views > 1 else 0) for i, s in enumerate(samples)]


def _picture(dataset: FixedViews, number: int) -> list[float]:
    """A sample's picture in its view, averaged down to a few numbers."""
    inputs: Any = dataset[number]
    inputs = inputs['inputs'] if isinstance(inputs, Mapping) else None
    if not isinstance(inputs, Tensor) or inputs.dim() != 3:
        raise ValueError(
            "memory needs samples as MMEngine's pipelines pack them: dict(inputs=(C, H, W), "
            f'data_samples=...); {type(dataset.dataset).__name__} gives another'
        )
    small = F.adaptive_avg_pool2d(inputs[None].float(), GRID)
    return [round(value, 3) for value in small.flatten().tolist()]


def _unlike(stored: Mapping[str, list[float]], here: Mapping[str, list[float]]) -> list[str]:
    """Which probes show another picture."""
    lines = []
    for number in stored:
        if number in here:
            then, now = torch.tensor(stored[number]), torch.tensor(here[number])
            same = then.shape == now.shape
            reach = (then.max() - then.min()).clamp(min=1e-3) * TOLERANCE
            if not same or (then - now).abs().max() > reach:
                lines.append(
                    f'pictures: number {number} (sample + length * view) is another than the one '
                    'that the mentors were shown'
                )
    return lines[:1]


def _line(name: str, then: object, now: object) -> str:
    return f'{name}: {_short(then)} in the memory, {_short(now)} here'


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
