"""Data workers obey the run that started them, and nobody else."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from classroomkd_mm.runs.workers import spare_workers


class Who:
    """Samples that say which process made them, and what its initialisation has set."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor([os.getpid(), int(os.environ.get('BEGUN', 0))])


def begin(worker):
    os.environ['BEGUN'] = str(worker + 5)


@pytest.mark.parametrize('how', ['fork', 'forkserver'])
@pytest.mark.parametrize('sent', [signal.SIGTERM, signal.SIGINT])
def test_a_strangers_signal_is_passed_over_and_the_runs_own_is_not(how, sent):
    loader = DataLoader(Who(), 2, num_workers=1, worker_init_fn=begin, multiprocessing_context=how)
    spare_workers(loader, (signal.SIGTERM, signal.SIGINT))
    batches = iter(loader)
    pid, begun = next(batches)[0].tolist()
    assert begun == 5  # the loader's own initialisation was not lost
    subprocess.run([sys.executable, '-c', f'import os; os.kill({pid}, {int(sent)})'], check=True)
    assert [each[0, 0].item() for each in batches] == [pid] * 3
    left = iter(loader)
    next(left)
    (worker,) = left._workers
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0
