"""Runs of tools/train.py in processes of their own, and what they leave, compared."""

import json
import multiprocessing
import os
import runpy
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yapf.yapflib.yapf_api
from mmengine.hooks import RuntimeInfoHook

TOOLS = Path(__file__).parents[2] / 'tools'
# Clean processes that have imported already: each run starts in a second.
CLEAN = multiprocessing.get_context('forkserver')
CLEAN.set_forkserver_preload(['classroomkd_mm', 'mmpose.models', 'mmpose.datasets'])
CLOCK = {'train/time', 'train/data_time', 'train/memory'}


def unformatted(text, **_):
    """Instead of yapf, with which MMEngine lays out the config anew for each checkpoint.

    It takes nine tenths of these tests' time.
    """
    return text, True


def run_tool(*argv):
    """``python tools/train.py ARGV``, in a process of its own."""
    yapf.yapflib.yapf_api.FormatCode = unformatted
    sys.argv = [str(TOOLS / 'train.py'), *argv]
    sys.path.insert(0, str(TOOLS))
    runpy.run_path(sys.argv[0], run_name='__main__')


def run_and_tell(iteration, number, *argv):
    """As :func:`run_tool`; at an iteration it and its workers get a signal; if negative, twice."""
    stock = RuntimeInfoHook.before_train_iter

    def before_train_iter(self, runner, *args, **kwargs):
        stock(self, runner, *args, **kwargs)
        if runner.iter == iteration:
            for _ in range(1 if number > 0 else 2):
                os.killpg(0, abs(number))  # as a terminal and SLURM do

    RuntimeInfoHook.before_train_iter = before_train_iter
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    run_tool(*argv)


def kill_after(process, checkpoint, wait):
    """SIGKILL some time after a checkpoint is there; False if the run was faster."""
    deadline = time.monotonic() + 60
    while process.is_alive() and not checkpoint.exists():
        assert time.monotonic() < deadline, 'the run wrote no checkpoint'
        time.sleep(0.002)
    time.sleep(wait)
    process.kill()
    process.join()
    return process.exitcode == -9


def content(path, also=('ema_state_dict',)):
    """All of a checkpoint that must be equal: nested, without clocks and paths."""
    found = torch.load(path, 'cpu', weights_only=False)  # an EMA's are where it is
    hub = found['message_hub']['log_scalars']
    scalars = {name: hub[name]._log_history for name in hub if name not in CLOCK}
    assert {'train/loss', 'train/classroom/student_score', 'train/lr'} <= set(scalars)
    kept = ('state_dict', 'optimizer', 'param_schedulers', *also)
    return dict({key: found[key] for key in kept}, scalars=scalars)


def differing(one, other, path=''):
    """Where two nested things are not equal to the bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [d for key in one for d in differing(one[key], other[key], f'{path}.{key}')]
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        return [d for i in range(len(one)) for d in differing(one[i], other[i], f'{path}.{i}')]
    same = np.array_equal if isinstance(one, (np.ndarray, torch.Tensor)) else lambda a, b: a == b
    return [] if same(one, other) else [path]


def lines(work_dir):
    return [json.loads(line) for line in (work_dir / 'classroom.jsonl').read_text().splitlines()]
