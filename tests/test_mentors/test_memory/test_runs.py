"""Memory through the real runner: filled, read, resumed, stale, torn, read-only, full."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from PIL import Image

from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.memory import RememberedMentor
from classroomkd_mm.mentors.memory.records import Records
from classroomkd_mm.registry import MODELS
from classroomkd_mm.standins import PipelineSwitchHook


def weights(runner):
    return {key: value.clone() for key, value in runner.model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first) and len(first) == len(second)


def close(first, second):
    """Equal but for the rounding of a mentor that was asked in batches of other sizes."""
    return all(torch.allclose(first[k].float(), second[k].float(), atol=1e-3) for k in first)


def losses(cfg):
    (path,) = Path(cfg.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line['loss_distill'] for line in lines if 'loss_distill' in line]


def elsewhere(cfg, tmp_path):
    """The same run on a machine that has the memory alone: neither configs nor weights."""
    cfg = copy.deepcopy(cfg)
    for mentor in cfg.model.mentors:
        Path(mentor.checkpoint).unlink()
        mentor.config = str(tmp_path / 'nowhere' / Path(mentor.config).name)
    cfg.work_dir = str(tmp_path / 'elsewhere')
    return cfg


def test_a_filled_memory_needs_no_mentors_and_gives_the_same_bits(remembering, train, tmp_path):
    filling = train(remembering)
    assert all(mentor.built for mentor in filling.model.mentors)
    reading = train(elsewhere(remembering, tmp_path))
    assert all(isinstance(m, RememberedMentor) and not m.built for m in reading.model.mentors)
    sizes = [[bridge.resize for _, bridge in run.model.members] for run in (filling, reading)]
    assert sizes == [[None] * 3] * 2
    assert same(weights(filling), weights(reading))


def test_what_is_remembered_is_what_the_live_mentor_says(remembering, train, tmp_path):
    remembering.model.memory.keep = 1000  # all of it: a random network's maps have no peaks
    remembered = train(remembering)
    live = copy.deepcopy(remembering)
    live.model.pop('memory')
    live.work_dir = str(tmp_path / 'live')
    train(live)
    pairs = list(zip(losses(remembering), losses(live)))
    assert len(pairs) == 6 and remembered.iter == 6
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, rel=0.005) and theirs > 0


def test_a_live_run_begins_with_the_weights_of_the_student_alone(remembering, demo_config, train):
    """Methods are compared on the same student, whoever teaches it and is built beside it."""
    alone = demo_config('alone')
    for cfg in (remembering, alone):
        cfg.train_cfg.max_epochs = 1
        cfg.optim_wrapper.optimizer.lr = 0.0
    parameters = [dict(train(cfg).model.named_parameters()) for cfg in (remembering, alone)]
    assert same(*parameters)


def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not_killed(remembering, train, tmp_path):
    whole = train(remembering)
    killed = copy.deepcopy(remembering)
    killed.work_dir, killed.model.memory.dir = str(tmp_path / 'killed'), str(tmp_path / 'other')
    train(killed)  # the memory holds more than the checkpoint knows of
    Path(killed.work_dir, 'epoch_2.pth').unlink()
    Path(killed.work_dir, 'last_checkpoint').write_text(str(Path(killed.work_dir, 'epoch_1.pth')))
    assert same(weights(whole), weights(train(killed, resume=True)))


def test_a_memory_of_some_mentors_asks_the_others(remembering, train, tmp_path):
    filling = train(remembering)
    shutil.rmtree(tmp_path / 'memory' / 'medium')
    remembering.work_dir = str(tmp_path / 'again')
    again = train(remembering)
    assert [m.built for m in again.model.mentors] == [
        m.name == 'medium' for m in again.model.mentors
    ]
    assert same(weights(filling), weights(again))


def test_torn_and_lost_records_are_asked_for_again(remembering, train, tmp_path):
    filling = train(remembering)
    path = tmp_path / 'memory' / 'large' / 'answers.bin'
    whole = path.read_bytes()
    with path.open('r+b') as file:
        file.seek(len(whole) // 2)
        file.write(bytes(64))  # torn in the middle
        file.truncate(len(whole) - 40)  # and cut off
    remembering.work_dir = str(tmp_path / 'again')
    again = train(remembering)
    assert [m.built for m in again.model.mentors] == [True, False, False]
    assert close(weights(filling), weights(again))
    assert len(path.read_bytes()) == len(whole)
    remembering.work_dir = str(tmp_path / 'third')
    assert not any(mentor.built for mentor in train(remembering).model.mentors)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda cfg, _: _other_weights(cfg), 'weights: [0-9a-f]{16} in the memory'),
        (
            lambda cfg, _: cfg.model.mentors[0].update(
                config=dict(Config.fromfile(cfg.model.mentors[0].config).model, test_cfg=None)
            ),
            'model.test_cfg',
        ),
        (lambda cfg, _: cfg.train_dataloader.dataset.update(seed=7), 'seed of the views: 0 in'),
        (
            lambda cfg, _: cfg.train_dataloader.dataset.dataset.pipeline[3].update(rotate_factor=9),
            r'dataset.pipeline.3:RandomBBoxTransform.rotate_factor: 15 in the memory, 9 here',
        ),
        (
            lambda cfg, _: cfg.train_dataloader.dataset.dataset.update(indices=16),
            'number of samples: 24 in the memory, 16 here',
        ),
        (lambda cfg, path: _other_boxes(cfg, path), 'annotation files'),
        (lambda cfg, path: _other_pictures(cfg, path), 'pictures: number 0'),
        (lambda cfg, _: cfg.model.memory.update(keep=7), 'keep: 128 in the memory, 7 here'),
        (lambda cfg, _: _other_format(cfg), 'format: 0, not 1'),
    ],
)
def test_a_stale_memory_is_refused_naming_what_differs(remembering, train, tmp_path, change, words):
    remembering.train_cfg.max_epochs = 1
    train(remembering)
    change(remembering, tmp_path)
    remembering.work_dir = str(tmp_path / 'again')
    with pytest.raises(ValueError, match=f"holds what mentor 'large' .*{words}.*Remove .*large"):
        train(remembering)


def _other_weights(cfg):
    state = torch.load(cfg.model.mentors[0].checkpoint)
    torch.save({key: value + 1 for key, value in state.items()}, cfg.model.mentors[0].checkpoint)


def _copied(cfg, path):
    """The run's data in a folder that may be changed; the memory does not mind where they lie."""
    root = cfg.train_dataloader.dataset.dataset.data_root
    shutil.copytree(root, path / 'data')
    cfg.train_dataloader.dataset.dataset.data_root = f'{path}/data/'
    return path / 'data'


def _other_boxes(cfg, path):
    file = _copied(cfg, path) / 'annotations' / 'person_keypoints_train.json'
    content = json.loads(file.read_text())
    content['annotations'][5]['bbox'][0] += 1
    file.write_text(json.dumps(content))


def _other_pictures(cfg, path):
    for file in (_copied(cfg, path) / 'train').iterdir():
        Image.open(file).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(file)


def _other_format(cfg):
    path = Path(cfg.model.memory.dir) / 'large' / 'facts.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'format': 0}))


def test_the_same_data_elsewhere_and_another_head_are_no_other_data(remembering, train, tmp_path):
    train(remembering)
    _copied(remembering, tmp_path)
    pipeline = remembering.train_dataloader.dataset.dataset.pipeline
    next(each for each in pipeline if 'encoder' in each).encoder.sigma = 3
    remembering.work_dir = str(tmp_path / 'again')
    assert not any(mentor.built for mentor in train(remembering).model.mentors)


def test_mentors_with_random_weights_are_told_apart_by_them(remembering, train, tmp_path):
    for mentor in remembering.model.mentors:
        mentor.checkpoint = None
    train(remembering)
    remembering.work_dir = str(tmp_path / 'again')
    train(remembering)  # of the same seed
    remembering.randomness.seed = 5
    with pytest.raises(ValueError, match='weights: '):
        train(remembering)


def test_a_read_only_memory_is_read_and_not_written(remembering, train, tmp_path, monkeypatch):
    filling = train(remembering)
    shutil.rmtree(tmp_path / 'memory' / 'small')
    before = _tree(tmp_path / 'memory')
    opened = os.open

    def refuse(path, flags=0, *args, **kwargs):  # root may write whatever its mode says
        if str(tmp_path / 'memory') in str(path) and flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise PermissionError(13, 'Permission denied', str(path))
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, 'open', refuse)
    monkeypatch.setattr(os, 'link', lambda part, path: refuse(path, os.O_CREAT))
    remembering.work_dir = str(tmp_path / 'again')
    again = train(remembering)
    assert close(weights(filling), weights(again)) and _tree(tmp_path / 'memory') == before
    log = _log(remembering)
    assert "is read-only: new answers of mentor 'large' are not kept" in log
    assert log.count("the answers of 'small' are not kept") == 1


def test_a_full_disk_ends_the_keeping_and_not_the_run(remembering, train, tmp_path, monkeypatch):
    def full(self, number, record):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Records, 'write', full)
    filling = train(remembering)
    log = _log(remembering)
    for name in ('large', 'medium', 'small'):
        assert log.count(f"takes no more answers of mentor '{name}'") == 1
    monkeypatch.undo()
    remembering.work_dir = str(tmp_path / 'again')
    assert close(weights(filling), weights(train(remembering)))


def _tree(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}


def _log(cfg):
    (path,) = Path(cfg.work_dir).glob('*/*.log')
    return path.read_text()


def test_two_runs_may_fill_one_memory_at_once(remembering, train, tmp_path):
    """The second begins when the first has kept some answers, and ends before it."""
    first, second = (copy.deepcopy(remembering) for _ in range(2))
    first.work_dir, second.work_dir = (str(tmp_path / name) for name in ('first', 'second'))
    inner = []

    @HOOKS.register_module(force=True)
    class Meanwhile(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if not inner:
                inner.append(train(second))

    first.custom_hooks = [*first.custom_hooks, dict(type='Meanwhile')]
    outer = train(first)
    assert close(weights(outer), weights(inner[0]))
    remembering.work_dir = str(tmp_path / 'third')
    third = train(remembering)
    assert not any(mentor.built for mentor in third.model.mentors)
    assert close(weights(outer), weights(third))


@pytest.mark.parametrize(
    'change, error, words',
    [
        (lambda cfg: cfg.model.update(memory='here'), TypeError, "memory='here' must be dict"),
        (lambda cfg: cfg.model.memory.update(k=3), ValueError, r"got \['dir', 'k'\]"),
        (lambda cfg: cfg.model.memory.update(keep=0), ValueError, 'memory.keep=0 must be'),
        (lambda cfg: cfg.model.mentors[0].update(name='a/b'), ValueError, 'names a folder'),
        (
            lambda cfg: _without_views(cfg),
            ValueError,
            'train_dataloader.dataset is CocoDataset, .*wrap it',
        ),
        (
            lambda cfg: cfg.train_dataloader.dataset.update(views=None),
            ValueError,
            r'is FixedViews\(views=None\)',
        ),
        (
            lambda cfg: cfg.model.student.data_preprocessor.update(
                batch_augments=[dict(type='BatchSyncRandomResize', random_size_range=(32, 64))]
            ),
            ValueError,
            'has batch_augments',
        ),
        (
            lambda cfg: cfg.custom_hooks.append(
                dict(type=PipelineSwitchHook, switch_epoch=1, switch_pipeline=[])
            ),
            ValueError,
            'custom_hooks has PipelineSwitchHook, after which',
        ),
        (
            lambda cfg: cfg.custom_hooks.append(
                dict(
                    type='mmpretrain.SwitchRecipeHook',
                    schedule=[dict(action_epoch=2, train_pipeline=[])],
                )
            ),
            ValueError,
            'custom_hooks has SwitchRecipeHook, after which',
        ),
    ],
)
def test_a_wrong_setting_is_told_before_training(remembering, train, change, error, words):
    change(remembering)
    with pytest.raises(error, match=words):
        train(remembering)


def _without_views(cfg):
    dataset = cfg.train_dataloader.pop('dataset')
    cfg.train_dataloader.dataset = dataset.dataset


def test_samples_without_numbers_name_what_gives_them(remembering, packed):
    model = MODELS.build(remembering.model)
    data = model.data_preprocessor(packed(), True)
    with pytest.raises(RuntimeError, match='needs FixedViews .* and ClassroomHook'):
        model.loss(data['inputs'], data['data_samples'])


def test_answers_are_not_those_of_a_pipeline_that_was_exchanged(remembering, train):
    """By a hook that is not known to: a view's number would stand for two pictures."""

    @HOOKS.register_module(force=True)
    class Other(Hook):
        def before_train_epoch(self, runner):
            if runner.epoch == 1:
                runner.train_dataloader.dataset.pipeline = runner.train_dataloader.dataset.pipeline

    remembering.custom_hooks = [*remembering.custom_hooks, dict(type='Other')]
    with pytest.raises(RuntimeError, match='a pipeline that a hook exchanges'):
        train(remembering)


@pytest.mark.parametrize('remembers', [True, False])
def test_with_a_memory_no_rank_waits_for_others_to_build_a_mentor(
    remembering, monkeypatch, remembers
):
    """One may miss an answer that the others have."""
    asked, build = [], MentorSettings.build

    def spy(self, alone=False):
        asked.append(alone)
        return build(self, alone)

    monkeypatch.setattr(MentorSettings, 'build', spy)
    if not remembers:
        remembering.model.pop('memory')
    MODELS.build(remembering.model)
    assert asked == [remembers] * 3
