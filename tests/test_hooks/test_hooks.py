"""The hooks through the real runner: log, TensorBoard, classroom.jsonl, and the mentors' table."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from classroomkd_mm.datasets.synthetic_people import COCO_NAMES


def test_who_taught_how_much_is_in_tensorboard_and_in_the_jsonl(demo_config, train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    cfg = demo_config('classroom')
    runner = train(cfg)
    records = [
        json.loads(x) for x in Path(cfg.work_dir, 'classroom.jsonl').read_text().splitlines()
    ]
    assert [r['epoch'] for r in records] == [1, 2]
    assert set(records[0]['mentors']) == {'large', 'medium', 'small'}
    assert 0 < records[0]['student_score'] < 1 and records[0]['losses']['loss_distill'] >= 0
    runner.visualizer.close()
    events = EventAccumulator(str(next(Path(cfg.work_dir).rglob('vis_data'))))
    events.Reload()
    logged = [e.value for e in events.Scalars('classroom_epoch/large/active')]
    assert logged == pytest.approx([r['mentors']['large']['active'] for r in records])
    assert {'classroom/small/temperature', 'classroom/student_score', 'loss_distill'} <= set(
        events.Tags()['scalars']
    )


def with_eval(cfg, **settings):
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='classroomkd_mm.MentorEvalHook', **settings)]
    return cfg


def test_a_mentor_below_min_metric_stops_the_run_before_training(demo_config, train):
    cfg = with_eval(demo_config('classroom'), min_metric=0.5)
    with pytest.raises(RuntimeError, match=r"mentor 'large' reaches coco/AP=0.* below.*0.5: did"):
        train(cfg)
    assert not list(Path(cfg.work_dir).glob('*.pth'))


def test_what_a_mentor_lacks_is_said_beside_its_metric(demo_config, train):
    """It counts as wrong: no reason to doubt its weights alone."""
    cfg = with_eval(demo_config('classroom'), min_metric=0.5)
    small = cfg.model.mentors[0]
    small.keypoints = [*COCO_NAMES[:12], 'a', 'b', 'c', 'd', 'e']
    told = r'below MentorEvalHook.min_metric=0.5: it lacks 5 of the 17 keypoints, which count as '
    with pytest.raises(RuntimeError, match=told):
        train(cfg)
    log = ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))
    assert f'\n{small.name} (lacks 5 of the 17 keypoints)  0' in log


def test_evaluating_mentors_does_not_change_the_training(demo_config, train):
    cfg = demo_config('classroom')
    cfg.train_cfg.max_epochs = 1
    plain = train(cfg).model.state_dict()
    cfg.work_dir += '_eval'
    evaluated = train(with_eval(cfg)).model.state_dict()
    assert all(torch.equal(plain[key], evaluated[key]) for key in plain)
    assert 'Mentors on the validation set' in ''.join(
        p.read_text() for p in Path(cfg.work_dir).rglob('*.log')
    )


def test_an_unknown_metric_and_a_missing_val_loop_are_named(demo_config, train):
    with pytest.raises(ValueError, match="metric='AP' is not reported; choose one of"):
        train(with_eval(demo_config('classroom'), metric='AP'))
    cfg = with_eval(demo_config('classroom'))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(ValueError, match='needs val_dataloader'):
        train(cfg)


def test_the_hook_without_a_distiller_says_so(demo_config, train):
    cfg = demo_config('alone')
    cfg.custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
    with pytest.raises(TypeError, match='custom_hooks has ClassroomHook, but model is a Topdown'):
        train(cfg)


def by_iterations(cfg, iterations):
    """Train by iterations instead, reporting after every fourth."""
    cfg.train_cfg = dict(by_epoch=False, max_iters=iterations, val_interval=4)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler, cfg.log_processor = [], dict(by_epoch=False)
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    return cfg


def test_training_by_iterations_reports_each_interval_and_is_resumed(demo_config, train):
    cfg = by_iterations(demo_config('classroom'), 6)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    file = Path(cfg.work_dir, 'classroom.jsonl')

    def records():
        return [json.loads(line) for line in file.read_text().splitlines()]

    train(cfg)
    first = records()
    assert [(r['iter'], r['iterations']) for r in first] == [(4, 4), (6, 2)]
    train(cfg, resume=True)  # nothing is left to do, nothing is lost
    assert records() == first
    train(by_iterations(cfg, 9), resume=True)
    assert [(r['iter'], r['iterations']) for r in records()] == [(4, 4), (6, 2), (8, 2), (9, 1)]
    assert records()[:2] == first and all(r['losses']['loss_distill'] > 0 for r in records())


@pytest.mark.parametrize('name', ['large', 'a mentor: mine/2'])
def test_a_line_of_the_log_is_short_and_the_files_have_all(demo_config, train, name):
    cfg = demo_config('classroom')
    cfg.model.mentors[0].name = name
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor = dict(window_size=1)
    train(cfg)
    (log,) = Path(cfg.work_dir).rglob('*.log')
    lines = [line for line in log.read_text().splitlines() if 'Epoch(train)' in line]
    (file,) = Path(cfg.work_dir).rglob('scalars.json')
    scalars = [json.loads(each) for each in file.read_text().splitlines()]
    told = [each for each in scalars if 'loss_distill' in each]
    assert len(lines) == len(told) == 6
    for line, each in zip(lines, told):
        share = each[f'classroom/{name}/active']
        assert 'classroom/' not in line and f'  taught: {name} {share:.0%}, medium ' in line
        assert line.endswith(f'  lesson/task: {each["classroom/lesson_to_task"]:.2f}')
        assert f'  loss_distill: {each["loss_distill"]:.4f}  taught' in line


def test_lessons_that_reach_nobody_and_labels_that_weigh_nothing_are_said_once(demo_config, train):
    cfg = demo_config('classroom')
    cfg.model.knowledge_filter = dict(type='KnowledgeFilter', min_score=1.0)
    train(cfg)
    log = ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))
    assert log.count('in epoch 1 nobody taught: no mentor did better than the student') == 1
    assert log.count('the student hardly learns from its labels; set knowledge_filter.task_b') == 1
    assert 'in epoch 2' not in log
    cfg = demo_config('classroom')
    cfg.work_dir += '_taught'
    train(cfg)
    log = ''.join(path.read_text() for path in Path(cfg.work_dir).rglob('*.log'))
    assert 'nobody taught' not in log and 'hardly learns' not in log


def test_a_config_called_as_the_students_is_refused(demo_config, train, tmp_path):
    cfg = demo_config('classroom')
    cfg.dump(str(tmp_path / 'student.py'))
    cfg = Config.fromfile(tmp_path / 'student.py')
    with pytest.raises(ValueError, match='the config is called student.py, as the config of'):
        train(cfg)


def test_a_metric_of_each_class_has_no_place_in_the_mentors_table(demo_config, train, monkeypatch):
    from mmpose.evaluation.metrics import CocoMetric

    metrics = dict(each=[0.1, 0.2], all=torch.tensor(0.3))
    monkeypatch.setattr(CocoMetric, 'compute_metrics', lambda *_: metrics)
    with pytest.raises(RuntimeError, match="mentor 'large' reaches coco/all=0.3, below"):
        train(with_eval(demo_config('classroom'), min_metric=0.5))


@pytest.mark.parametrize(
    'metrics, settings, error, message',
    [
        (
            dict(NME=0.9),
            dict(min_metric=0.5),
            ValueError,
            'NME is better when it is smaller; use m',
        ),
        (dict(EPE=9.0), dict(max_metric=5.0), RuntimeError, 'EPE=9, above .*max_metric=5.0: did'),
        (dict(MPJPE=float('nan')), dict(max_metric=5.0), RuntimeError, 'MPJPE=nan, above'),
        (dict(PCK=0.9), dict(max_metric=1.0), ValueError, 'PCK is better when it is larger; use m'),
        (dict(RMSE=9.0), dict(max_metric=5.0), RuntimeError, 'RMSE=9, above'),
        (dict(mine=9.0), dict(max_metric=5.0), RuntimeError, 'mine=9, above'),
        (dict(mine=0.1), dict(min_metric=0.5), RuntimeError, 'mine=0.1, below'),
        (dict(a=[1.0, 2.0]), dict(min_metric=0.1), ValueError, 'reports no single number'),
        (dict(a=[1.0, 2.0], AP=0.3), dict(min_metric=0.5), RuntimeError, 'AP=0.3, below'),
    ],
)
def test_bounds_know_which_side_is_better(
    demo_config, train, monkeypatch, metrics, settings, error, message
):
    from mmpose.evaluation.metrics import CocoMetric

    monkeypatch.setattr(CocoMetric, 'compute_metrics', lambda *_: metrics)
    with pytest.raises(error, match=message):
        train(with_eval(demo_config('classroom'), **settings))


@pytest.mark.parametrize('metrics', [dict(EPE=2.0), dict(each=[1.0, 2.0])])
def test_a_mentor_within_bounds_and_a_table_of_nothing_let_the_run_start(
    demo_config, train, monkeypatch, metrics
):
    from mmpose.evaluation.metrics import CocoMetric

    monkeypatch.setattr(CocoMetric, 'compute_metrics', lambda *_: metrics)
    cfg = demo_config('classroom')
    cfg.train_cfg.update(max_epochs=1, val_interval=9)
    assert train(with_eval(cfg, **(dict(max_metric=5.0) if 'EPE' in metrics else {}))).iter == 3
