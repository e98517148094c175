"""Precision and training options of MMEngine's: each trains a classroom, and resumes."""

import copy
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from processes import content, differing, lines
from test_ranks import free_port

from classroomkd_mm.commands.train import main
from classroomkd_mm.runs import CpuAmpOptimWrapper
from classroomkd_mm.runs import amp as amp_module


def plain(cfg):
    """As the demo."""


def amp(cfg):
    cfg.optim_wrapper.type = 'classroomkd_mm.CpuAmpOptimWrapper'


def accumulation(cfg):
    cfg.optim_wrapper.accumulative_counts = 2  # of three batches an epoch: one waits


def clipping(cfg):
    cfg.optim_wrapper.clip_grad = dict(max_norm=0.1)


def average(cfg):
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='EMAHook', momentum=0.1)]


def synchronised(cfg):
    cfg.model.student.backbone.norm_cfg = dict(type='SyncBN', requires_grad=True)


def scaled_rate(cfg):
    cfg.auto_scale_lr = dict(base_batch_size=16, enable=True)


def compiled(cfg):
    cfg.compile = dict(backend='eager')


SHARDED = dict(type='MMFullyShardedDataParallel', use_orig_params=True)
OPTIONS = [amp, accumulation, clipping, average, synchronised, scaled_rate, compiled]


@pytest.fixture
def short(remembering):
    """Two epochs of three batches, of mentors who all teach."""
    cfg = copy.deepcopy(remembering)
    cfg.model.memory = None
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.dataset
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    return Config(cfg.to_dict())


@pytest.mark.parametrize('option', OPTIONS)
def test_an_option_trains_and_resumes_to_the_same_bits(short, train, option):
    option(short)
    also = ('ema_state_dict',) if option is average else ()
    whole = train(short)
    compiled_impl = whole.model.backbone._compiled_call_impl
    assert (compiled_impl is not None) == (option is compiled)
    folder = Path(short.work_dir)
    told = dict(work_dir=f'{folder}_resumed', resume=True, load_from=f'{folder}/epoch_1.pth')
    resumed = train(short, **told)
    ends = [content(Path(each.work_dir) / 'epoch_2.pth', also) for each in (whole, resumed)]
    assert not differing(*ends)
    assert all(v.isfinite().all() for v in ends[0]['state_dict'].values())


def distance(a, b):
    return sum((a[name] - b[name]).double().square().sum() for name in a).sqrt()


@pytest.fixture
def run(short, tmp_path, monkeypatch):
    """``run(name, *argv)``: train by the command line; the log."""
    monkeypatch.setenv('LOCAL_RANK', '0')

    def train(name, *argv):
        short.experiment_name = short.visualizer.name = f'{tmp_path.name}_{name}'
        short.dump(str(tmp_path / f'{name}.py'))
        main([str(tmp_path / f'{name}.py'), '--work-dir', str(tmp_path / name), *argv])
        return ''.join(path.read_text() for path in (tmp_path / name).rglob('*.log'))

    return train


def weights(folder):
    found = torch.load(folder / 'epoch_2.pth', weights_only=False)['state_dict']
    return {name: value for name, value in found.items() if value.is_floating_point()}


@pytest.mark.parametrize('fast', [True, False])
def test_a_cpu_without_bfloat16_is_warned_of(monkeypatch, fast):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    monkeypatch.setattr('classroomkd_mm.runs.amp._has_bfloat16', lambda: fast)
    CpuAmpOptimWrapper(optimizer=torch.optim.SGD([torch.zeros(1)], lr=0.1))
    assert fast or 'this CPU has no fast bfloat16 (AVX-512): with --amp' in said.pop()
    assert not said
    monkeypatch.undo()
    assert amp_module._has_bfloat16() in (True, False)  # of this machine's


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_amp_on_a_cpu_is_bfloat16(run, short, tmp_path, monkeypatch):
    """The backbone reckons in bfloat16, lessons in float32; what is learnt hardly differs."""
    seen = set()
    stock = torch.nn.BatchNorm2d.forward

    def forward(self, x):
        seen.add(x.dtype)
        return stock(self, x)

    short.optim_wrapper.optimizer = dict(type='SGD', lr=0.1)  # Adam blows rounding up
    run('plain')
    monkeypatch.setattr(torch.nn.BatchNorm2d, 'forward', forward)
    short.optim_wrapper.update(type='AmpOptimWrapper', loss_scale=512.0, dtype='float16')
    run('amp', '--amp')
    assert seen == {torch.bfloat16, torch.float32}  # the latter before training: mentors are tried
    told = [lines(tmp_path / name)[0]['losses'] for name in ('plain', 'amp')]
    for key, loss in told[0].items():
        assert told[1][key] == pytest.approx(loss, rel=0.05) and told[1][key] != loss
    plain, mixed = (weights(tmp_path / name) for name in ('plain', 'amp'))
    assert 0 < distance(plain, mixed) < 0.05 * distance(plain, {k: 0 * v for k, v in plain.items()})


def test_the_rate_is_scaled_and_said(run, short, tmp_path):
    """Eight samples where the rate is for 16."""
    short.param_scheduler = []
    short.auto_scale_lr = dict(base_batch_size=16)
    log = run('scaled', '--auto-scale-lr')
    assert 'Scaling the original LR by 0.5.' in log
    optimizer = torch.load(tmp_path / 'scaled/epoch_2.pth', weights_only=False)['optimizer']
    np.testing.assert_allclose(optimizer['param_groups'][0]['lr'], 0.0025)


def test_one_process_has_nobody_to_synchronise_with(run, short):
    synchronised(short)
    assert 'all SyncBatchNorm (SyncBN) layers in the model will be automatically rev' in run('sync')


def test_clipped_gradients_are_shorter(run, short, tmp_path):
    """SGD's first steps are as long as its gradients; the norm that is logged is of before."""
    short.optim_wrapper.optimizer = dict(type='SGD', lr=1.0)
    short.param_scheduler = []
    short.optim_wrapper.clip_grad = dict(max_norm=1e-4)
    run('clipped')
    ends = [torch.load(tmp_path / f'clipped/epoch_{i}.pth', weights_only=False) for i in (1, 2)]
    count = ('running', 'num_batches')
    named = [
        {k: v for k, v in e['state_dict'].items() if not any(c in k for c in count)} for e in ends
    ]
    assert 0 < distance(*named) < 3 * 1.01e-4  # three steps
    norms = ends[1]['message_hub']['log_scalars']['train/grad_norm']._log_history
    assert (norms > 1e-4).all()


@pytest.mark.skipif(torch.cuda.is_available(), reason='on a GPU its bits are others; not known why')
def test_a_flexible_runner_trains_and_resumes_to_the_same_bits(run, short, tmp_path):
    """MMEngine's other runner, whose strategies (DDP, FSDP, DeepSpeed) a config may name."""
    run('plain')
    short.update(runner_type='FlexibleRunner', strategy=dict(type='SingleDeviceStrategy'))
    run('flexible')
    run('resumed', '--resume', str(tmp_path / 'flexible/epoch_1.pth'))
    plain, *flexible = (weights(tmp_path / name) for name in ('plain', 'flexible', 'resumed'))
    for each in flexible:
        assert list(each) == list(plain)
        assert all(torch.equal(each[name], plain[name]) for name in plain)
    told = [[e['losses'] for e in lines(tmp_path / name)] for name in ('plain', 'flexible')]
    assert told[0] == told[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_sharding_needs_a_gpu_which_torch_says(run, short, monkeypatch):
    """torch.distributed.fsdp has no CPU; DDP has (test_ranks)."""
    short.model_wrapper_cfg = SHARDED
    with as_one_rank(monkeypatch):
        with pytest.raises(RuntimeError, match='FSDP needs a non-CPU accelerator device'):
            run('sharded', '--launcher', 'pytorch')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_student_in_mmengines_shards(run, short, tmp_path, monkeypatch):
    """The first FSDP, on one GPU: the checkpoint is the student's, whole."""
    run('plain')
    short.model_wrapper_cfg = SHARDED
    with as_one_rank(monkeypatch):
        run('sharded', '--launcher', 'pytorch')
    plain, sharded = (weights(tmp_path / name) for name in ('plain', 'sharded'))
    assert list(sharded) == list(plain)
    nothing = {name: 0 * value for name, value in plain.items()}
    assert distance(plain, sharded) < 0.02 * distance(plain, nothing)


@contextmanager
def as_one_rank(monkeypatch):
    """As torchrun starts the only process of a job."""
    place = dict(RANK=0, WORLD_SIZE=1, MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    for name, value in place.items():
        monkeypatch.setenv(name, str(value))
    try:
        yield
    finally:  # a run that succeeds has left it
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
