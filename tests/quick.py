"""What shortens the tests, and changes nothing that they see."""

import copy
import sysconfig
from functools import wraps
from pathlib import Path

from torch.utils.data import dataloader

SHIPPED = (Path(__file__).parents[1] / 'configs', Path(sysconfig.get_path('purelib')))


def reading_once(fromfile):
    """``Config.fromfile`` that reads a shipped file, which no test changes, once a process."""
    known = {}

    @wraps(fromfile)
    def read(filename, *args, **kwargs):
        path = Path(filename).absolute()
        if not any(folder in path.parents for folder in SHIPPED):
            return fromfile(filename, *args, **kwargs)
        key = (str(filename), str(path), args, *sorted(kwargs.items()))
        if key not in known:
            known[key] = fromfile(filename, *args, **kwargs)
        return copy.deepcopy(known[key])

    return read


def ended_workers(monkeypatch):
    """End the lasting workers of data loaders that are made until then: a generator.

    Those that the garbage collector ends are waited for during five seconds: it may close the
    queue through which they are told before they are told.
    """
    started = []
    stock = dataloader._MultiProcessingDataLoaderIter.__init__

    def start(self, loader):
        stock(self, loader)
        started.append(self)

    monkeypatch.setattr(dataloader._MultiProcessingDataLoaderIter, '__init__', start)
    yield
    for iterator in started:
        iterator._shutdown_workers()
