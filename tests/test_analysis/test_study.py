"""Studies: what they run and how they count."""

import math
import os
import re
import runpy
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from classroomkd_mm.analysis import study
from classroomkd_mm.analysis.study import Run
from classroomkd_mm.benchmark import runs
from classroomkd_mm.commands.errors import IN_WORDS
from classroomkd_mm.registry import MODELS
from classroomkd_mm.shipped import config_file

ROOT = Path(__file__).parents[2]


def test_every_variant_of_every_study_differs_as_it_says():
    named = study.read_study(str(ROOT / 'configs/study/synthetic_pose.py')).runs
    for _ in range(2):  # building a config must not use up the study's options
        models = {
            name: study.run_config(replace(run, config=str(ROOT / run.config)), 7, 'val').model
            for name, run in named.items()
        }
        assert len(models['kd_best'].mentors) == 1 and len(models['aver'].mentors) == 3
        assert models['classroom_keypoint'].knowledge_filter.granularity == 'keypoint'
        assert dict(models['no_mentoring'].mentoring) == dict(type='FixedMentoring', tau=1.0)
        assert dict(models['no_filter'].knowledge_filter) == dict(type='UniformFilter')
        assert models['no_filter'].mentoring.type == 'AdaptiveMentoring'


@pytest.mark.parametrize('name', sorted(p.stem for p in (ROOT / 'configs/study').glob('*.py')))
def test_every_run_of_every_study_is_one_of_its_own(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the shipped files are found from everywhere
    loaded = study.read_study(f'{ROOT}/configs/study/{name}.py')
    configs = {name: study.run_config(run, 0, 'test') for name, run in loaded.runs.items()}
    assert loaded.reference in configs
    assert len({cfg.pretty_text for cfg in configs.values()}) == len(configs)
    for cfg in configs.values():
        ours = [m for m in cfg.model.get('mentors', []) if not m.config.startswith('data/')]
        assert all(Path(config_file(mentor.config)).is_file() for mentor in ours)
        part = cfg.model.get('knowledge_filter')
        assert part is None or part.type in MODELS.module_dict and '_delete_' not in part


def test_the_split_is_the_one_asked_for():
    run = Run(str(ROOT / 'configs/demo/alone.py'))
    on_val, on_test = (study.run_config(run, 3, split) for split in ('val', 'test'))
    for cfg, split in ((on_val, 'val'), (on_test, 'test')):
        assert split in cfg.val_dataloader.dataset.ann_file and split in cfg.val_evaluator.ann_file
    assert on_val.randomness.seed == 3
    assert on_val.train_cfg.val_interval == on_val.train_cfg.max_epochs


def test_the_last_evaluation_counts(tmp_path):
    scalars = tmp_path / '2026/vis_data/scalars.json'
    scalars.parent.mkdir(parents=True)
    scalars.write_text(
        '{"loss": 1.0}\n{"coco/AP": 0.1}\n{"coco/AP": 0.2, "step": 6}\n{"lr": 0.1}\n'
    )
    assert study.last_evaluation(tmp_path, 'coco/AP')['coco/AP'] == 0.2
    with pytest.raises(ValueError, match="metric='accuracy/top1' is not reported in"):
        study.last_evaluation(tmp_path, 'accuracy/top1')


def test_a_grid_of_settings():
    grid = [['x.beta', '1', '2.5'], ['x.strict', 'True']]
    assert study.variants({'a': Run('c', {'x.beta': 7, 'y': 0})}, grid) == {
        'a__beta=1__strict=True': Run('c', {'x.beta': 1, 'y': 0, 'x.strict': True}),
        'a__beta=2.5__strict=True': Run('c', {'x.beta': 2.5, 'y': 0, 'x.strict': True}),
    }
    with pytest.raises(ValueError, match='--set x.beta has no value'):
        study.variants({}, [['x.beta']])


def test_differences_are_paired_by_seed():
    rows = study.summarise({'aver': [1.0, 2.0, 3.0], 'other': [1.5, 2.4, 3.6]}, 'aver')
    # gaps 0.5, 0.4, 0.6: mean 0.5, sd 0.1, half width 4.3027 * 0.1 / sqrt(3)
    assert rows[2] == ['other', '3', '2.5000', '1.0536', '+0.5000', '[+0.2516, +0.7484]']
    assert rows[1][-2:] == ['-', '-']
    for nobody in (None, 'aver'):
        head, row = study.summarise({'other': [1.0, 2.0]}, nobody)
        assert head == ['run', 'seeds', 'mean', 'sd'] and row == ['other', '2', '1.5000', '0.7071']
    assert study.summarise({'a': [1.0], 'b': [2.0]}, 'a')[2][-2:] == ['+1.0000', '-']


def share_within(half, free):
    """How much of Student's t of ``free`` degrees of freedom lies in +-half: a sum, no library."""
    steps = 20_000
    density = [
        (1 + (half * (2 * i / steps - 1)) ** 2 / free) ** (-(free + 1) / 2)
        for i in range(steps + 1)
    ]
    scale = math.lgamma((free + 1) / 2) - math.lgamma(free / 2)
    area = 2 * half * (fmean(density) * (steps + 1) - (density[0] + density[-1]) / 2) / steps
    return area * math.exp(scale) / math.sqrt(free * math.pi)


@pytest.mark.parametrize(
    'seeds, quantile',  # of any book of statistics
    [(2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262), (11, 2.228), (20, 2.093), (40, 2.023)],
)
def test_the_interval_is_students_t_at_any_number_of_seeds(seeds, quantile):
    gaps = [math.sin(3.0 * i) for i in range(seeds)]
    middle = sum(gaps) / seeds
    error = math.sqrt(sum((gap - middle) ** 2 for gap in gaps) / (seeds - 1) / seeds)
    half = study.half_width(gaps)
    assert half / error == pytest.approx(quantile, abs=6e-4)
    assert share_within(half / error, seeds - 1) == pytest.approx(0.95, abs=1e-6)
    row = study.summarise({'a': [0.0] * seeds, 'b': gaps}, 'a')[2]
    assert row[-1] == f'[{middle - half:+.4f}, {middle + half:+.4f}]'


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--only', 'avr'], r"--only: unknown \['avr'\], choose from"),
        (['--set', 'x.beta'], '--set x.beta has no value'),
        (['--reference', 'avr'], "--reference: unknown 'avr', choose from .*'aver'"),
    ],
)
def test_a_wrong_command_line_ends_with_one_sentence(arguments, message):
    with pytest.raises(IN_WORDS, match=message):
        study.main([str(ROOT / 'configs/study/synthetic_pose.py'), *arguments])


def test_a_study_that_is_none_is_refused(tmp_path):
    file = tmp_path / 'none.py'
    file.write_text("metric = 'coco/AP'\n")
    with pytest.raises(IN_WORDS, match=r"none.py: a study has metric and runs; got \['metric'\]"):
        study.main([str(file)])
    for run in ("'some.py'", 'dict(options=dict(a=1))'):
        file.write_text(f"metric = 'coco/AP'\nruns = dict(alone={run})\n")
        with pytest.raises(IN_WORDS, match=r'none.py: runs.alone is dict\(config=FILE, options='):
            study.main([str(file)])
    with pytest.raises(IN_WORDS, match='nowhere.py'):
        study.main([str(tmp_path / 'nowhere.py')])


def test_a_run_that_does_not_train_by_epochs_is_refused(tmp_path):
    (tmp_path / 'by_steps.py').write_text('train_cfg = dict(max_iters=10)\n')
    with pytest.raises(ValueError, match='by_steps.py: train_cfg has no max_epochs'):
        study.run_config(Run(str(tmp_path / 'by_steps.py')), 0, 'val')


def test_a_failed_training_ends_with_its_log(tmp_path, monkeypatch):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text("raise SystemExit('no such model')  # classroomkd_mm")
    monkeypatch.chdir(tmp_path)
    run = Run(str(ROOT / 'configs/demo/alone.py'))
    with pytest.raises(RuntimeError, match=r'training failed, see .*train\.log:\nno such model'):
        study.measure(run, 0, 'val', 'coco/AP', tmp_path / 'run')


def test_the_tool_is_the_library(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['study.py', '--help'])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / 'tools/study.py'), run_name='__main__')
    shown = capsys.readouterr().out
    assert study.__doc__.strip() in shown and study.EXAMPLES in shown


def test_a_study_without_its_reference_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / 'small.py').write_text(
        "metric, reference = 'coco/AP', 'alone'\nruns = dict(alone=dict(config='a.py'))\n"
    )
    monkeypatch.setattr(study, 'run_study', lambda its, *_: {name: [0.5] for name in its.runs})
    (tmp_path / 'w/test').mkdir(parents=True)
    told = "no run is called 'alone' here: without --reference RUN there are no differences"
    command = [str(tmp_path / 'small.py'), '--work-dir', str(tmp_path / 'w')]
    for more, said in (
        ([], False),
        (['--set', 'a', '1', '2'], True),
        (['--set', 'a', '1', '--reference', 'alone__a=1'], False),
    ):
        study.main([*command, *more])
        assert (told in capsys.readouterr().out) == said


def test_a_study_goes_on_where_it_stopped(demo_config, tmp_path, monkeypatch):
    cfg = demo_config('alone')
    cfg.train_cfg.max_epochs = 1
    cfg.dump(str(tmp_path / 'alone.py'))
    (tmp_path / 'small.py').write_text(
        "metric, reference = 'coco/AP', 'alone'\n"
        f"runs = dict(alone=dict(config='{tmp_path}/alone.py'))\n"
    )
    monkeypatch.chdir(ROOT)
    command = [str(tmp_path / 'small.py'), '--work-dir', str(tmp_path / 'w'), '--seeds']
    study.main([*command, '1'])
    table = (tmp_path / 'w/test/table.md').read_text()
    assert '| alone | 1 |' in table
    monkeypatch.setattr(runs, 'train', lambda *_: pytest.fail('trained once more'))
    study.main([*command, '1'])
    assert (tmp_path / 'w/test/table.md').read_text() == table
    cfg.optim_wrapper.optimizer.lr = 1.0
    cfg.dump(str(tmp_path / 'alone.py'))
    with pytest.raises(IN_WORDS, match='seed_0 holds a run of other settings: remove it'):
        study.main([*command, '1'])


@pytest.mark.parametrize(
    'text, told',
    [
        ("refrence = 'a'", "unknown key 'refrence', did you mean 'reference'?"),
        ("runs = dict(a=dict(config='a.py', option={}))", "runs.a: unknown key 'option'"),
        ("runs = dict(a=dict(config='a.py', mentors=[]))", "runs.a: unknown key 'mentors'"),
        ("runs = {'../b': dict(config='a.py')}", "'../b' names a folder"),
    ],
)
def test_a_study_file_is_closed(tmp_path, text, told):
    own = '_mine = 1\nfrom mmengine.config import Config\nimport os\n'  # these are no settings
    base = "metric = 'coco/AP'\nruns = dict(a=dict(config='a.py'))\n"
    path = tmp_path / 'small.py'
    path.write_text(own + base)
    assert list(study.read_study(str(path)).runs) == ['a']
    path.write_text(own + base + text + '\n')
    with pytest.raises(ValueError, match=re.escape(told)):
        study.read_study(str(path))


def test_a_part_of_a_study_leaves_its_table_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / 'small.py').write_text(
        "metric = 'coco/AP'\nruns = dict(a=dict(config='a.py'), b=dict(config='b.py'))\n"
    )
    monkeypatch.setattr(study, 'run_study', lambda its, *_: {name: [0.5] for name in its.runs})
    root = tmp_path / 'w/val'
    root.mkdir(parents=True)
    command = [str(tmp_path / 'small.py'), '--work-dir', str(tmp_path / 'w'), '--split', 'val']
    study.main(command)
    whole = (root / 'table.md').read_text()
    assert whole.startswith('coco/AP on the val split\n\n| run |') and '| b |' in whole
    for more in (['--only', 'a'], ['--set', 'x', '1'], ['--metric', 'coco/AR']):
        study.main([*command, *more])
        part = (root / 'table_part.md').read_text()
        assert (root / 'table.md').read_text() == whole != part
        assert 'written: ' + str(root / 'table_part.md') in capsys.readouterr().out
    assert part.startswith('coco/AR on the val split')


def test_a_metric_that_a_finished_run_has_not_is_named(tmp_path):
    run, folder = Run(str(ROOT / 'configs/demo/alone.py')), tmp_path / 'run'
    folder.mkdir()
    (folder / 'metrics.json').write_text('{"coco/AP": 0.5, "step": 1}')
    with pytest.raises(ValueError, match=r"'AUC' is not reported in .*; there are coco/AP$"):
        study.measure(run, 0, 'val', 'AUC', folder)


def test_a_failed_training_of_a_study_is_a_sentence(tmp_path, monkeypatch):
    def train(*_):
        raise RuntimeError('training failed, see x.log:\nhooks\nerror: no such file\n(--debug)')

    monkeypatch.setattr(runs, 'train', train)
    its = study.Study('coco/AP', dict(a=Run(str(ROOT / 'configs/demo/alone.py'))))
    told = r'^a, seed 0: training failed, see x\.log: no such file$'
    with pytest.raises(RuntimeError, match=told):
        study.run_study(its, 1, 'val', tmp_path)
    with runs.only_process(tmp_path / 'a/seed_0'):
        with pytest.raises(runs.Busy, match=r'^a, seed 0: \S*/seed_0: another process is at it$'):
            study.run_study(its, 1, 'val', tmp_path)


def test_sigterm_ends_a_study_and_what_it_has_started(tmp_path, monkeypatch):
    """What runs is stopped by whatever ends the waiting for it, see test_benchmark_runs."""
    (tmp_path / 'small.py').write_text(
        f"metric = 'coco/AP'\nruns = dict(alone=dict(config='{ROOT}/configs/demo/alone.py'))\n"
    )

    def train(*_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr(runs, 'train', train)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        study.main([str(tmp_path / 'small.py'), '--work-dir', str(tmp_path / 'w')])
    assert signal.getsignal(signal.SIGTERM) is before


def test_runs_are_repeated_only_where_they_must_be(tmp_path, monkeypatch):
    run = Run(str(ROOT / 'configs/demo/alone.py'))
    folder, trained = tmp_path / 'run', []

    def train(config, folder, *_):
        assert not (folder / 'epoch_12.pth').exists()  # else --resume would find nothing to do
        trained.append(config)
        (folder / 'epoch_12.pth').touch()
        raise KeyboardInterrupt  # between the last checkpoint and the evaluation

    def evaluate(config, checkpoint, out, how):
        out.write_text('{"coco/AP": 0.5}')

    monkeypatch.setattr(runs, 'train', train)
    monkeypatch.setattr(runs, 'test', evaluate)
    with pytest.raises(KeyboardInterrupt):
        study.measure(run, 0, 'val', 'coco/AP', folder)
    for _ in range(2):
        assert study.measure(run, 0, 'val', 'coco/AP', folder) == 0.5
    assert len(trained) == 1 and not list(folder.glob('*.pth'))
    with pytest.raises(ValueError, match='holds a run of other settings: remove it'):
        study.measure(run, 1, 'val', 'coco/AP', folder)
