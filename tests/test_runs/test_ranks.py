"""Two processes on CPUs, started as users start them, do what one does."""

import copy
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from classroomkd_mm.commands.train import main
from classroomkd_mm.runs import ranks
from classroomkd_mm.runs.resume import skip_batches

TOOLS = Path(__file__).parents[2] / 'tools'


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def started(*command, **variables):
    """A command's output, from where torchrun and python are this environment's."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    told = subprocess.run(
        list(map(str, command)),
        env={**os.environ, 'PATH': path, 'CUDA_VISIBLE_DEVICES': '', **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
    )
    return told.returncode, told.stdout


def alone(run, folder, *flags):
    """Train in this process; visualisers are global by name."""
    name = f'{folder.parent.name}_{folder.name}'
    names = ('--cfg-options', f'experiment_name={name}', f'visualizer.name={name}')
    main([str(run), '--work-dir', str(folder), *flags, *names])


def distance(a, b):
    return sum((a[name] - b[name]).double().square().sum() for name in a).sqrt()


@pytest.fixture
def run(remembering, tmp_path):
    """A run of 21 iterations whose samples do not depend on each other; its config's path."""
    cfg = copy.deepcopy(remembering)
    cfg.model.memory = None
    cfg.model.student.backbone.norm_eval = True  # statistics would be of half a batch
    sgd = dict(type='SGD', lr=1.0)  # Adam blows rounding up
    cfg.optim_wrapper = dict(optimizer=sgd, accumulative_counts=2)
    cfg.train_cfg.max_epochs = 7
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.update(interval=4, save_last=True)
    Config(cfg.to_dict()).dump(str(tmp_path / 'run.py'))
    return tmp_path / 'run.py'


TELLS = """
import atexit, os, signal
from pathlib import Path
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@atexit.register
def last():  # what is registered later, and so all of the run's, has been called
    names = [file.read_text() for file in Path('/proc/self/task').glob('*/comm')]
    left = sum('gloo' in name for name in names)
    print(f'at its end {left} threads of gloo\\n', end='', flush=True)

@HOOKS.register_module()
class Tells(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1 and os.environ['RANK'] == '1':
            os.kill(os.getpid(), signal.SIGTERM)
"""
TOLD = """
_base_ = 'run.py'
custom_imports = dict(imports=['classroomkd_mm', 'tells'])
custom_hooks = [*_base_.custom_hooks, dict(type='Tells')]
"""


def test_two_ranks_of_half_a_batch_do_what_one_does_and_one_goes_on_with_theirs(
    run, tmp_path, monkeypatch
):
    """One of the two is told to stop, which both do with the update; two go on, and then one."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    one, two = tmp_path / 'one', tmp_path / 'two'
    alone(run, one)
    half = ('--cfg-options', 'train_dataloader.batch_size=4', 'train_cfg.max_epochs=4')
    (tmp_path / 'tells.py').write_text(TELLS)
    (tmp_path / 'told.py').write_text(TOLD)
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    command = ('bash', TOOLS / 'dist_train.sh', tmp_path / 'told.py', 2, '--work-dir', two, *half)
    code, told = started(*command, PORT=str(free_port()), PYTHONPATH=path)
    assert code != 0 and 'SIGTERM: the run stops after iteration 4; --resume goes on' in told
    assert told.count('at its end 0 threads of gloo') == 2  # one can abort its process
    assert (two / 'last_checkpoint').read_text() == str(two / 'stopped.pth')
    command = ('bash', TOOLS / 'dist_train.sh', run, 2, '--work-dir', two, *half, '--resume')
    code, told = started(*command, PORT=str(free_port()))
    assert code == 0 and '1 batches of this epoch are passed over' in told, told[-3000:]
    alone(run, two, '--resume')
    early, late, got_early, got_late = (
        torch.load(folder / f'epoch_{epoch}.pth', weights_only=False)['state_dict']
        for folder in (one, two)
        for epoch in (4, 7)
    )
    moved = distance(early, late)
    assert moved > 0.1
    assert distance(early, got_early) < 1e-3 * moved and distance(late, got_late) < 1e-3 * moved
    lines = [(folder / 'classroom.jsonl').read_text().splitlines() for folder in (one, two)]
    assert [len(each) for each in lines] == [7, 7]  # one rank writes


def test_what_stopped_within_an_epoch_needs_as_many_ranks():
    with pytest.raises(
        RuntimeError,
        match='stopped.pth is of a run of 2 ranks that stopped within an epoch, and these are 1: '
        'resume with 2, or from the end of an epoch, with --resume and --cfg-options load_from=',
    ):
        skip_batches(None, 3, [{}, {}])


def test_an_error_of_all_ranks_ends_the_job_with_its_words(run, tmp_path):
    cfg = Config.fromfile(run)
    Path(cfg.model.mentors[0].checkpoint).write_bytes(b'PK')
    command = ('bash', TOOLS / 'dist_train.sh', run, 2, '--work-dir', tmp_path / 'w')
    code, told = started(*command, PORT=str(free_port()))
    assert code == 1 and 'cannot be read as a checkpoint' in told


@pytest.mark.parametrize(
    'given, want',
    [
        (None, dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None,
                    find_unused_parameters=True)),
        (dict(static_graph=True),
         dict(type='MMDistributedDataParallel', static_graph=True, device_ids=None)),
        (dict(type='MMFullyShardedDataParallel'), dict(type='MMFullyShardedDataParallel')),
    ],
)  # fmt: skip
def test_on_cpus_ranks_are_joined_and_the_wrapper_has_no_device(given, want, monkeypatch):
    for name, value in dict(
        RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port()
    ).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(dict(launcher='pytorch', find_unused_parameters=True, model_wrapper_cfg=given))
    with ranks(cfg):
        assert torch.distributed.get_backend() == 'gloo'
    assert not torch.distributed.is_initialized() and cfg.model_wrapper_cfg == want


def test_a_run_of_one_process_is_left_alone(tmp_path):
    cfg = Config(dict(launcher='none'))
    with ranks(cfg):
        assert not torch.distributed.is_initialized()
    assert 'model_wrapper_cfg' not in cfg
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/group', rank=0, world_size=1)
    try:
        with ranks(cfg):
            pass
        assert torch.distributed.is_initialized()  # whoever made it leaves it
    finally:
        torch.distributed.destroy_process_group()
