"""What goes wrong around a run: nothing is lost, and one sentence says what to do."""

import copy
import errno
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmpose.datasets import CocoDataset
from mmpose.evaluation import CocoMetric
from mmpose.registry import MODELS
from processes import content, differing, lines

from classroomkd_mm.commands.train import main
from classroomkd_mm.mentors import Mentor
from classroomkd_mm.parts import OKSScorer
from classroomkd_mm.runs import alone_in, explained
from classroomkd_mm.runs.work_dir import PATIENCE_S, RANK
from classroomkd_mm.structures import Scores


def fixed(cfg):
    """Two workers that live on, and fixed views."""


def in_process(cfg):
    """Augmentations are drawn in the process that trains."""
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.dataset


def by_iterations(cfg):
    cfg.train_cfg = dict(by_epoch=False, max_iters=15, val_interval=5)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=15)
    cfg.log_processor = dict(type='LogProcessor', by_epoch=False)
    for scheduler in cfg.param_scheduler:
        scheduler.update(by_epoch=False)


@pytest.mark.parametrize(
    'kind, iteration, sent',
    [
        (fixed, 4, signal.SIGTERM),
        (fixed, 8, signal.SIGINT),  # the last of its epoch
        (in_process, 7, signal.SIGTERM),
        (by_iterations, 6, signal.SIGINT),
    ],
)
def test_a_run_that_is_told_to_stop_goes_on_to_the_same_bits(
    fixed_config, start, tmp_path, kind, iteration, sent
):
    kind(fixed_config)
    fixed_config.dump(tmp_path / 'run.py')
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    argv = (tmp_path / 'run.py', '--no-validate', '--work-dir')
    start(*argv, whole).join(100)
    process = start(*argv, cut, told=(iteration, int(sent)))
    process.join(100)
    assert process.exitcode == 128 + sent
    assert (cut / 'last_checkpoint').read_text() == str(cut / 'stopped.pth')
    meta = torch.load(cut / 'stopped.pth', weights_only=False)['meta']
    assert meta['iter'] == iteration + 1
    log = ''.join(path.read_text() for path in cut.rglob('*.log'))
    assert f'{sent.name}: the run stops after iteration {iteration + 1}; --resume goes on' in log
    again = start(*argv, cut, '--resume')
    again.join(100)
    assert again.exitcode == 0
    assert not (cut / 'stopped.pth').exists()  # the run is whole
    last = 'iter_15.pth' if kind is by_iterations else 'epoch_5.pth'
    assert not differing(content(whole / last), content(cut / last))
    assert lines(whole) == lines(cut)


def full(monkeypatch, name):
    """A disk that is full when half of a checkpoint of this name is written."""
    put = LocalBackend.put

    def half(self, content, path):
        if Path(path).name.startswith(name):
            put(self, content[: len(content) // 2], path)
            raise OSError(errno.ENOSPC, 'No space left on device')
        put(self, content, path)

    monkeypatch.setattr(LocalBackend, 'put', half)


@pytest.mark.parametrize('kept, best', [(1, None), (2, 'coco/AP')])
def test_a_full_disk_loses_no_checkpoint(demo_config, train, monkeypatch, kept, best):
    cfg = demo_config('classroom')
    cfg.train_cfg.update(max_epochs=4, val_interval=1)
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=kept, save_best=best, rule='greater')
    folder, name = Path(cfg.work_dir), 'best_coco_AP_epoch_3' if best else 'epoch_3'
    monkeypatch.setattr(CocoMetric, 'compute_metrics', rising(cfg))
    with monkeypatch.context() as patch:
        full(patch, name)
        with pytest.raises(
            OSError,
            match=rf'{name}.pth cannot be written \(No space left.*'
            r'MiB are free there\): epoch_[23].pth is whole, and --resume',
        ):
            train(cfg)
    last = 3 if best else 2  # the best is written after the epoch's own
    left = {path.name for path in folder.glob('*.pth')}
    own = {f'epoch_{epoch}.pth' for epoch in range(last - kept + 1, last + 1)}
    assert left == own | ({'best_coco_AP_epoch_2.pth'} if best else set())
    for name in left:
        assert torch.load(folder / name, weights_only=False)['state_dict']
    assert (folder / 'last_checkpoint').read_text() == str(folder / f'epoch_{last}.pth')
    assert not list(folder.glob('*.part'))
    runner = train(cfg, resume=True)
    assert runner.epoch == 4 and (folder / 'epoch_4.pth').is_file()
    assert len(list(folder.glob('epoch_*.pth'))) == kept
    assert len(list(folder.glob('best_*.pth'))) == bool(best)


def rising(cfg):
    """Metrics that are better each time."""
    found = iter(range(1, 99))
    return lambda *_: {'AP': next(found) / 100}


def test_two_runs_in_one_work_dir(demo_config, start, tmp_path):
    """The second is refused; one that goes on after a kill is not, though workers outlive it."""
    cfg = demo_config('classroom')
    cfg.train_dataloader.update(num_workers=2, persistent_workers=True)
    cfg.train_cfg.max_epochs = 100
    cfg.dump(str(tmp_path / 'run.py'))
    argv = tmp_path / 'run.py', '--no-validate', '--work-dir', tmp_path / 'w'
    first = start(*argv)
    while not (tmp_path / 'w/epoch_1.pth').is_file():
        assert first.is_alive()
    wrong = rf"another run trains in work_dir='{tmp_path}/w'.*name another folder with --work-dir"
    with pytest.raises(RuntimeError, match=wrong), alone_in(Config(dict(work_dir=f'{tmp_path}/w'))):
        pass
    first.kill()
    first.join()
    begun = time.monotonic()
    with alone_in(Config(dict(work_dir=f'{tmp_path}/w'))):
        assert time.monotonic() - begun < PATIENCE_S


@pytest.mark.parametrize('launcher, variable', RANK.items())
def test_the_ranks_of_a_run_share_its_work_dir(tmp_path, monkeypatch, launcher, variable):
    cfg = Config(dict(work_dir=str(tmp_path), launcher=launcher))
    with alone_in(cfg):
        monkeypatch.setenv(variable, '1')
        with alone_in(cfg):
            pass


def test_a_work_dir_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'file/w.* cannot be written \(Not a dir.*--work-dir'):
        with alone_in(Config(dict(work_dir=f'{tmp_path}/file/w'))):
            pass
    (tmp_path / 'shut').mkdir(mode=0o500)
    before = os.geteuid()
    try:
        if not before:
            os.seteuid(65534)  # root may write everywhere
        with pytest.raises(OSError, match=r'shut.* cannot be written \(Permission.*--work-dir'):
            with alone_in(Config(dict(work_dir=f'{tmp_path}/shut'))):
                pass
    finally:
        os.seteuid(before)


def test_a_second_signal_ends_the_process_at_once(fixed_config, start, tmp_path):
    """Whose iteration hangs, say."""
    fixed_config.dump(tmp_path / 'run.py')
    process = start(tmp_path / 'run.py', '--work-dir', tmp_path, told=(4, -signal.SIGTERM))
    process.join(100)
    assert process.exitcode == -signal.SIGTERM and not (tmp_path / 'stopped.pth').exists()


@pytest.fixture
def build(demo_config):
    """``build(**overrides)``: the demo's classroom with random weights."""

    def make(**overrides):
        cfg = demo_config('classroom').model
        for key, value in overrides.items():
            cfg[key] = value
        torch.manual_seed(0)
        model = MODELS.build(cfg)
        model.init_weights()
        for module in model.train().modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()  # statistics would be of the batch
        return model

    return make


def spoil(mentor, sample, value):
    """Let a mentor answer a value for one sample of each batch."""

    def spoiled(module, arguments, output):
        output[sample] = value
        return output

    mentor.network.register_forward_hook(spoiled)


def lesson(model, data):
    return model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('part', ['sample', 'keypoint', 'uniform'])
def test_a_mentor_is_muted_for_the_sample_that_it_breaks_on(build, packed, part, value):
    """The others' lessons are those of a batch without it."""
    chosen = dict(type='KnowledgeFilter', granularity=part)
    chosen = dict(type='UniformFilter') if part == 'uniform' else chosen
    model, data = build(knowledge_filter=chosen, mentoring=None), packed(3)
    spoil(model.mentors[0], 1, value)
    losses = lesson(model, data)
    assert losses['classroom/large/muted'] == 1 and losses['classroom/small/muted'] == 0
    if part == 'uniform':
        assert losses['classroom/large/active'] == pytest.approx(2 / 3)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    others = {key: [values[0], values[2]] for key, values in data.items()}
    healthy = lesson(build(knowledge_filter=chosen, mentoring=None), others)['loss_distill']
    alone = build(knowledge_filter=chosen, mentoring=None)
    spoil(alone.mentors[0], 0, value)
    broken = lesson(alone, {key: values[1:2] for key, values in data.items()})['loss_distill']
    torch.testing.assert_close(losses['loss_distill'], (2 * healthy + broken) / 3)


@pytest.fixture
def own(people, demo_config, tmp_path):
    """A classroom of one epoch without validation, on pictures that may be spoilt."""
    shutil.copytree(people, tmp_path / 'own')
    cfg = demo_config('classroom')
    cfg.train_cfg.update(max_epochs=1, val_interval=9)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_dataloader.dataset.data_root = f'{tmp_path}/own/'
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    return Config(cfg.to_dict())


@pytest.fixture
def told(tmp_path, monkeypatch):
    """``told(cfg)``: run a config by the command line; the log."""
    monkeypatch.setenv('LOCAL_RANK', '0')

    def run(cfg, *argv):
        name = f'{tmp_path.name}_{os.urandom(4).hex()}'
        cfg.experiment_name = cfg.visualizer.name = name
        cfg.dump(str(tmp_path / f'{name}.py'))
        main([str(tmp_path / f'{name}.py'), '--work-dir', str(tmp_path / 'w'), *argv])
        return ''.join(path.read_text() for path in (tmp_path / 'w').rglob('*.log'))

    return run


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize('share', [0.5, 0.0])
@pytest.mark.parametrize('workers', [0, 1])
def test_a_corrupt_picture_is_named(own, told, tmp_path, workers, share):
    picture = sorted((tmp_path / 'own/train').iterdir())[3]
    cut(picture, share)
    own.train_dataloader.num_workers = workers
    with pytest.raises(Exception, match=f'occurs when loading `{picture}`'):
        told(own)


@pytest.mark.parametrize(
    'kind', ['missing', 'cut', 'no people', 'no pictures', 'filtered', 'large batches']
)
def test_data_that_nothing_can_be_learnt_from(own, told, tmp_path, kind):
    path = tmp_path / 'own/annotations/person_keypoints_train.json'
    content = json.loads(path.read_text())
    where = f"train_dataloader.dataset.ann_file='{path}'"
    wrong = rf"CocoDataset of ann_file='{path}' has no sample: does the file list"
    if kind == 'cut':
        cut(path)
        wrong = rf'{re.escape(where)} is no whole JSON file \(cut off while copied\?\): '
    elif kind == 'missing':
        path.unlink()
        setting = where.partition('=')[0]
        wrong = rf'{setting}: {path} is not there \(looked for from {Path.cwd()}'
    elif kind == 'filtered':
        own.train_dataloader.dataset.filter_cfg = dict(bbox_file=None)
        content['annotations'] = [dict(each, num_keypoints=0) for each in content['annotations']]
        path.write_text(json.dumps(content))
    elif kind == 'large batches':
        own.train_dataloader.update(batch_size=25, drop_last=True)
        wrong = 'gives no batch: its data set has 24 samples, batch_size is 25, and drop_last=True'
    else:
        content['annotations'] = []
        if kind == 'no pictures':
            content['images'] = []
        path.write_text(json.dumps(content))
    with pytest.raises((RuntimeError, ValueError), match=wrong):
        told(own)


@pytest.mark.parametrize('ann_file', ['', 'labels.txt', 'lists'])
def test_an_error_of_a_picture_is_not_taken_for_missing_annotations(tmp_path, ann_file):
    """A folder of classes has ann_file='', which is data_root, and in every path below it."""
    (tmp_path / 'lists').mkdir()
    (tmp_path / 'labels.txt').touch()
    dataset = dict(type='CustomDataset', data_root=str(tmp_path), ann_file=ann_file)
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    for words in (f'{tmp_path}/a/1.png cannot be read', f'{tmp_path}/labels.txt, {tmp_path}/lists'):
        with pytest.raises(OSError, match=f'^{words}$'), explained(cfg):
            raise OSError(words)


def test_a_backbone_that_cannot_be_downloaded(own, told, monkeypatch):
    def no_net(request, *args, **kwargs):
        raise URLError('Name or service not known')

    monkeypatch.setattr('torch.hub.urlopen', no_net)
    url = 'https://example.org/of-this-test-alone.pth'
    own.model.student.backbone.init_cfg = dict(type='Pretrained', checkpoint=url)
    where = f"model.student.backbone.init_cfg.checkpoint='{url}'"
    wrong = f'^{re.escape(where)} cannot be downloaded: .*not known.*; give the path of a file'
    with pytest.raises(RuntimeError, match=wrong):
        told(own)


def test_a_resume_that_finds_nothing_says_so(own, told, tmp_path):
    own.default_hooks.checkpoint.update(interval=9, save_last=False)
    own.default_hooks.checkpoint.pop('save_best', None)
    nothing = 'left no checkpoint to resume from, this one begins anew'
    first = told(own, '--resume')
    there = tmp_path / 'w'
    assert nothing not in first and f'there is no checkpoint in {there}: the run begins' in first
    assert f'the earlier runs in {tmp_path}/w {nothing}' in told(own, '--resume')


def test_a_worker_that_dies(own, told, monkeypatch):
    stock = CocoDataset.__getitem__

    def killed(self, index):
        if torch.utils.data.get_worker_info() is not None and index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return stock(self, index)

    monkeypatch.setattr(CocoDataset, '__getitem__', killed)
    own.train_dataloader.num_workers = 1
    wrong = r'^DataLoader worker \(pid.*: a worker that.*num_workers, and '
    with pytest.raises(RuntimeError, match=wrong):
        told(own)


def test_a_batch_of_one(own, told, tmp_path):
    own.train_dataloader.batch_size = 1
    told(own)
    (line,) = lines(tmp_path / 'w')
    assert line['iterations'] == 24 and line['losses']['loss_task_kpt'] > 0


@pytest.mark.parametrize('answer', ['worse', 'equal', 'zeros', 'some NaN'])
def test_mentors_of_whom_nobody_can_be_learnt_from(own, told, tmp_path, monkeypatch, answer):
    """A run of one epoch; the losses stay finite."""
    if answer == 'worse':
        own.model.knowledge_filter.min_score = 1.0
    stock = Mentor._forward

    def said(self, inputs):
        maps = stock(self, inputs)
        if answer == 'some NaN':
            maps[::2] = float('nan')
        return maps if answer in ('worse', 'some NaN') else maps * 0

    monkeypatch.setattr(Mentor, '_forward', said)
    if answer == 'equal':
        monkeypatch.setattr(OKSScorer, 'forward', level)
    log = told(own)
    (line,) = lines(tmp_path / 'w')
    shares = [each['active'] for each in line['mentors'].values()]
    assert all(np.isfinite(value) for value in line['losses'].values())
    muted = [each['muted_batches'] for each in line['mentors'].values()]
    assert muted == [3 if answer == 'some NaN' else 0] * 3
    if answer == 'worse':
        assert shares == [0, 0, 0] and line['losses']['loss_distill'] == 0
        assert 'nobody taught: no mentor did better than the student on any sample' in log
    if answer == 'equal':
        assert shares == [1, 1, 1]  # as good as the student is good enough
    if answer == 'some NaN':
        assert all(share <= 0.5 for share in shares)
        assert "mentor 'large' gave NaN or infinite outputs for samples of 3 batches" in log
    weights = torch.load(tmp_path / 'w/epoch_1.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())


def level(self, guesses, truth, metainfo):
    return Scores(torch.full(guesses.shape[:3], 0.5), truth.labelled)


def test_memory_that_runs_out_on_a_mentor(own, told, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')

    monkeypatch.setattr('mmpose.models.TopdownPoseEstimator.extract_feat', full)
    with pytest.raises(torch.cuda.OutOfMemoryError) as error:
        told(own)
    assert str(error.value).startswith("mentor 'large' (TopdownPoseEstimator, ")
    for setting in ('2 GiB', "dtype='bfloat16'", 'batch_size', 'device', 'model.memory'):
        assert setting in str(error.value)


def test_a_clock_that_is_set_back(own, told, tmp_path, monkeypatch):
    """An hour and more at each iteration; the run ends, and one that goes on finds its place."""
    now = time.time
    began, calls = now(), iter(range(10**6))
    monkeypatch.setattr(time, 'time', lambda: began - 60 * next(calls))
    told(own)
    own.train_cfg.max_epochs = 2
    told(own, '--resume')
    assert [line['epoch'] for line in lines(tmp_path / 'w')] == [1, 2]
    assert (tmp_path / 'w/last_checkpoint').read_text() == str(tmp_path / 'w/epoch_2.pth')
