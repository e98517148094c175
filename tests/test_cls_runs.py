"""Classification runs through the real runner: data files, checkpoints, stock MMPretrain."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS

SCOPE = 'mmpretrain'
ROOT = Path(__file__).parents[1]
CIFAR = ROOT.parent / 'shared/data/cifar100_mini'


def test_the_tool_cuts_the_validation_split_from_the_training_pictures(fashion):
    cfg = fashion('plain_student')
    train, val, test = (
        DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val', 'test')
    )
    assert (len(train), len(val), len(test)) == (48, 16, 16)
    cfg.train_dataloader.dataset.indices = None
    whole = DATASETS.build(cfg.train_dataloader.dataset)
    for i in range(16):
        ours, theirs = val.get_data_info(i), whole.get_data_info(48 + i)
        assert (ours['img'] == theirs['img']).all() and ours['gt_label'] == theirs['gt_label']


def test_the_tool_says_how_to_get_the_files(prepare_fashion_mnist, tmp_path):
    with pytest.raises(SystemExit, match='lacks train-images-idx3-ubyte.gz.*apt-get install'):
        prepare_fashion_mnist.main(['--source', str(tmp_path), '--out', str(tmp_path / 'o')])


def test_a_classroom_trains_and_its_checkpoint_is_stock_mmpretrains(fashion, train):
    from mmpretrain import get_model

    cfg = fashion('classroom')
    cfg.custom_hooks += [dict(type='classroomkd_mm.MentorEvalHook')]
    runner = train(cfg)
    record = json.loads(Path(cfg.work_dir, 'classroom.jsonl').read_text().splitlines()[-1])
    assert record['epoch'] == 2 and set(record['mentors']) == {'a', 'b', 'c', 'd'}
    assert 0 < record['student_score'] < 1 and record['mentors']['a']['score'] > 0
    stock_cfg = fashion('plain_student')
    path = f'{cfg.work_dir}/epoch_2.pth'
    stock = get_model(stock_cfg, pretrained=path)
    weights = torch.load(path, weights_only=False)['state_dict']
    assert set(weights) == set(stock.state_dict())
    inputs = torch.rand(3, 1, 28, 28)
    runner.model.eval(), stock.eval()
    torch.testing.assert_close(runner.model(inputs), stock(inputs, mode='tensor'))


def test_a_run_resumes_and_a_plain_checkpoint_is_load_from(fashion, train):
    alone = fashion('plain_student')
    train(alone)
    cfg = fashion('aver')
    cfg.train_cfg.max_epochs = 1
    train(cfg, load_from=f'{alone.work_dir}/epoch_2.pth')
    cfg.train_cfg.max_epochs = 2
    assert train(cfg, resume=True).epoch == 2
    lines = Path(cfg.work_dir, 'classroom.jsonl').read_text().splitlines()
    assert [json.loads(line)['epoch'] for line in lines] == [1, 2]


@pytest.mark.skipif(not CIFAR.is_dir(), reason='the small CIFAR-100 is not beside the checkout')
def test_a_cifar100_config_trains_on_real_pictures(train, tmp_path, monkeypatch):
    from mmpretrain.datasets import CIFAR100

    for part in ('train_list', 'test_list'):  # the reduced files have other MD5 sums
        names = [[name, None] for name, _ in getattr(CIFAR100, part)]
        monkeypatch.setattr(CIFAR100, part, names)
    monkeypatch.setattr(CIFAR100, 'meta', dict(CIFAR100.meta, md5=None))
    cfg = Config.fromfile(ROOT / 'configs/cls/cifar100/classroom_resnet20_resnet56.py')
    cfg.model.mentors = cfg.model.mentors[:2]
    for mentor in cfg.model.mentors:
        mentor.update(config=str(ROOT / mentor.config), checkpoint=None)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].update(num_workers=0, persistent_workers=False)
        cfg[loader].dataset.update(data_root=str(CIFAR), indices=128)
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(tmp_path / 'cifar')
    runner = train(cfg)
    assert runner.message_hub.get_scalar('val/accuracy/top5').current() >= 0
    record = json.loads((tmp_path / 'cifar/classroom.jsonl').read_text())
    assert record['iter'] == 2 and 0 < record['student_score'] < 1
