"""A resume with other mentors or settings says so; a new run keeps an earlier one's lines."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from classroomkd_mm.mentors.digest import weights_digest
from classroomkd_mm.runs import setup_of
from classroomkd_mm.runs.setup import other_mentors, other_settings


@pytest.fixture
def cfg(demo_config, tmp_path):
    """The demo's classroom for one epoch, its mentors' weights in files."""
    cfg = demo_config('classroom')
    cfg.train_cfg.update(max_epochs=1, val_interval=9)
    for i, mentor in enumerate(cfg.model.mentors):
        torch.manual_seed(i)
        model = MODELS.build(Config.fromfile(mentor.config).model)
        mentor.checkpoint = str(tmp_path / f'{mentor.name}.pth')
        torch.save(model.state_dict(), mentor.checkpoint)
    return cfg


def warned(cfg):
    """The warnings in a work dir about what changed, in the runs' order.

    Runs that begin within one second share a log.
    """
    logs = sorted(Path(cfg.work_dir).rglob('*.log'))
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return [line for line in lines if 'the run goes on with other' in line]


def resumed(cfg, train):
    """What one more epoch warns of."""
    before = len(warned(cfg))
    cfg.train_cfg.max_epochs += 1
    train(cfg, resume=True)
    return warned(cfg)[before:]


def by_iterations(cfg):
    cfg.train_cfg = dict(by_epoch=False, max_iters=2, val_interval=2)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler, cfg.log_processor = [], dict(by_epoch=False)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)


def test_the_same_mentors_elsewhere_are_no_news(cfg, train, tmp_path):
    train(cfg)
    kept = torch.load(f'{cfg.work_dir}/epoch_1.pth', weights_only=False)['classroom']
    torch.save(kept, tmp_path / 'kept.pth')
    kept = torch.load(tmp_path / 'kept.pth', weights_only=True)['setup']  # no code is asked for
    assert set(kept['mentors']) == {'large', 'medium', 'small'}
    assert kept['parts']['mentoring'] == dict(type='AdaptiveMentoring', alpha=2.0)
    assert len(json.dumps(kept)) < 3000
    moved = shutil.copy(cfg.model.mentors[0].checkpoint, tmp_path / 'moved.pth')
    config = shutil.copy(cfg.model.mentors[1].config, tmp_path / 'moved.py')
    base = Path(cfg.model.mentors[1].config).parents[1] / '_base_'
    Path(config).write_text(Path(config).read_text().replace('../_base_', str(base)))
    cfg.model.mentors[0].checkpoint = str(moved)
    cfg.model.mentors[1].config = str(config)
    assert resumed(cfg, train) == []


def test_other_mentors_are_named_in_one_warning(cfg, train, tmp_path):
    train(cfg)
    large, medium, small = cfg.model.mentors
    torch.manual_seed(9)
    other = MODELS.build(Config.fromfile(large.config).model).state_dict()
    torch.save(other, tmp_path / 'other.pth')
    was, large.checkpoint = large.checkpoint, str(tmp_path / 'other.pth')
    torch.save(MODELS.build(Config.fromfile(medium.config).model).state_dict(), medium.checkpoint)
    cfg.model.mentors = [large, medium, dict(small, name='tiny')]
    (line,) = resumed(cfg, train)
    assert 'WARNING' in line and "'small' is gone; 'tiny' is new" in line
    assert f"'large' has other weights ({large.checkpoint}, not {was})" in line
    assert f"'medium' has other weights (of the same name, {medium.checkpoint})" in line
    assert resumed(cfg, train) == []  # now they are the checkpoint's own


def test_another_config_of_the_same_weights_is_named(cfg, train):
    train(cfg)
    small = cfg.model.mentors[2]
    whole = Config.fromfile(small.config)
    whole.model.data_preprocessor.mean = [0.0, 0.0, 0.0]
    small.config = dict(model=whole.model.to_dict())
    (line,) = resumed(cfg, train)
    assert line.endswith("other mentors than those of the checkpoint: 'small' has another config")


def test_other_settings_are_named_in_one_warning_by_iterations_too(cfg, train):
    by_iterations(cfg)
    train(cfg)
    cfg.model.mentoring.alpha = 4.0
    cfg.model.knowledge_filter = dict(type='KnowledgeFilter', granularity='batch', strict=False)
    cfg.model.distill_loss = dict(type='MSEDistillLoss')
    cfg.train_cfg.max_iters = 4
    train(cfg, resume=True)
    (line,) = warned(cfg)
    assert 'WARNING' in line and 'other settings than those of the checkpoint: ' in line
    assert 'mentoring.alpha=4.0, not 2.0' in line
    assert "knowledge_filter.granularity='batch', not 'sample'" in line
    assert 'knowledge_filter.task_bias=0.0, not 1.0' in line
    assert "distill_loss.type='MSEDistillLoss', not 'KLDistillLoss'" in line
    assert 'strict' not in line and 'scorer' not in line


def test_a_checkpoint_of_before_these_were_kept_is_resumed_without_a_word(cfg, train):
    train(cfg)
    path = f'{cfg.work_dir}/epoch_1.pth'
    saved = torch.load(path, weights_only=False)
    del saved['classroom']
    torch.save(saved, path)
    cfg.model.mentoring.alpha = 4.0
    assert resumed(cfg, train) == []


def test_a_mentor_that_was_not_built_is_known_by_its_file():
    class Remembered:
        name, built = 'm', False

        @property
        def network(self):
            raise AssertionError('it would be built')

    class Model:
        mentors = [Remembered()]
        scorer = knowledge_filter = mentoring = distill_loss = Remembered()

    def setup(file):
        entry = dict(name='m', config='c.py', checkpoint=file)
        return setup_of(Model(), Config(dict(model=dict(mentors=[entry]))))

    assert not other_mentors(setup('a.pth'), setup('a.pth'))
    assert not other_mentors(setup('here/a.pth'), setup('there/a.pth'))
    assert other_mentors(setup('a.pth'), setup('b.pth')) == [
        "'m' has other weights (b.pth, not a.pth)"
    ]
    assert not other_settings(setup('a.pth'), setup('b.pth'))


def test_weights_have_one_digest_whatever_their_kind():
    network = torch.nn.BatchNorm1d(2).to(torch.bfloat16)
    first = weights_digest(network)
    assert first == weights_digest(network) and len(first) == 16
    network.num_batches_tracked += 1
    assert weights_digest(network) != first


def lines(path):
    return [json.loads(line)['epoch'] for line in path.read_text().splitlines()]


@pytest.mark.parametrize('line', ['{"epoch": 1, "it', '{"epoch": 1}', '[1]', '{"iter": "a"}'])
def test_a_damaged_line_is_named_and_nothing_is_lost(cfg, train, line):
    folder = Path(cfg.work_dir)
    train(cfg)
    path = folder / 'classroom.jsonl'
    path.write_text(content := f'{line}\n{path.read_text()}')
    with pytest.raises(
        ValueError, match='classroom.jsonl, line 1 is none of Class.*: mend it, or'
    ):
        train(cfg, resume=True)
    assert path.read_text() == content


def test_a_new_run_keeps_the_lines_of_earlier_ones(cfg, train):
    folder = Path(cfg.work_dir)
    train(cfg)
    first = (folder / 'classroom.jsonl').read_text()
    assert 'earlier run' not in ''.join(path.read_text() for path in folder.rglob('*.log'))
    cfg.train_cfg.max_epochs = 2
    train(cfg)
    assert (folder / 'classroom.1.jsonl').read_text() == first
    assert lines(folder / 'classroom.jsonl') == [1, 2]
    train(cfg, load_from=f'{cfg.work_dir}/epoch_1.pth')
    assert lines(folder / 'classroom.2.jsonl') == lines(folder / 'classroom.jsonl') == [1, 2]
    assert (folder / 'classroom.1.jsonl').read_text() == first
    log = ''.join(path.read_text() for path in folder.rglob('*.log'))
    assert log.count('which this one does not resume: they are kept in classroom.2.jsonl') == 1


def test_a_resumed_run_goes_on_with_its_own_lines(cfg, train):
    folder = Path(cfg.work_dir)
    train(cfg)
    resumed(cfg, train)
    assert lines(folder / 'classroom.jsonl') == [1, 2]
    assert [path.name for path in folder.glob('*.jsonl')] == ['classroom.jsonl']
