"""Published networks: which there are, what one of them needs, and their weights, fetched ahead."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from mmengine.config import Config
from mmengine.hub import get_config

from ..mentors.download import fetch
from ..mentors.zoo import Published, look_up, zoo
from ..shipped import config_file
from .tables import Rows

NORMALISATION = ('mean', 'std', 'bgr_to_rgb', 'to_rgb')


@dataclass(frozen=True)
class Wanted:
    """What is looked for in the model indexes; what is left empty fits everything.

    Attributes:
        words: Regular expressions, all of which must be found in the name.
        task: Part of the task's name, e.g. 'Body 2D Keypoint'.
        dataset: Part of the data set's name, e.g. 'COCO'.
        metric: A metric that must be published, e.g. 'AP'.
    """

    words: Sequence[str] = ()
    task: str = ''
    dataset: str = ''
    metric: Optional[str] = None

    def fits(self, network: Published) -> bool:
        """Whether a network is one of those; upper and lower case are the same."""
        return (
            all(re.search(word, network.name, re.IGNORECASE) for word in self.words)
            and self.task.lower() in network.task.lower()
            and self.dataset.lower() in network.dataset.lower()
            and (self.metric is None or _metric(network, self.metric) is not None)
        )


def search(wanted: Wanted) -> list[Published]:
    """The published networks that fit, best first where a metric is asked for.

    Raises:
        ValueError: Where there are none.
        re.error: Where a word is no regular expression.
    """
    found = [network for same in zoo().values() for network in same if wanted.fits(network)]
    if not found:
        raise ValueError(
            f'no published network has words {list(wanted.words)}, task {wanted.task!r}, dataset '
            f'{wanted.dataset!r} and metric {wanted.metric!r}'
        )
    metric = wanted.metric
    if metric is not None:
        found.sort(key=lambda network: -(_metric(network, metric) or 0))
    return found


def found_table(found: Sequence[Published], metric: Optional[str] = None) -> Rows:
    """One row a network, with all its metrics or the one that is asked for."""
    rows = [['name', 'task', 'dataset', 'metrics']]
    for network in found:
        chosen = network.metrics if metric is None else {metric: _metric(network, metric)}
        rows.append([network.name, network.task, network.dataset, _pairs(chosen)])
    return rows


def _metric(network: Published, name: str) -> Optional[float]:
    """By its name, or its first words: 'Top 1' is 'Top 1 Accuracy'."""
    values = {key.lower(): value for key, value in network.metrics.items()}
    begun = (value for key, value in values.items() if key.startswith(f'{name.lower()} '))
    value = values.get(name.lower(), next(begun, None))
    return None if value is None else float(value)


def _pairs(values: Mapping[str, object]) -> str:
    return ', '.join(f'{key} {value}' for key, value in values.items())


def info(name: str) -> Rows:
    """What is known of one network: its config, weights, codec, normalisation and metrics.

    Raises:
        ValueError: For a name that is unknown or not unique.
    """
    published = look_up(name, 'mentors info')
    cfg = get_config(published.config)
    codec = (cfg.model.get('head') or {}).get('decoder') or {}
    norm = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    return [
        ['config', published.config],
        ['weights', str(published.weights)],
        ['data', f'{published.task}, {published.dataset}'],
        ['published', _pairs(published.metrics)],
        ['codec', _pairs(codec)],
        ['normalisation', _pairs({key: norm[key] for key in NORMALISATION if key in norm})],
    ]


def download(names: Sequence[str]) -> Rows:
    """Fetch the weights of zoo names and of whole classroom configs; rows of where they are.

    Raises:
        ValueError: For a name that is unknown or not unique.
        RuntimeError: Where a download fails.
    """
    rows = [['weights', 'file']]
    for name in names:
        if name.endswith('.py'):
            cfg = Config.fromfile(config_file(name))
            mentors = cfg.model.get('mentors', [])
            urls = [_url(each, f'{name}: mentors[{i}]') for i, each in enumerate(mentors)]
        else:
            urls = [_url(dict(zoo=name), 'mentors download')]
        for url in urls:
            if url and url.startswith('http'):
                rows.append([url, str(fetch(url, 'mentors download'))])
    return rows


def _url(mentor: Mapping[str, Any], who: str) -> Optional[str]:
    if not isinstance(mentor, Mapping) or not mentor.keys() & {'checkpoint', 'zoo'}:
        raise ValueError(f'{who} must be a dict with zoo or checkpoint, got {mentor!r}')
    if 'checkpoint' in mentor:
        return mentor['checkpoint']
    return look_up(mentor['zoo'], who).weights
