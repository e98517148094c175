"""The classification configs: what they build, and that they are what their sources say."""

import csv
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import mmpretrain
import pytest
import yaml
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS

from classroomkd_mm.backbones import NETWORKS, cifar_classifier

SCOPE = 'mmpretrain'
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tools'))
import make_cifar100_configs as generator

CIFAR = ROOT / 'configs/cls/cifar100'


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_files_are_what_the_generator_writes():
    made = generator.files(Path('configs/cls/cifar100'))
    for path, text in made.items():
        assert path.read_text() == text, f'{path}: run tools/make_cifar100_configs.py'
    assert {path.name for path in made} == {path.name for path in CIFAR.glob('*.py')}


@pytest.mark.parametrize('name', NETWORKS)
def test_a_plain_config_is_the_network(name):
    model = Config.fromfile(CIFAR / f'plain_{name}.py').model.to_dict()
    want = cifar_classifier(name)
    model['type'] = 'mmpretrain.ImageClassifier'
    for part in ('neck', 'head', 'backbone'):
        for key in ('type',):
            assert model[part].pop(key).split('.')[-1] == want[part].pop(key).split('.')[-1]
    model['head']['loss'] = want['head']['loss']
    assert model['backbone'] == want['backbone'] and model['head'] == want['head']


def test_the_schedule_is_the_papers():
    import torch
    from mmengine.registry import PARAM_SCHEDULERS

    cfg = Config.fromfile(CIFAR / 'plain_resnet20.py')
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build({**part, 'optimizer': optimizer}) for part in cfg.param_scheduler
    ]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    for epoch, want in ((0, 0.05), (60, 0.03), (120, 0.01), (149, 0.01), (150, 1e-3), (239, 1e-5)):
        assert rates[epoch] == pytest.approx(want, rel=0.02), epoch


@pytest.mark.parametrize('path', sorted(CIFAR.glob('classroom_*.py')), ids=lambda p: p.stem)
def test_a_pairs_classroom_has_one_teacher_and_five_peers(path):
    cfg = Config.fromfile(path)
    student, teacher = next(
        (s, t) for s, t, _ in generator.PAIRS if path.stem == f'classroom_{s}_{t}'
    )
    assert cfg.model.student == Config.fromfile(CIFAR / f'plain_{student}.py').model
    assert len(cfg.model.mentors) == 6 and cfg.model.mentors[0].name == teacher
    for mentor in cfg.model.mentors:
        assert Path(mentor.config).is_file()
        assert mentor.checkpoint == f'work_dirs/plain_{mentor.name}/epoch_240.pth'


def test_every_official_experiment_has_its_config(tmp_path):
    made = generator.official_files(tmp_path)
    plain = lru_cache(lambda name: Config.fromfile(CIFAR / f'plain_{name}.py').model)
    with (CIFAR / 'official.csv').open() as file:
        rows = {row['experiment'].replace('/', '__'): row for row in csv.DictReader(file)}
    assert len(made) == len(rows) == 135
    for path, text in made.items():
        path.write_text(text)
        cfg, row = Config.fromfile(path), rows[path.stem]
        student = plain(row['student'])
        mentors = [*row['teachers'].split(), *row['peers'].split()]
        assert cfg.train_cfg.max_epochs == int(row['epochs'])
        assert cfg.train_dataloader.batch_size == int(row['batch_size'])
        if row['kd'] == 'none' or not mentors:
            assert cfg.model == student
            continue
        assert cfg.model.student == student
        assert [m.config for m in cfg.model.mentors] == [
            f'configs/cls/cifar100/plain_{name}.py' for name in mentors
        ]
        assert len({m.name for m in cfg.model.mentors}) == len(mentors)
        if row['kd'].startswith('ask'):
            assert cfg.model.mentoring.alpha == float(row['kd'].removeprefix('ask_t'))
            alike = len(mentors) > 1 and len(set(mentors)) == 1
            assert cfg.model.knowledge_filter.task_bias == cfg.model.distill_loss.anchor == alike


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs/cls/imagenet').glob('*.py')), ids=lambda p: p.stem
)
def test_imagenet_mentors_are_the_zoos_and_the_classroom_builds(path):
    if 'mobilenetv1' in path.stem and find_spec('timm') is None:
        pytest.skip('MobileNetV1 needs timm')
    index = {}
    for file in (Path(mmpretrain.__file__).parent / '.mim/configs').glob('*/metafile.yml'):
        for entry in yaml.safe_load(file.read_text())['Models']:
            index[entry.get('Weights')] = entry['Config'].replace('configs/', 'mmpretrain::', 1)
    cfg = Config.fromfile(path)
    for mentor in cfg.model.mentors:
        assert index[mentor.checkpoint] == mentor.config
        assert get_config(mentor.config).data_preprocessor.num_classes == 1000
        mentor.checkpoint = None
    from classroomkd_mm.registry import MODELS as OURS

    model = OURS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    assert [m.name for m in model.mentors] == [m.name for m in cfg.model.mentors]


def test_the_base_schedule_and_data_are_read_by_mmpretrain():
    cfg = Config.fromfile(CIFAR / 'plain_vgg8.py')
    assert cfg.train_dataloader.dataset.type == 'CIFAR100' and cfg.default_scope == 'mmpretrain'
    assert MODELS.build(cfg.model).head.num_classes == cfg.data_preprocessor.num_classes == 100
