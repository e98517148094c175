"""The classification configs: what they build, and that they are what their sources say."""

import csv
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import mmpretrain
import pytest
import yaml
from mmengine.config import Config
from mmengine.config import utils as engine
from mmengine.hub import get_config
from mmengine.registry import MODELS

from classroomkd_mm.backbones import NETWORKS, cifar_classifier
from classroomkd_mm.mentors.zoo import look_up

SCOPE = 'mmpretrain'
ROOT = Path(__file__).parents[1]
CIFAR = ROOT / 'configs/cls/cifar100'


@pytest.fixture(scope='module', autouse=True)
def indexes_are_read_once():
    """For each `library::PATH` MMEngine reads all of the library's metafiles, which takes nine
    tenths of the time that a config takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, 'load', cache(engine.load))
        yield


@pytest.fixture
def generator(tool):
    return tool('make_cifar100_configs')


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_files_are_what_the_generator_writes(generator):
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
def test_a_pairs_classroom_has_one_teacher_and_five_peers(generator, path):
    cfg = Config.fromfile(path)
    student, teacher = next(
        (s, t) for s, t, _ in generator.PAIRS if path.stem == f'classroom_{s}_{t}'
    )
    assert cfg.model.student == Config.fromfile(CIFAR / f'plain_{student}.py').model
    assert len(cfg.model.mentors) == 6 and cfg.model.mentors[0].name == teacher
    for mentor in cfg.model.mentors:
        assert Path(mentor.config).is_file()
        assert mentor.checkpoint == f'work_dirs/plain_{mentor.name}/epoch_240.pth'


@cache
def plain(name):
    return Config.fromfile(CIFAR / f'plain_{name}.py').model


def test_every_official_experiment_has_its_config(generator, tmp_path):
    made = generator.official_files(tmp_path)
    with (CIFAR / 'official.csv').open() as file:
        rows = {row['experiment'].replace('/', '__'): row for row in csv.DictReader(file)}
    assert len(made) == len(rows) == 135
    for path, text in made.items():
        path.write_text(text)
        cfg, row = Config.fromfile(path), rows[path.stem]
        student = plain(row['student'])
        mentors = [*row['teachers'].split(), *row['peers'].split()]
        if row['kd'] in ('kdt4', 'kdt12') and row['teachers']:
            mentors = [row['teachers'].split()[-1]]
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
        for mentor in cfg.model.mentors:
            assert mentor.checkpoint == f'work_dirs/plain_{mentor.name}/epoch_240.pth'
        if row['kd'].startswith('ask'):
            assert cfg.model.mentoring.alpha == float(row['kd'].removeprefix('ask_t'))
            alike = len(mentors) > 1 and len(set(mentors)) == 1
            assert cfg.model.knowledge_filter.task_bias == cfg.model.distill_loss.anchor == alike
        else:
            assert cfg.model.mentoring.tau == float(row['kd'].split('t')[-1])
            assert cfg.model.knowledge_filter.type == 'UniformFilter'


@pytest.mark.parametrize(
    'kd, flags, mentors',
    [
        ('kdt4', [], ['vgg13']),
        ('kdt4', ['--kd', 'last'], ['vgg13']),
        ('kdt4', ['--kd', 'all'], ['ResNet50', 'vgg13', 'resnet8']),
        ('dist_t12', [], ['ResNet50', 'vgg13', 'resnet8']),
        ('ask_t12', [], ['ResNet50', 'vgg13', 'resnet8']),
    ],
)
def test_plain_kd_is_from_the_last_teacher_unless_all_are_asked_for(generator, kd, flags, mentors):
    row = dict(teachers='ResNet50 vgg13', peers='resnet8', kd=kd)
    kept = generator.parse_args(['--official', 'OUT', *flags]).kd
    assert generator.official_mentors(row, kept) == mentors


def test_peers_without_a_teacher_all_teach(generator):
    row = dict(teachers='', peers='resnet8 resnet14', kd='kdt12')
    for kd in ('last', 'all'):
        assert generator.official_mentors(row, kd) == ['resnet8', 'resnet14']


def test_official_files_are_written_as_they_are_asked_for(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, 'files', lambda folder: {})
    for kd, teachers in (('last', {'vgg13'}), ('all', {'ResNet50', 'vgg13'})):
        generator.main(['--official', str(tmp_path / kd), '--kd', kd])
        cfg = Config.fromfile(tmp_path / kd / 'mobv2_student__2t0p.py')
        assert {mentor.name for mentor in cfg.model.mentors} == teachers


@pytest.mark.parametrize(
    'path', sorted((ROOT / 'configs/cls/imagenet').glob('classroom_*.py')), ids=lambda p: p.stem
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
        published = look_up(mentor.zoo, mentor.name)
        assert index[published.weights] == published.config
        assert get_config(published.config).data_preprocessor.num_classes == 1000
        mentor.checkpoint = None
    from classroomkd_mm.registry import MODELS as OURS

    model = OURS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    assert [m.name for m in model.mentors] == [m.name for m in cfg.model.mentors]


def test_the_base_schedule_and_data_are_read_by_mmpretrain():
    cfg = Config.fromfile(CIFAR / 'plain_vgg8.py')
    assert cfg.train_dataloader.dataset.type == 'CIFAR100' and cfg.default_scope == 'mmpretrain'
    assert MODELS.build(cfg.model).head.num_classes == cfg.data_preprocessor.num_classes == 100
