"""README's and docs' recipes train as they stand, on RTMPose-s; data and weights are stand-ins."""

import copy
import itertools
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import EpochBasedTrainLoop, Runner

from classroomkd_mm.mentors import checkpoint
from classroomkd_mm.mentors.zoo import zoo
from classroomkd_mm.runs import with_classroom_hook

ROOT = Path(__file__).parents[1]
RTMPOSE = 'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py'
STOCK = re.compile(r'mmpose::[\w/.-]+\.py')


def blocks(name):
    """The whole configs among a document's code blocks."""
    found = re.findall(r'```python\n(.+?)```', (ROOT / name).read_text(), re.DOTALL)
    return [block for block in found if block.startswith('_base_')]


README = blocks('README.md')
RTMPOSE_PAGE, DATA_PAGE = blocks('docs/rtmpose.md'), blocks('docs/data.md')
RECIPES = [RTMPOSE_PAGE[0], DATA_PAGE[0], DATA_PAGE[2], RTMPOSE_PAGE[1]]


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """``weights(config)``: a file of a published config's network with random weights."""
    made = {}

    def make(config):
        if config not in made:
            torch.manual_seed(len(made))
            model = get_config(config).model
            model.backbone.pop('init_cfg', None)
            made[config] = tmp_path_factory.mktemp('weights') / 'network.pth'
            torch.save(MODELS.build(model).state_dict(), made[config])
        return made[config]

    return make


@pytest.fixture
def no_net(monkeypatch, weights):
    """Weights that a run would download are stood in for."""
    configs = {model.weights: model.config for same in zoo().values() for model in same}

    def fetch(url, who, alone):
        return weights(configs[url])

    monkeypatch.setattr(checkpoint, 'fetch', fetch)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """``read(text)``: a recipe in a folder that looks like the repository's root."""
    monkeypatch.chdir(ROOT)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')

    def write(text, name='recipe.py'):
        (tmp_path / name).write_text(text)
        return Config.fromfile(tmp_path / name)

    return write


@pytest.fixture
def mine(people):
    """The people with eight keypoints: the last is no data set's."""
    for split in ('train', 'val'):
        content = json.loads((people / f'annotations/person_keypoints_{split}.json').read_text())
        for person in content['annotations']:
            points = [person['keypoints'][3 * i : 3 * i + 3] for i in (0, 5, 6, 7, 8, 9, 10, 9)]
            person.update(keypoints=sum(points, []), num_keypoints=8)
        (people / f'annotations/mine_{split}.json').write_text(json.dumps(content))
    return people


def stood_in(cfg, people, weights, tmp_path):
    """A recipe on the people, for one epoch of two iterations."""
    cfg.model.student.backbone.pop('init_cfg')
    kind = 'mine' if cfg.model.student.head.out_channels == 8 else 'person_keypoints'
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        inner = loader.dataset.get('dataset', loader.dataset)
        for part in inner.get('datasets', [inner]):
            part.update(data_root='', ann_file=f'{people}/annotations/{kind}_{split}.json')
            part.update(data_prefix=dict(img=f'{people}/{split}/'), indices=4)
            part.pop('bbox_file', None)
    if 'ann_file' in cfg.val_evaluator:
        cfg.val_evaluator.ann_file = f'{people}/annotations/{kind}_val.json'
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    if cfg.load_from is not None:
        published = {model.weights for same in zoo().values() for model in same}
        assert cfg.load_from in published
        cfg.load_from = str(weights(RTMPOSE))
    if 'memory' in cfg.model:
        cfg.model.memory.dir = str(tmp_path / 'memory')
    cfg.work_dir = str(tmp_path / 'run')
    return with_classroom_hook(cfg)


@pytest.fixture
def learns(mine, weights, train, tmp_path, monkeypatch, no_net):
    """``learns(cfg)``: train a recipe through the runner; its runner and iterations' outputs."""
    seen, call_hook = [], Runner.call_hook

    def spy(runner, point, **kwargs):
        if point == 'after_train_iter':
            seen.append(kwargs['outputs'])
        return call_hook(runner, point, **kwargs)

    monkeypatch.setattr(Runner, 'call_hook', spy)

    def run(cfg):
        seen.clear()
        runner = train(stood_in(cfg, mine, weights, tmp_path))
        assert len(seen) == 2
        for each in seen:
            assert torch.isfinite(each['loss']) and each['loss_task_kpt'] > 0
            assert torch.isfinite(each['loss_distill'])
        return runner

    return run


def kinds(runner):
    return [type(hook).__name__ for hook in runner.hooks]


def test_the_documents_have_their_recipes():
    assert README and len(RTMPOSE_PAGE) == 2
    assert len(DATA_PAGE) == 5


@pytest.mark.nightly  # HRNet-W48's weights are 250 MB
def test_readmes_recipe_on_rtmpose(read, learns):
    [text] = [block for block in README if STOCK.search(block)]
    stock = read(STOCK.sub(RTMPOSE, text))
    assert [hook.type for hook in stock.custom_hooks] == ['EMAHook', 'mmdet.PipelineSwitchHook']
    runner = learns(stock)
    assert [mentor.name for mentor in runner.model.mentors] == ['hrnet-w48', 'res50']
    assert {'EMAHook', 'PipelineSwitchHook', 'ClassroomHook'} <= set(kinds(runner))


def test_rtmpose_on_coco(read, learns):
    cfg = read(RECIPES[0])
    assert cfg.model.distill_loss.loss_weight == pytest.approx(0.128)
    shipped = ROOT / 'configs/pose/coco/classroom_rtmpose-s_8xb256-420e_coco-256x192.py'
    shipped = Config.fromfile(shipped)
    assert cfg.custom_hooks == shipped.custom_hooks
    assert cfg.model == dict(shipped.model, mentors=cfg.model.mentors)
    runner = learns(cfg)
    assert {'EMAHook', 'PipelineSwitchHook', 'ClassroomHook'} <= set(kinds(runner))


def test_fine_tuning_takes_the_published_weights(read, learns, weights, monkeypatch):
    cfg, before = read(RECIPES[1]), {}
    assert cfg.train_dataloader.dataset.ann_file == 'train.json'
    assert cfg.train_dataloader.dataset.type == 'CocoDataset'
    [hook] = [hook for hook in cfg.custom_hooks if 'PipelineSwitch' in hook.type]
    assert hook.switch_epoch == 15 < cfg.train_cfg.max_epochs == 20

    run_iter = EpochBasedTrainLoop.run_iter

    def first(loop, *args):
        if not before:
            before.update(copy.deepcopy(loop.runner.model.state_dict()))
        return run_iter(loop, *args)

    monkeypatch.setattr(EpochBasedTrainLoop, 'run_iter', first)
    runner = learns(cfg)
    file = torch.load(weights(RTMPOSE))
    assert all(torch.equal(before[key], value) for key, value in file.items())
    assert 'val/coco/AP' in runner.message_hub.log_scalars


def test_most_people_without_labels(read, people, weights, train, tmp_path, no_net):
    cfg = read(RECIPES[1])
    (tmp_path / 'mentor.py').write_text(f"_base_ = ['{RTMPOSE}']")
    cfg = read(DATA_PAGE[1], 'unlabelled.py')
    tuned, *published = cfg.model.mentors
    assert [mentor.zoo[:9] for mentor in published] == ['rtmpose-l', 'rtmpose-m']
    tuned.update(config=str(tmp_path / 'mentor.py'), checkpoint=str(weights(RTMPOSE)))
    runner = train(stood_in(cfg, people, weights, tmp_path))
    (line,) = (tmp_path / 'run/classroom.jsonl').read_text().splitlines()
    line = json.loads(line)
    assert runner.iter == 4 and line['unlabelled'] == 4 and line['losses']['loss_task_kpt'] > 0
    assert runner.model.standing.sums[1, 0, 0] > 3  # of the four that have labels
    assert 'EMAHook' in kinds(runner) and 'PipelineSwitchHook' not in kinds(runner)


def test_keypoints_of_ones_own(read, learns):
    runner = learns(read(RECIPES[2]))
    for _, bridge in runner.model.members:
        assert bridge.known.tolist() == [True] * 7 + [False]
    assert runner.train_dataloader.dataset.metainfo['flip_indices'] == [0, 2, 1, 4, 3, 6, 5, 7]
    assert 'val/AUC' in runner.message_hub.log_scalars


def test_people_of_two_sets_together(read, people):
    """Each keypoint of the second set is where COCO has it; the rest is unlabelled."""
    read(RECIPES[1])
    cfg = read(DATA_PAGE[3], 'together.py')
    content = json.loads((people / 'annotations/person_keypoints_train.json').read_text())
    for person in content['annotations']:
        theirs = [*person['keypoints'][15:], *[0] * 6]  # no head, no neck
        person.update(keypoints=theirs, category_id=7)
        person.pop('area')
    content['categories'][0]['id'] = 7
    content['annotations'][1].update(keypoints=[0] * 42, num_keypoints=0)
    (people / 'annotations/fourteen.json').write_text(json.dumps(content))
    data = cfg.train_dataloader.dataset
    for part, file in zip(data.datasets, ('person_keypoints_train', 'fourteen')):
        part.update(data_root='', ann_file=f'{people}/annotations/{file}.json')
        part.data_prefix = dict(img=f'{people}/train/')
    built = DATASETS.build(data)
    first = len(built.datasets[0])
    assert len(built) == 2 * first - 1  # one of them has no keypoint
    own, same = built.get_data_info(first), built.get_data_info(0)
    assert (own['keypoints'][0, 5:] == same['keypoints'][0, 5:]).all()
    seen = own['keypoints_visible'][0, :, 0]  # the converter's second column are weights
    assert (seen[5:] == same['keypoints_visible'][0, 5:]).all() and not seen[:5].any()
    assert built.metainfo['dataset_name'] == 'coco' and len(built[first]['inputs'])
    assert cfg.val_evaluator.ann_file.startswith('data/coco/')


def test_pictures_of_ones_own_classes(read, train, tmp_path):
    cfg = read(DATA_PAGE[4])
    for split, kind in itertools.product(('train', 'val'), ('cat', 'dog', 'owl')):
        folder = tmp_path / 'mine' / split / kind
        folder.mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(folder / f'{number}.png'), np.full((40, 50, 3), 60 * number, np.uint8))
    for split in ('train', 'val'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=3, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(tmp_path / 'mine')
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.train_cfg.max_epochs = 1
    cfg.work_dir = str(tmp_path / 'run')
    runner = train(with_classroom_hook(cfg))
    assert runner.iter == 2 and 'val/accuracy/top1' in runner.message_hub.log_scalars
    (line,) = (tmp_path / 'run/classroom.jsonl').read_text().splitlines()
    assert list(json.loads(line)['mentors']) == ['tuned']


def test_remembered_answers_on_rtmpose(read, learns, tmp_path):
    read(RECIPES[0])
    runner = learns(read(RECIPES[3], 'remembered.py'))
    assert type(runner.train_dataloader.dataset).__name__ == 'FixedViews'
    assert 'EMAHook' in kinds(runner) and 'PipelineSwitchHook' not in kinds(runner)
    kept = sorted(file.parent.name for file in (tmp_path / 'memory').glob('*/answers.bin'))
    assert kept == ['rtmpose-l', 'rtmpose-m']


class PlainPeople(torch.utils.data.Dataset):
    """People as a plain torch data set gives them: packed samples, and nothing said of itself."""

    def __init__(self, of):
        self._of = DATASETS.build(of)

    def __len__(self):
        return len(self._of)

    def __getitem__(self, index):
        return self._of[index]


def test_a_plain_torch_data_set_of_people(demo_config, train, tmp_path):
    DATASETS.register_module(module=PlainPeople)
    try:
        cfg = demo_config('classroom')
        inner = dict(cfg.train_dataloader.dataset, indices=16)
        del cfg.train_dataloader['dataset']
        cfg.train_dataloader.dataset = dict(type='PlainPeople', of=inner)
        runner = train(with_classroom_hook(cfg))
    finally:
        DATASETS.module_dict.pop('PlainPeople')
    assert runner.iter == 4 and type(runner.train_dataloader.dataset) is PlainPeople
    assert runner.model.task.metainfo['dataset_name'] == 'coco'  # as its samples say
    lines = (Path(cfg.work_dir) / 'classroom.jsonl').read_text().splitlines()
    assert [json.loads(line)['epoch'] for line in lines] == [1, 2]
    assert 'val/coco/AP' in runner.message_hub.log_scalars
