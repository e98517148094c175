"""The benchmarks that are shipped: each can be planned, and one is run from end to end."""

import csv
import json
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.config import utils as engine

from classroomkd_mm.__main__ import main as typed
from classroomkd_mm.benchmark.checks import faults
from classroomkd_mm.benchmark.jobs import Place, benchmark_jobs
from classroomkd_mm.benchmark.spec import read_benchmark
from classroomkd_mm.benchmark.standin import StandIn, stand_in
from classroomkd_mm.benchmark.steps import Step, Steps, _precision, counted, iterations, measured

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'configs/benchmark').glob('*.yml'))
DOCUMENT = ROOT / 'docs/benchmarks.md'


def main(argv):
    """``python -m classroomkd_mm benchmark ARGV``."""
    return typed(['benchmark', *argv])


@pytest.fixture(scope='module', autouse=True)
def indexes_are_read_once():
    """For each `library::PATH` MMEngine reads all of the library's metafiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, 'load', cache(engine.load))
        yield


@pytest.fixture(autouse=True)
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_a_file_says_how_one_gets_its_data(path):
    for how in read_benchmark(path).data.values():
        tools = [word for word in how.split() if word.endswith('.py')]
        assert how and all((ROOT / tool).is_file() for tool in tools)


def shipped(path, place):
    """A benchmark and its jobs."""
    bench = read_benchmark(path.relative_to(ROOT))
    return bench, benchmark_jobs(bench, place)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_each_file_has_its_whole_graph(path, tmp_path):
    bench, jobs = shipped(path, Place(tmp_path / 'w'))
    assert not faults(bench, jobs)
    made = {job.makes for job in jobs.values() if job.makes}
    cells = {(job.row, job.column) for job in jobs.values() if job.row}
    assert cells == set(bench.places) and len(made) == len(bench.first)
    waited_for = {need for job in jobs.values() for need in job.needs}
    assert waited_for >= {f'mentor {name}' for name in bench.first}, 'trained in vain'
    assert not [path for path in bench.data if path.startswith('/')]
    assert f'<!-- shipped {path.stem} -->' in DOCUMENT.read_text()


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_each_file_can_be_rehearsed_as_a_whole(path, tmp_path):
    if path.stem == 'lspet_published' and not (ROOT / 'data/published').is_dir():
        pytest.skip('the published weights are not there')
    place = Place(tmp_path, StandIn(str(tmp_path / 'data')))
    _, jobs = shipped(path, place)
    first = [name for name, job in jobs.items() if job.makes]
    for name in [*first, *list(jobs)[:: max(1, len(jobs) // 8)]]:  # each has its data set's kind
        cfg = jobs[name].config()
        assert cfg.train_cfg.max_epochs == 2 and str(tmp_path) in str(cfg.train_dataloader)
        for mentor in cfg.model.get('mentors') or ():
            assert mentor.checkpoint is None or mentor.checkpoint.startswith(str(tmp_path))


def test_the_cifar100_files_are_what_their_generator_writes(tool):
    tool('make_cifar100_configs')
    for path, text in tool('make_cifar100_benchmarks').files().items():
        assert path.read_text() == text, f'{path}: run tools/make_cifar100_benchmarks.py'


def test_every_experiment_of_the_authors_is_one_cell_with_its_very_config(tool, tmp_path):
    generator, benchmarks = tool('make_cifar100_configs'), tool('make_cifar100_benchmarks')
    with (ROOT / 'configs/cls/cifar100/official.csv').open() as file:
        rows = list(csv.DictReader(file))
    texts = generator.official_files(tmp_path)
    jobs = {}
    for table in {benchmarks.table_of(row) for row in rows}:
        bench, made = shipped(ROOT / f'configs/benchmark/official_{table}.yml', Place(tmp_path))
        jobs[table] = {(job.row, job.column): job for job in made.values() if job.row}
    assert sum(map(len, jobs.values())) == len(rows) == 135
    for row in rows[::9]:
        table = benchmarks.table_of(row)
        ours = jobs[table][benchmarks.place_of(row, table)].config()
        path = tmp_path / f'{row["experiment"].replace("/", "__")}.py'
        path.write_text(texts[path])
        theirs = Config.fromfile(path)
        theirs.model.pop('student', None), theirs.model.pop('type')
        mine = {key: value for key, value in ours.model.items() if key in theirs.model}
        assert mine == dict(theirs.model), row['experiment']
        assert ours.train_cfg.max_epochs == int(row['epochs'])
        assert ours.train_dataloader.batch_size == int(row['batch_size'])


def test_published_figures_are_the_csvs():
    with (ROOT / 'configs/cls/cifar100/published.csv').open() as file:
        facts = {f'{row["teacher"]}-{row["student"]}': row for row in csv.DictReader(file)}
    found = {
        (one.column, one.row): one.value
        for kind in ('same', 'cross')
        for one in read_benchmark(f'configs/benchmark/cifar100_{kind}.yml').published
        if not one.mentor
    }
    want = {
        (pair, key): float(row[key])
        for pair, row in facts.items()
        for key in ('alone', 'kd', 'dkd', 'dist')
        if row[key]
    }
    assert found == want and len(facts) == 11


def test_a_step_is_measured_and_plans_time_and_memory(tmp_path, capsys, monkeypatch):
    steps = tmp_path / 'steps.json'
    monkeypatch.setattr('classroomkd_mm.benchmark.command.STEPS', steps)
    command = ['plan', 'configs/benchmark/mirrored_mentor.yml', '--device', 'cpu', '--work-dir']
    command += [str(tmp_path / 'w'), '--seeds', '0', '--rows', 'classroom', 'no_filter']
    assert main(command) == 0 and 'not measured: --measure' in capsys.readouterr().out
    assert main([*command, '--measure', '--batch', '2']) == 0
    told = capsys.readouterr().out
    assert 'measuring a step of classroom' in told
    assert ' MB' not in told  # of two samples, which is not a batch's
    assert '(on cpu: 1 at once' in told and 'mentor_large, ' in told
    assert main([*command, '--measure']) == 0
    told = capsys.readouterr().out
    assert 'measuring a step of classroom' in told and ' MB' in told
    assert main([*command, '--measure']) == 0 and 'a step of' not in capsys.readouterr().out
    assert main([*command, '--tflops', '10']) == 0
    assert 'a GPU of 10 TFLOP/s' in capsys.readouterr().out


def test_hours_of_a_gpu_need_no_time_of_this_machine(tmp_path, capsys, monkeypatch):
    steps = tmp_path / 'steps.json'
    monkeypatch.setattr('classroomkd_mm.benchmark.command.STEPS', steps)
    command = ['plan', 'configs/benchmark/mirrored_mentor.yml', '--device', 'cpu', '--work-dir']
    command += [str(tmp_path / 'w'), '--seeds', '0', '--rows', 'aver', '--measure']
    assert main([*command, '--tflops', '10']) == 0
    told = capsys.readouterr().out
    assert 'counting a step of aver' in told and 'a GPU of 10 TFLOP/s: 1 at once' in told
    assert 'not measured' in told and ' MB' not in told  # its memory is not known
    kept = steps.read_text()
    assert main([*command, '--tflops', '20']) == 0  # counted once, for any GPU
    assert 'a step of' not in capsys.readouterr().out and steps.read_text() == kept
    assert main([*command[:-1]]) == 0 and ' of them not measured' in capsys.readouterr().out
    for nonsense in ('-5', '0', 'nan'):
        with pytest.raises(SystemExit):
            main([*command, '--tflops', nonsense])
        assert f'{nonsense} is not a number above 0' in capsys.readouterr().err
    assert main([*command, '--batch', '2']) == 0
    assert 'measuring a step of aver' in capsys.readouterr().out


def test_a_measured_steps_operations_are_those_of_the_network(tmp_path):
    by = StandIn(str(tmp_path))
    by.make()
    cfg = Config.fromfile('configs/cls/cifar100/plain_resnet8.py')
    step, half = (measured(cfg, by, 'cpu', batch) for batch in (4, 2))
    # Two operations a multiplication; forward once, backward twice, but not to the pictures.
    weights = [(9 * 3 * 16, 32), (9 * 16 * 16, 32), (9 * 16 * 16, 32), (9 * 16 * 32, 16)]
    weights += [(9 * 32 * 32, 16), (16 * 32, 16), (9 * 32 * 64, 8), (9 * 64 * 64, 8), (32 * 64, 8)]
    forward = sum(count * side**2 for count, side in weights) + 64 * 100
    backward = 2 * forward - weights[0][0] * 32**2
    assert step.flops == 2 * 64 * (forward + backward) == half.flops
    # A few of the preprocessor are called for each picture.
    assert 50 < half.operations <= step.operations < half.operations + 10
    assert step.memory is half.memory is None  # of parts of a batch
    few = Config(cfg.to_dict())
    few.train_dataloader.batch_size = 4
    assert measured(few, by, 'cpu').memory > 1e6
    assert Step(9, 9, 1e12, 1000, 'x').on(10) == 0.1 and Step(9, 9, 1, 1000, 'x').on(10) == 8e-3
    alike = counted(cfg, by)  # of the config's own batch of 64, by steps of two and of four
    assert alike.flops == step.flops and alike.operations > step.operations
    assert alike.seconds is None and alike.memory is None
    kept = Steps(tmp_path / 'steps.json', 'cpu')
    kept.add(cfg, step)
    mixed = Config(
        dict(cfg.to_dict(), optim_wrapper=dict(cfg.optim_wrapper, type='AmpOptimWrapper'))
    )
    assert kept.find(mixed) is None and _precision(mixed, 'cpu').fast_dtype == torch.bfloat16
    assert measured(mixed, by, 'cpu', 2).flops == step.flops
    assert Steps(tmp_path / 'steps.json', 'cpu').find(cfg) == step
    assert Steps(tmp_path / 'steps.json', 'cuda').find(cfg) is None
    assert iterations(cfg, 50000) == 240 * 782 and iterations(cfg, 50000, 8) == 240 * 98
    cfg.train_dataloader.dataset.pipeline.insert(0, dict(type='Resize', scale=64))
    assert kept.find(cfg) is None  # larger pictures take longer


def test_no_stand_in_for_strange_data_is_told(tmp_path):
    cfg = Config.fromfile('configs/demo/alone.py')
    cfg.train_dataloader.dataset.type = 'AnimalDataset'
    with pytest.raises(ValueError, match='no stand-in for a data set of type AnimalDataset'):
        stand_in(cfg, StandIn(str(tmp_path)))


def test_a_mentor_is_trained_first_and_its_student_fills_the_table(tmp_path, capsys):
    said = dict(
        metric='coco/AP',
        reference='classroom',
        train_first=dict(small=dict(config='configs/demo/mentor_small.py', work_dir='nowhere')),
        columns=dict(demo=dict(config='configs/demo/alone.py', mentors=['small'])),
        rows=dict(
            classroom=dict(
                mentors='all',
                lesson=dict(
                    scorer=dict(type='OKSScorer'),
                    knowledge_filter=dict(type='KnowledgeFilter', task_bias=1.0),
                    mentoring=dict(type='AdaptiveMentoring', alpha=2.0),
                    distill_loss=dict(type='KLDistillLoss', loss_weight=0.03, beta=10.0),
                ),
            )
        ),
    )
    (tmp_path / 'small.yml').write_text(yaml.safe_dump(said))
    place = [str(tmp_path / 'small.yml'), '--stand-in', '--work-dir', str(tmp_path / 'w')]
    assert main(['run', *place]) == 0, capsys.readouterr().out
    lines = (tmp_path / 'w/classroom/demo/seed_0/classroom.jsonl').read_text().splitlines()
    assert [json.loads(line)['epoch'] for line in lines] == [1, 2]
    assert set(json.loads(lines[0])['mentors']) == {'small'}
    assert (tmp_path / 'w/mentors/small/epoch_2.pth').is_file()
    assert main(['table', *place]) == 0
    assert 'A rehearsal on stand-in data: the figures say nothing.' in capsys.readouterr().out
    assert main(['table', *place, '--check']) == 0


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_each_files_runs_train_two_epochs_on_stand_in_data(path, tmp_path, capsys, monkeypatch):
    if path.stem == 'lspet_published' and not (ROOT / 'data/published').is_dir():
        pytest.skip('the published weights are not there')
    monkeypatch.setenv('PYTHONPATH', str(ROOT / 'data/published'))
    command = [str(path), '--stand-in', '--work-dir', str(tmp_path / 'w')]
    assert main(['run', *command]) == 0, capsys.readouterr().out
    assert main(['table', *command]) == 0 and main(['table', *command, '--check']) == 0
