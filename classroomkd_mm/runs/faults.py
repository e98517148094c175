"""What goes wrong around a run and says so badly, said in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from urllib.error import URLError

from mmengine.config import Config
from torch.utils.data import DataLoader

DIED = re.compile(r'DataLoader worker \(pid.*?(exited unexpectedly|killed by signal: [^.]*)')


@contextmanager
def explained(cfg: Config) -> Iterator[None]:
    """Say of errors within that name neither file nor setting what they are of.

    Annotation files that are missing or cut off, data sets without a sample, workers of a loader
    that died, pretrained weights that cannot be downloaded.

    Args:
        cfg: The run's config.

    Raises:
        RuntimeError: In place of those; any other error as it is.
    """
    try:
        yield
    except Exception as error:
        told = (
            _missing(error, cfg)
            or _cut_off(error, cfg)
            or _empty(error)
            or _died(error)
            or _not_fetched(error, cfg)
        )
        if told is None:
            raise
        raise RuntimeError(told) from error


def _missing(error: BaseException, cfg: Config) -> str | None:
    """Which setting names a file that is not there."""
    for where, paths in _files(cfg.to_dict()):
        if str(paths[0]) in str(error) and not any(path.exists() for path in paths):
            return f'{where}: {paths[0]} is not there (looked for from {Path.cwd()})'
    return None


def _cut_off(error: BaseException, cfg: Config) -> str | None:
    """Which file's JSON breaks off."""
    if not any(isinstance(each, json.JSONDecodeError) for each in _causes(error)):
        return None
    named = [(where, path) for where, paths in _files(cfg.to_dict()) for path in paths]
    for where, path in named:
        if not path.is_file():
            continue
        try:
            json.loads(path.read_bytes())
        except ValueError as wrong:
            return f'{where}={str(path)!r} is no whole JSON file (cut off while copied?): {wrong}'
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised for: MMEngine cannot make a JSONDecodeError anew."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _files(cfg: object, where: str = '', root: str = '') -> Iterator[tuple[str, tuple[Path, ...]]]:
    """The annotation files that a config names, each as it may be meant, with where it does."""
    if isinstance(cfg, Mapping):
        root = cfg.get('data_root') or root
        for key, value in cfg.items():
            here = f'{where}.{key}' if where else str(key)
            if key == 'ann_file' and isinstance(value, str) and value:
                yield here, (Path(root, value), Path(value))
            yield from _files(value, here, root)
    elif isinstance(cfg, (list, tuple)):
        for i, each in enumerate(cfg):
            yield from _files(each, f'{where}[{i}]', root)


def _not_fetched(error: BaseException, cfg: Config) -> str | None:
    """Which setting's URL cannot be read: ``init_cfg`` of a backbone, mostly."""
    if not isinstance(error, URLError):
        return None
    frames = [frame.f_locals for frame, _ in walk_tb(error.__traceback__)]
    asked = {value for each in frames for value in each.values() if isinstance(value, str)}
    found = (each for each in _texts(cfg.to_dict()) if each[1] in asked and '://' in each[1])
    where, url = next(found, (None, None))
    if where is None:
        return None
    return (
        f'{where}={url!r} cannot be downloaded: {error}; give the path of a file on this machine '
        'or, where load_from gives the weights, None for the whole init_cfg'
    )


def _texts(cfg: object, where: str = '') -> Iterator[tuple[str, str]]:
    """The texts of a config, each with where it stands."""
    if isinstance(cfg, str):
        yield where, cfg
    elif isinstance(cfg, Mapping):
        for key, value in cfg.items():
            yield from _texts(value, f'{where}.{key}' if where else str(key))
    elif isinstance(cfg, (list, tuple)):
        for i, each in enumerate(cfg):
            yield from _texts(each, f'{where}[{i}]')


def _empty(error: BaseException) -> str | None:
    """Which data set has no sample: MMEngine cannot concatenate what is not there."""
    frames = (frame for each in _causes(error) for frame, _ in walk_tb(each.__traceback__))
    found = next((f for f in frames if f.f_code.co_name == '_serialize_data'), None)
    data = None if found is None else found.f_locals.get('self')
    if data is None or data.data_list:
        return None
    return (
        f'{type(data).__name__} of ann_file={data.ann_file!r} has no sample: does the file list '
        'any, do they have labels, and does a filter (filter_cfg, indices) leave some?'
    )


def refuse_no_batches(loader: DataLoader) -> None:
    """Refuse a training of no iterations, which would end at once and say nothing.

    Raises:
        ValueError: Where there are fewer samples than one batch takes, and the rest is dropped.
    """
    if not len(loader):
        samples = len(loader.dataset)  # type: ignore[arg-type]  # torch's may have no length
        raise ValueError(
            f'train_dataloader gives no batch: its data set has {samples} samples, '
            f'batch_size is {loader.batch_size}, and drop_last=True drops what is less'
        )


def _died(error: BaseException) -> str | None:
    found = DIED.search(str(error))
    return found and (
        f'{found[0]}: a worker that is killed is mostly one too many for the memory (or for '
        '/dev/shm): set train_dataloader.num_workers, and val_dataloader.num_workers, to fewer; '
        'with 0 the data are loaded without workers, and an error names its sample'
    )
