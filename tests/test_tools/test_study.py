"""tools/study.py: what it runs and how it counts."""

import sys
from pathlib import Path

import pytest
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools'))
import study

from classroomkd_mm.registry import MODELS

ROOT = Path(__file__).parents[2]


def test_every_variant_of_every_study_differs_as_it_says():
    runs = study.runs_of(Config.fromfile(ROOT / 'configs/study/synthetic_pose.py'))
    for _ in range(2):  # building a config must not use up the study's options
        models = {
            name: study.run_config(dict(run, config=str(ROOT / run['config'])), 7, 'val').model
            for name, run in runs.items()
        }
        assert len(models['kd_best'].mentors) == 1 and len(models['aver'].mentors) == 3
        assert models['classroom_keypoint'].knowledge_filter.granularity == 'keypoint'
        assert dict(models['no_mentoring'].mentoring) == dict(type='FixedMentoring', tau=1.0)
        assert dict(models['no_filter'].knowledge_filter) == dict(type='UniformFilter')
        assert models['no_filter'].mentoring.type == 'AdaptiveMentoring'


@pytest.mark.parametrize('name', sorted(p.stem for p in (ROOT / 'configs/study').glob('*.py')))
def test_every_run_of_every_study_is_one_of_its_own(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    loaded = Config.fromfile(f'configs/study/{name}.py')
    runs = study.runs_of(loaded)
    configs = {run: study.run_config(runs[run], 0, 'test') for run in runs}
    assert loaded.reference in configs
    assert len({cfg.pretty_text for cfg in configs.values()}) == len(configs)
    for cfg in configs.values():
        assert all(Path(mentor.config).is_file() for mentor in cfg.model.get('mentors', []))
        part = cfg.model.get('knowledge_filter')
        assert part is None or part.type in MODELS.module_dict and '_delete_' not in part


def test_the_split_is_the_one_asked_for():
    run = dict(config=str(ROOT / 'configs/demo/alone.py'))
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
    with pytest.raises(SystemExit, match="metric='accuracy/top1' is not reported in"):
        study.last_evaluation(tmp_path, 'accuracy/top1')


def test_a_grid_of_settings():
    runs = study.variants({'a': dict(config='c')}, [['x.beta', '1', '2.5'], ['x.strict', 'True']])
    assert {name: run['options'] for name, run in runs.items()} == {
        'a__beta=1__strict=True': {'x.beta': 1, 'x.strict': True},
        'a__beta=2.5__strict=True': {'x.beta': 2.5, 'x.strict': True},
    }
    with pytest.raises(SystemExit, match='--set x.beta has no value'):
        study.variants({}, [['x.beta']])


def test_differences_are_paired_by_seed():
    rows = study.summarise({'aver': [1.0, 2.0, 3.0], 'other': [1.5, 2.4, 3.6]}, 'aver')
    # gaps 0.5, 0.4, 0.6: mean 0.5, sd 0.1, half width 4.30 * 0.1 / sqrt(3)
    assert rows[2] == ['other', '3', '2.5000', '1.0536', '+0.5000', '[+0.2517, +0.7483]']
    assert rows[1][-2:] == ['-', '-']


def test_an_unknown_run_is_named():
    with pytest.raises(SystemExit, match=r"--only: unknown \['avr'\], choose from"):
        study.main([str(ROOT / 'configs/study/synthetic_pose.py'), '--only', 'avr'])


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
    monkeypatch.setattr(study, '_train', lambda *_: pytest.fail('trained once more'))
    study.main([*command, '1'])
    assert (tmp_path / 'w/test/table.md').read_text() == table
    cfg.optim_wrapper.optimizer.lr = 1.0
    cfg.dump(str(tmp_path / 'alone.py'))
    with pytest.raises(SystemExit, match='seed_0 holds a run of other settings: remove it'):
        study.main([*command, '1'])


def test_runs_are_repeated_only_where_they_must_be(tmp_path, monkeypatch):
    run = dict(config=str(ROOT / 'configs/demo/alone.py'))
    folder, trained = tmp_path / 'run', []

    def train(config, folder):
        assert not (folder / 'epoch_12.pth').exists()  # else --resume would find nothing to do
        trained.append(config)
        (folder / 'epoch_12.pth').touch()
        if len(trained) == 1:
            raise KeyboardInterrupt  # between the last checkpoint and the evaluation
        (folder / 't/vis_data').mkdir(parents=True)
        (folder / 't/vis_data/scalars.json').write_text('{"coco/AP": 0.5}\n')

    monkeypatch.setattr(study, '_train', train)
    with pytest.raises(KeyboardInterrupt):
        study.measure(run, 0, 'val', 'coco/AP', folder)
    for _ in range(2):
        assert study.measure(run, 0, 'val', 'coco/AP', folder) == 0.5
    assert len(trained) == 2 and not list(folder.glob('*.pth'))
    with pytest.raises(SystemExit, match='holds a run of other settings: remove it'):
        study.measure(run, 1, 'val', 'coco/AP', folder)
