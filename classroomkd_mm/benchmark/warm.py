"""A rehearsal's processes: forked from one that has imported all.

Each would import for longer than it trains.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import connection, get_context
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Lock

import torch

OURS = ['classroomkd_mm.commands.train', 'classroomkd_mm.commands.test']
# What a registry imports at the first name of a library that it is asked for.
THEIRS = ['mmpose.models', 'mmpose.datasets', 'mmpose.visualization', 'mmpretrain.models']
PRELOADED = [*OURS, *THEIRS, 'mmpretrain.datasets', 'mmpretrain.evaluation']
# An exit status can be read once. Several threads ask for it, and whoever starts a process asks
# all others for theirs.
_ALONE = Lock()


class Warm:
    """One of this project's tools in a process of its own, as :class:`subprocess.Popen` has it.

    It leads a session of its own.

    Args:
        command: The tool's file and its arguments.
        log: File for what it prints.
        environment: Its variables.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        forks = get_context('forkserver')
        forks.set_forkserver_preload(PRELOADED)
        self._process = forks.Process(
            target=_tool, args=(list(command), str(log), dict(environment), os.getcwd())
        )
        with _ALONE:
            self._process.start()
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        with _ALONE:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit status.

        Raises:
            TimeoutExpired: Where it runs for longer.
        """
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise TimeoutExpired(cmd='a forked tool', timeout=timeout or 0.0)
        return code


def _tool(command: list[str], log: str, environment: Mapping[str, str], folder: str) -> None:
    """Be the tool."""
    os.setsid()
    os.chdir(folder)
    with open(log, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment['OMP_NUM_THREADS'].split(',')[0]))  # else all cores'
    sys.argv = command
    more = [path for path in environment.get('PYTHONPATH', '').split(os.pathsep) if path]
    sys.path[:0] = [str(Path(command[0]).parent), *more]
    runpy.run_path(command[0], run_name='__main__')
