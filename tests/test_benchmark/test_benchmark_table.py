"""The table: its figures, links and notes, what it refuses, and what --check finds."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from classroomkd_mm.__main__ import main as typed
from classroomkd_mm.benchmark import record
from classroomkd_mm.benchmark.dumped import parse_dumped
from classroomkd_mm.benchmark.table import short, written_into

PUBLISHED = [
    dict(row='kd', column='small', value=10.0, source='a paper, table 1'),
    dict(mentor='big', value=30.0, source='another'),
]
RUN = ['--work-dir', 'w']


def main(argv):
    """``python -m classroomkd_mm benchmark ARGV``."""
    return typed(['benchmark', *argv])


@pytest.fixture
def done(toy):
    """The toy's benchmark, all of it run; alone is 2.5 + 10 seed, kd 4.5 + 10 seed."""
    name = toy.file(published=PUBLISHED)
    assert main(['run', name, *RUN]) == 0
    return toy


def table(form='md', *flags):
    assert main(['table', 'toy.yml', *RUN, *flags]) == 0
    return Path(f'w/toy.{form}').read_text()


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_markdown_says_figures_differences_and_where_they_are_from(done):
    said = table()
    kd = next(line for line in said.splitlines() if line.startswith('| kd |'))
    assert '| 2 | 9.50 | 7.07 | +2.00 | [+2.00, +2.00] | 0 | 10 | -0.50 |' in kd
    assert 'seed 1: [config](kd/small/seed_1.py) [log](kd/small/seed_1/train.log)' in kd
    assert '| big | 32.50 | val | 30 | - |' in said  # the published one is of the test split
    assert 'Published: a paper, table 1; another.' in said
    assert 'top1, test split, last checkpoint.' in said
    for link in ('kd/small/seed_1.py', 'kd/small/seed_1/train.log'):
        assert (done.root / link).is_file()
    done.config('big.py', 'val_dataloader = test_dataloader\n')
    assert '| big | 32.50 | test | 30 | +2.50 |' in table()


def test_csv_has_full_precision_and_latex_is_escaped(done):
    rows = list(csv.DictReader(table('csv').splitlines()))
    kd = rows[1]
    assert [kd[key] for key in ('row', 'seeds', 'mean')] == ['kd', '0 1', '9.5']
    assert kd['source'] == 'a paper, table 1'
    assert float(kd['difference']) == 2 and float(kd['reproduced_minus_published']) == -0.5
    assert kd['configs'] == 'kd/small/seed_0.py kd/small/seed_1.py' and kd['bootstrap_low'] == '2.0'
    done.file(published=PUBLISHED, rows={**done.usual['rows'], 'alone': dict(title='a_b & 10 %')})
    latex = table('tex')
    assert r'a\_b \& 10 \%' in latex and r'\begin{tabular}{lr}' in latex
    assert '% kd, small: seed 0: [config]' in latex


def test_several_columns_are_a_matrix_and_holm_counts_all_of_them(done):
    columns = {name: dict(config=f'{name}.py', mentors=['big']) for name in ('small', 'other')}
    done.config('other.py')
    rows = {**done.usual['rows'], 'none': dict(cells=dict(small=dict(options={'model.bonus': 9})))}
    name = done.file(columns=columns, rows=rows)
    assert main(['run', name, *RUN, '--columns', 'other']) == 0
    said = table()
    assert '| none | missing |  |' in said  # there is no such cell in the other column
    assert '| kd | other | 2 | 9.50 |' in said


def test_missing_cells_are_said_to_be_missing_and_why(done):
    shutil.rmtree('w/kd/small/seed_1')
    Path('w/kd/small/seed_1').mkdir()
    Path('w/kd/small/seed_1/failed.json').write_text('{"error": "no memory"}')
    said = table()
    assert '| kd | small | 1 of 2 | 4.50 | - | +2.00 | - |' in said
    assert '1 runs are missing.' in said and '- kd, small, seed 1: failed: no memory' in said
    shutil.rmtree('w/kd')
    said = table()
    assert '| kd | small | 0 | missing |' in said and '- kd, small, seed 0: not run' in said
    assert (
        next(csv.DictReader(table('csv').splitlines()[:1] + table('csv').splitlines()[2:]))['mean']
        == 'missing'
    )


@pytest.mark.parametrize('text', ['{}', '{broken', '[1]', '{"top1": "high"}'])
def test_a_damaged_record_is_named_and_hides_no_other_cell(done, text):
    Path('w/kd/small/seed_1/metrics.json').write_text(text)
    said = table()
    assert '| kd | small | 1 of 2 | 4.50 | - | +2.00 | - |' in said
    assert '- kd, small, seed 1: w/kd/small/seed_1/metrics.json is damaged (' in said
    assert main(['table', 'toy.yml', *RUN, '--check']) in (0, 1)


def test_a_mentor_without_the_metric_is_trained_all_the_same(done):
    assert '| big | 32.50 | val | 30 | - |' in table()
    shutil.rmtree('work_dirs/big/20260101')
    assert '| big | trained, its log has no top1 | val | 30 | - |' in table()
    Path('work_dirs/big/epoch_2.pth').unlink()
    assert '| big | missing | - | 30 | - |' in table()


def test_a_gathered_run_keeps_the_commits_that_it_knows(toy):
    toy.file()
    folder = Path(elsewhere(toy))
    (folder / 'run.json').write_text('{"commits": ["0123456789abcdef"]}')
    assert main(['collect', 'toy.yml', str(folder), *RUN]) == 0
    assert 'commit 012345678' in table()


def test_runs_of_several_commits_are_said_to_be(done):
    for seed, commit in ((0, 'a' * 40), (1, 'b' * 40 + '+')):
        for row in ('alone', 'kd'):
            path = done.root / f'{row}/small/seed_{seed}/run.json'
            path.write_text(json.dumps({**json.loads(path.read_text()), 'commits': [commit]}))
    assert f'**Runs of 2 commits** (commit {"a" * 9}: 2, commit {"b" * 9}+: 2).' in table()
    assert short('no known commit') == 'no known commit'


def test_a_resumed_run_keeps_both_commits(tmp_path, monkeypatch):
    for commit in ('a', 'b', 'b', None):
        monkeypatch.setattr(record, 'commit', lambda: commit)
        record.begin(tmp_path, dict(seed=1))
    assert record.read(tmp_path / 'run.json')['commits'] == ['a', 'b']


def test_the_commit_is_gits_and_none_outside_of_it(tmp_path):
    record.commit.cache_clear()
    assert record.commit(str(tmp_path)) is None


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda root: rewrite(root / 'kd/small/seed_1/metrics.json', '14.5', '15.5'),
            'kd, small, seed 1: metrics.json says 15.5, the log 14.5',
        ),
        (
            lambda root: rewrite(root / 'toy.csv', '9.5', '9.6'),
            'kd, small: mean is 9.6 in the table, 9.5 by the runs',
        ),
        (
            lambda root: rewrite(root / 'toy.md', '9.50', '9.60'),
            'w/toy.md is not what the runs give',
        ),
        (
            lambda root: shutil.rmtree(root / 'kd/small/seed_1/20260101'),
            'kd, small, seed 1: 14.5 has no log in w/kd/small/seed_1',
        ),
        (
            lambda root: shutil.rmtree(root / 'alone/small/seed_0'),
            'alone, small: seeds is 0 1 in the table, 1 by the runs',
        ),
        (
            lambda root: rewrite(root / 'kd/small/seed_1.py', "'bonus': 2.5", "'bonus': 3"),
            'kd, small: seeds is 0 1 in the table, 0 by the runs',
        ),
    ],
)
def test_check_finds_a_changed_figure(done, capsys, change, message):
    table()
    assert main(['table', 'toy.yml', *RUN, '--check']) == 0
    assert 'every figure is what the logs give' in capsys.readouterr().out
    change(done.root)
    assert main(['table', 'toy.yml', *RUN, '--check']) == 1
    assert message in capsys.readouterr().out


def test_check_needs_a_table(done, capsys):
    assert main(['table', 'toy.yml', *RUN, '--check']) == 1
    assert 'error: w/toy.csv is missing: write the table first' in capsys.readouterr().err


def test_two_tables_of_one_study_share_its_runs_and_each_keeps_its_own_files(toy, capsys):
    runs = {
        name: dict(config='small.py', options={'model.bonus': i}) for i, name in enumerate('abc')
    }
    (toy.folder / 'both.py').write_text(f"metric = 'top1'\nreference = 'a'\nruns = {runs}\n")
    for name, chosen in (('early', ['a', 'b']), ('late', ['a', 'c'])):
        said = dict(study='both.py', runs=chosen, seeds=1)
        (toy.folder / f'{name}.yml').write_text(yaml.safe_dump(said))
        assert main(['run', f'{name}.yml']) == 0
    assert len(toy.trained()) == 3  # the one that both have is trained once
    for name in ('early', 'late'):
        assert main(['table', f'{name}.yml']) == 0
    root = toy.folder / 'work_dirs/study/both/test'
    for name, has, lacks in (('early', 'b', 'c'), ('late', 'c', 'b')):
        assert main(['table', f'{name}.yml', '--check']) == 0
        for ending in ('md', 'csv', 'tex'):
            said = (root / f'{name}.{ending}').read_text()
            assert f'{has}/seed_0/train.log' in said and f'{lacks}/seed_0/train.log' not in said
    capsys.readouterr()
    rewrite(root / 'early.md', '2.0000', '2.5000')
    assert main(['table', 'early.yml', '--check']) == 1
    assert 'both/test/early.md is not what the runs give' in capsys.readouterr().out
    assert main(['table', 'late.yml', '--check']) == 0


def test_a_documents_table_is_written_between_its_marks_and_checked(done, capsys):
    Path('doc.md').write_text(
        'before\n<!-- benchmark toy -->\nold\n<!-- end benchmark -->\nafter\n'
    )
    table('md', '--into', 'doc.md')
    said = Path('doc.md').read_text()
    assert said.startswith('before\n') and said.endswith('after\n') and 'old' not in said
    assert '| kd | small | 2 | 9.50 | 7.07 | +2.00 | [+2.00, +2.00] |' in said
    rewrite(Path('doc.md'), '9.50', '9.51')
    assert main(['table', 'toy.yml', *RUN, '--check', '--into', 'doc.md']) == 1
    assert 'doc.md: the table toy is not what the runs give' in capsys.readouterr().out
    with pytest.raises(ValueError, match='the document has no <!-- benchmark toy -->'):
        written_into('text', 'toy', [['a']])


def elsewhere(toy, name='far', **changes):
    """A work dir as MMEngine leaves it, of kd with seed 1, with other settings."""
    from classroomkd_mm.benchmark.jobs import Place, benchmark_jobs
    from classroomkd_mm.benchmark.spec import read_benchmark

    jobs = benchmark_jobs(read_benchmark('toy.yml'), Place(toy.root))
    cfg = jobs['kd, small, seed 1'].config()
    cfg.train_cfg.val_interval = 1  # as one trains without a benchmark
    cfg.work_dir, cfg.launcher = f'/elsewhere/{name}', 'slurm'
    cfg.train_dataloader.num_workers = 8
    cfg.model.mentors[0].checkpoint = '/elsewhere/big/epoch_2.pth'
    cfg.merge_from_dict(changes)
    folder = toy.folder / name
    (folder / '2026/vis_data').mkdir(parents=True)
    (folder / 'run.py').write_text(cfg.pretty_text)
    lines = [dict(top1=20.0, step=1), dict(loss=1.0, step=7), dict(top1=14.25, step=2)]
    (folder / '2026/vis_data/scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    (folder / '2026/2026.log').write_text('its log')
    return str(folder)


def test_runs_from_elsewhere_are_known_by_their_config(toy, capsys):
    toy.file()
    folder = elsewhere(toy)
    assert main(['collect', 'toy.yml', folder, *RUN]) == 0
    told = capsys.readouterr().out
    assert f'{folder}: kd, small, seed 1, top1 14.2500' in told
    assert '1 runs are there, 3 are missing' in told
    assert '1 runs were gathered from elsewhere.' in (said := table())
    assert '| kd | small | 1 of 2 | 14.25 |' in said  # the last epoch, not the best
    assert Path('w/kd/small/seed_1/train.log').read_text() == 'its log'
    assert main(['table', 'toy.yml', *RUN, '--check']) == 0
    assert main(['collect', 'toy.yml', folder, *RUN]) == 0
    assert 'kd, small, seed 1 is there already' in capsys.readouterr().out
    assert main(['run', 'toy.yml', *RUN]) == 0 and 'kd/small/seed_1' not in toy.trained()


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'model.student.bonus': 2.6},
            'another config; the nearest is kd, small, seed 1: model.student.bonus is 2.6 there',
        ),
        ({'model.mentoring.tau': 2.0}, 'model.mentoring.tau is 2.0 there, 4.0 here'),
        ({'randomness.seed': 9}, 'randomness.seed is 9 there'),
        ({'optim_wrapper.optimizer.lr': 1.0}, 'optim_wrapper.optimizer.lr is 1.0 there, 0.1 here'),
        ({'val_dataloader.dataset.split': 'val'}, "evaluation.0.split is 'val' there, 'test' here"),
        ({'train_cfg.max_epochs': 3}, 'train_cfg.max_epochs is 3 there, 2 here'),
        ({'load_from': 'a/b/epoch_1.pth'}, "load_from='b/epoch_1.pth' only there"),
        ({'model.memory': dict(dir='m', keep=1)}, "model.memory={'keep': 1} only there"),
        (
            {'model.mentors.0.checkpoint': '/elsewhere/big_2/epoch_2.pth'},
            "checkpoint is 'big_2/epoch_2.pth' there, 'big/epoch_2.pth' here",
        ),
        (
            {'train_dataloader.dataset.data_root': '/data/lspet/'},
            "train_dataloader.dataset.data_root='lspet' only there",
        ),
        (
            {'custom_hooks': [dict(type='EMAHook')]},
            "custom_hooks is [{'type': 'EMAHook'}] there, [] here",
        ),
    ],
)
def test_another_config_is_refused_with_what_differs(toy, capsys, changes, message):
    toy.file()
    assert main(['collect', 'toy.yml', elsewhere(toy, **changes), *RUN]) == 1
    assert message in capsys.readouterr().out and not toy.root.exists()


def test_what_decides_by_the_test_split_is_refused(toy, capsys):
    toy.config('small.py', "custom_hooks = [dict(type='EarlyStoppingHook', monitor='top1')]\n")
    toy.file()
    assert main(['collect', 'toy.yml', elsewhere(toy), *RUN]) == 1
    told = capsys.readouterr().out
    assert 'EarlyStoppingHook decides by the test split: its figure cannot enter a table' in told


def test_a_run_that_has_not_ended_and_what_is_no_run_are_refused(toy, capsys):
    toy.file()
    folder = elsewhere(toy)
    rewrite(Path(folder, '2026/vis_data/scalars.json'), '"step": 2', '"step": 1')
    assert main(['collect', 'toy.yml', folder, *RUN]) == 1
    assert 'has no top1 of its last epoch, 2; its last is of 1' in capsys.readouterr().out
    Path(folder, 'run.py').write_text('import os\nmodel = os.environ\n')
    assert main(['collect', 'toy.yml', folder, *RUN]) == 1
    assert 'run.py is not a dumped config: line 1 is not a setting' in capsys.readouterr().out
    Path(folder, 'run.py').unlink()
    assert main(['collect', 'toy.yml', folder, 'w', *RUN]) == 1
    told = capsys.readouterr().out
    assert 'has no dumped config: what was trained there is not known' in told
    assert 'error: w holds no run' in told


def test_a_dumped_config_is_read_as_mmengine_reads_it_and_nothing_is_run(tmp_path):
    cfg = Config(
        dict(
            a=dict(b=(1, -2.5), c=None, d={'x.y': [True, 'z']}, e=dict(_delete_=True)),
            lr=1e-3,
            names=['a', ('b',)],
        )
    )
    assert parse_dumped(cfg.pretty_text, 'x') == {
        'a': {'b': [1, -2.5], 'c': None, 'd': {'x.y': [True, 'z']}, 'e': {'_delete_': True}},
        'lr': 1e-3,
        'names': ['a', ['b']],
    }
    for text in ("a = __import__('os').getcwd()", 'a = dict([1])', 'a = b', 'a = (', 'print(1)'):
        with pytest.raises(ValueError, match='x is not a dumped config'):
            parse_dumped(text, 'x')


def test_the_best_checkpoint_is_evaluated_on_the_test_split(toy, capsys):
    script = toy.folder / 'tools/train.py'
    script.write_text(script.read_text() + "(folder / f'best_top1_epoch_{epochs}.pth').touch()\n")
    test = (
        'import sys\nfrom pathlib import Path\nout = Path(sys.argv[-1])\n'
        'log = out.parent / "20260102/20260102.json"\nlog.parent.mkdir()\n'
        'for path in (out, log):\n    path.write_text(\'{"top1": 7.0, "time": 0.1}\')\n'
    )
    (toy.folder / 'tools/test.py').write_text('# classroomkd_mm\n' + test)
    name = toy.file(checkpoint='best', rows=dict(alone={}), train_first=None, seeds=1, columns=dict(
        small=dict(config='small.py')))  # fmt: skip
    assert main(['run', name, *RUN]) == 0
    said = json.loads(Path('w/alone/small/seed_0/metrics.json').read_text())
    assert said == dict(top1=7.0, time=0.1)
    assert 'best checkpoint' in table() and main(['table', name, *RUN, '--check']) == 0
    for kept in ('best.json', 'metrics.json'):
        rewrite(Path(f'w/alone/small/seed_0/{kept}'), '7.0', '9.0')
    assert '| 9.00 |' in table() and main(['table', name, *RUN, '--check']) == 1
    assert 'alone, small, seed 0: metrics.json says 9.0, the log 7.0' in capsys.readouterr().out
    shutil.rmtree('w/alone/small/seed_0/20260102')
    assert main(['table', name, *RUN, '--check']) == 1
    assert 'alone, small, seed 0: 9.0 has no log in w/alone' in capsys.readouterr().out
    rewrite(Path(name), 'checkpoint: best', 'checkpoint: best\nsplit: val')
    assert main(['run', name, '--work-dir', 'v']) == 0
    assert json.loads(Path('v/alone/small/seed_0/metrics.json').read_text())['top1'] == 2.5
