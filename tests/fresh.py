"""Processes of their own without the seconds that it takes to import everything anew.

:class:`FreshPython` forks interpreters that have not imported OpenMMLab's libraries from one that
knows torch, for tests of how something imports; :func:`ranks` several from one that knows all.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

multiprocessing.set_forkserver_preload(['classroomkd_mm', 'mmpose.models', 'mmpretrain'])
KNOWN = ('torch._dynamo', 'torch.distributed.optim', 'cv2', 'scipy.stats', 'matplotlib.pyplot')


def ranks(function, *arguments, count=2):
    """Call ``function(rank, *arguments)`` in so many processes at once; what fails fails here."""
    from torch.multiprocessing import start_processes

    here = (dict(os.environ), os.getcwd(), function, arguments)
    start_processes(_in, here, nprocs=count, start_method='forkserver')


def _in(rank, environment, folder, function, arguments):
    os.environ.update(environment)
    os.chdir(folder)
    function(rank, *arguments)


@dataclass(frozen=True)
class Done:
    """What a process has said."""

    returncode: int
    stdout: str
    stderr: str


class FreshPython:
    """``fresh(code, folder)``: run code where ``folder``'s modules are found first."""

    def __init__(self):
        self._folder = TemporaryDirectory()
        self._server = subprocess.Popen(
            [sys.executable, '-W', 'ignore', __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, code, *folders):
        asked = dict(code=code, path=[str(each) for each in folders], out=self._folder.name,
                     environment=dict(os.environ), cwd=os.getcwd())  # fmt: skip
        self._server.stdin.write(json.dumps(asked) + '\n')
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        told = (Path(self._folder.name, name).read_text() for name in ('stdout', 'stderr'))
        return Done(os.waitstatus_to_exitcode(status), *told)

    def close(self):
        self._server.stdin.close()
        self._server.wait()
        self._folder.cleanup()


def serve():
    for name in KNOWN:
        __import__(name)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            become(**asked)
        print(os.waitpid(child, 0)[1], flush=True)


def become(code, path, out, environment, cwd):
    """In the child: the process that was asked for."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:1] = path  # in place of this file's folder
    sys.argv = ['-c']
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        os.dup2(os.open(os.path.join(out, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    status = 0
    try:
        exec(compile(code, '<string>', 'exec'), {'__name__': '__main__'})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == '__main__':
    serve()
