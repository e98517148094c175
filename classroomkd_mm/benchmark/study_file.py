"""Runs by name, as a study file lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import ismodule

from mmengine.config import Config

from ..shipped import config_file
from .closed import check_keys, file_name

KEYS, KEYS_OF_RUN = ('metric', 'reference', 'options', 'runs'), ('config', 'options')
Lesson = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Run:
    """A config and the settings that a study changes in it, by their dotted names.

    Attributes:
        config: The file.
        options: What is changed, after the mentors were added.
        mentors: Entries of the mentors that teach the config's model, which is then the student; a
            config that is a classroom already has its own.
        lesson: The classroom's other parts.
    """

    config: str
    options: Mapping[str, object] = field(default_factory=dict)
    mentors: Sequence[Mapping[str, object]] = ()
    lesson: Lesson = field(default_factory=dict)

    def changed(self, options: Mapping[str, object]) -> Run:
        """The run with more settings changed; they win over its own."""
        return Run(self.config, {**self.options, **options}, self.mentors, self.lesson)


@dataclass(frozen=True)
class Study:
    """Runs by name, the metric of their last evaluation, and the run to compare the others with."""

    metric: str
    runs: Mapping[str, Run]
    reference: str | None = None


def read_study(path: str) -> Study:
    """The study in a config file; each run has the options that all of them share.

    Raises:
        ValueError: Where the file has no metric or no runs, or a run no config; for names that are
            not known, and a run's that cannot be a folder's.
    """
    cfg = Config.fromfile(config_file(path))
    # A file's own names begin with _; what it imports is no setting.
    said = {k: v for k, v in cfg.items() if not (k.startswith('_') or callable(v) or ismodule(v))}
    check_keys(path, said, KEYS)
    if not cfg.get('metric') or not cfg.get('runs'):
        raise ValueError(f'{path}: a study has metric and runs; got {sorted(cfg)}')
    shared = cfg.get('options', {})
    for name, run in cfg.runs.items():
        if not isinstance(run, Mapping) or 'config' not in run:
            known = 'dict(config=FILE, options={...})'
            raise ValueError(f'{path}: runs.{name} is {known}; got {run}')
        check_keys(f'{path}: runs.{file_name("runs", name)}', run, KEYS_OF_RUN)
    runs = {
        name: Run(run['config'], shared).changed(run.get('options', {}))
        for name, run in cfg.runs.items()
    }
    return Study(cfg.metric, runs, cfg.get('reference'))
