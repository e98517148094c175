"""What a run is set up with, as its checkpoints keep it: a resume that differs says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from ..distiller import ClassroomDistiller
from ..mentors.digest import file_name, weights_digest
from ..mentors.mentor import WholeConfig
from ..mentors.settings import COMMON

PARTS = ('scorer', 'knowledge_filter', 'mentoring', 'distill_loss')
Setup = dict[str, dict[str, dict[str, Any]]]


def setup_of(model: ClassroomDistiller, cfg: Config) -> Setup:
    """The mentors, by digests of configs and weights, and the parts with their settings.

    Plain and small: strings and numbers. Weights count, not where they lie; of a mentor whose
    network is not built, as its answers are remembered, only the file's name is known.

    Args:
        model: The classroom.
        cfg: The run's config, which says where the mentors' weights come from.
    """
    entries = list((cfg.get('model') or {}).get('mentors') or [])
    entries += [{}] * (len(model.mentors) - len(entries))
    built = {mentor.name: mentor for mentor in model.mentors if getattr(mentor, 'built', True)}
    networks = {id(mentor.network): mentor.network for mentor in built.values()}
    digests = {key: weights_digest(network) for key, network in networks.items()}
    mentors: dict[str, dict[str, Any]] = {
        mentor.name: dict(
            checkpoint=str(entry.get('checkpoint', entry.get('zoo'))),
            settings=_digest({key: entry[key] for key in sorted(set(entry) - COMMON)}),
        )
        for mentor, entry in zip(model.mentors, entries)
    }
    for name, mentor in built.items():
        config = _digest(_of_network(mentor.config))
        mentors[name].update(config=config, weights=digests[id(mentor.network)])
    return dict(mentors=mentors, parts={key: _settings(getattr(model, key)) for key in PARTS})


def other_mentors(before: Setup, now: Setup) -> list[str]:
    """How the mentors differ from those before, a phrase for each that does."""
    old, new = before['mentors'], now['mentors']
    return [
        *(f'{name!r} is gone' for name in old if name not in new),
        *(f'{name!r} is new' for name in new if name not in old),
        *(
            f'{name!r} has {said}'
            for name in new
            if name in old and (said := ' and '.join(_changes(old[name], new[name])))
        ),
    ]


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    was, here = old['checkpoint'], new['checkpoint']
    known = 'weights' in old and 'weights' in new
    other = old['weights'] != new['weights'] if known else file_name(was) != file_name(here)
    if other:
        files = f'{here}, not {was}' if was != here else f'of the same name, {here}'
        yield f'other weights ({files})'
    if known and old['config'] != new['config']:
        yield 'another config'
    if old['settings'] != new['settings']:
        yield 'other settings'


def other_settings(before: Setup, now: Setup) -> list[str]:
    """Which settings of the parts differ from those before, with both values."""
    old, new = before['parts'], now['parts']
    return [
        f'{part}.{key}={new[part].get(key)!r}, not {old[part].get(key)!r}'
        for part in new
        if part in old
        for key in dict.fromkeys((*new[part], *old[part]))
        if new[part].get(key) != old[part].get(key)
    ]


def _settings(part: object) -> dict[str, Any]:
    """A part's type and its plain attributes: what was set, defaults included."""
    values = {key: _plain(value) for key, value in vars(part).items() if key[0] != '_'}
    kept = {key: value for key, value in values.items() if value is not NotImplemented}
    return dict(type=type(part).__name__, **kept)


def _plain(value: object) -> object:
    """A number, string or a list of them; NotImplemented for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        each = [_plain(one) for one in value]
        return NotImplemented if NotImplemented in each else each
    return NotImplemented


def _of_network(config: WholeConfig) -> dict[str, Any]:
    """What of a mentor's config makes its network."""
    keys = ('model', 'data_preprocessor') if 'model' in config else tuple(config)
    return {key: config.get(key) for key in keys}


def _digest(config: Mapping[str, Any]) -> str:
    text = json.dumps(config, sort_keys=True, default=_name)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _name(value: object) -> str:
    return getattr(value, '__qualname__', None) or type(value).__name__
