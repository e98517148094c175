"""What a benchmark file says, and how it is told that it says something else."""

import pytest

from classroomkd_mm.benchmark.jobs import Place, benchmark_jobs, cell_run, chosen
from classroomkd_mm.benchmark.spec import filled, read_benchmark


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(colums={}), r"toy.yml: unknown key 'colums', did you mean 'columns'\?"),
        (dict(rows=dict(a=dict(confg='x'))), r"rows.a: unknown key 'confg', did you mean 'config'"),
        (dict(rows={}), 'rows is missing: a benchmark has rows and columns, or a study'),
        (dict(metric=None), 'metric is missing: the name of a figure'),
        (dict(reference='aline'), "reference: there is no 'aline', did you mean 'alone'"),
        (dict(checkpoint='lst'), "checkpoint: there is no 'lst', did you mean 'last'"),
        (dict(split='train'), "split: there is no 'train', choose from val, test"),
        (dict(seeds=0), 'seeds must be a number of at least 1 or a list of seeds; got 0'),
        (dict(seeds=[1, 1]), r'seeds must be .* got \[1, 1\]'),
        (dict(seeds=True), 'seeds must be .* got True'),
        (dict(seeds=['a']), "seeds must be a int; got 'a'"),
        (dict(digits='2'), "digits must be a int; got '2'"),
        (dict(digits=-3), 'digits=-3 must be at least 0'),
        (dict(processes=0), 'processes=0 must be at least 1'),
        (dict(seeds=[0, -1]), 'seeds=-1 must be at least 0'),
        (dict(seeds=[2**32]), r'seeds=4294967296 must be less than 2 \*\* 32'),
        (
            dict(train_first=dict(big=dict(config='big.py', seed=-1))),
            'train_first.big.seed=-1 must be at least 0',
        ),
        (dict(keep_checkpoints=1), 'keep_checkpoints must be a bool; got 1'),
        (dict(samples=dict(trian=3)), "samples: unknown key 'trian', did you mean 'train'"),
        (dict(rows={'a b': {}}), "rows: 'a b' names a folder: letters, digits and"),
        (dict(rows={'..': {}}), r"rows: '\.\.' names a folder"),
        (dict(rows=dict(a=dict(mentors='everyone'))), "rows.a.mentors: there is no 'everyone'"),
        (dict(rows=dict(a=dict(lesson='no'))), "rows.a.lesson: there is no 'no'"),
        (
            dict(rows=dict(a=dict(lesson=dict(mentor={})))),
            "unknown key 'mentor', did you mean 'ment",
        ),
        (dict(rows=dict(a=dict(cells=dict(smll={})))), "rows.a.cells: there is no 'smll', did you"),
        (dict(train_first=dict(big=dict(seed=1))), 'train_first.big.config is missing'),
        (dict(train_first=dict(big=dict(cfg='x'))), "train_first.big: unknown key 'cfg'"),
        (
            dict(published=[dict(row='kd', column='x', value=1, source='s')]),
            "column: there is no 'x'",
        ),
        (dict(published=[dict(mentor='bg', value=1, source='s')]), "mentor: there is no 'bg', did"),
        (
            dict(published=[dict(row='kd', column='small', value=1)]),
            'source must be a str; got None',
        ),
        (dict(rows=dict(a=3)), 'rows.a must be a mapping with title, .*; got 3'),
    ],
)
def test_what_is_not_understood_is_told_with_its_place(toy, changes, message):
    with pytest.raises(ValueError, match=message):
        read_benchmark(toy.file(**changes))


def test_a_file_that_is_no_yaml_or_holds_objects_is_refused(toy):
    for text in ('rows: [', 'metric: !!python/object/apply:os.getcwd []'):
        (toy.folder / 'bad.yml').write_text(text)
        with pytest.raises(ValueError, match='bad.yml is not YAML'):
            read_benchmark('bad.yml')
    with pytest.raises(FileNotFoundError):
        read_benchmark('nowhere.yml')


@pytest.mark.parametrize('place', ['rows', 'top', 'inner'])
def test_a_name_that_stands_twice_is_refused_with_its_line(toy, place):
    text = (toy.folder / toy.file()).read_text()
    again = dict(
        rows=text.replace('  kd:\n', '  alone:\n'),
        top=text + 'seeds: 3\n',
        inner=text.replace('tau: 4.0', 'tau: 4.0\n        tau: 2.0'),
    )[place]
    (toy.folder / 'twice.yml').write_text(again)
    name = dict(rows='alone', top='seeds', inner='tau')[place]
    line = max(i for i, each in enumerate(again.splitlines(), 1) if f'{name}:' in each)
    with pytest.raises(ValueError, match=f"twice.yml is not YAML: line {line}: '{name}' is there"):
        read_benchmark('twice.yml')


def test_anchors_and_merged_mappings_may_be_overridden(toy):
    text = (toy.folder / toy.file()).read_text()
    more = '  more:\n    <<: *kd\n    mentors: all\n'
    (toy.folder / 'anchors.yml').write_text(text.replace('  kd:\n', '  kd: &kd\n') + more)
    rows = read_benchmark('anchors.yml').rows
    assert rows['more'].cell == rows['kd'].cell


@pytest.mark.parametrize(
    'name, message',
    [
        ('optim_wraper.optimizer.lr', "there is no 'optim_wraper', did you mean 'optim_wrapper'?"),
        ('train_cfg.max_epoch', "there is no 'max_epoch', did you mean 'max_epochs'?"),
        ('optim_wrapper.optimiser.lr', "there is no 'optimiser', did you mean 'optimizer'?"),
        ('model.student.bonuss', "there is no 'bonuss', did you mean 'bonus'?"),
        ('codec.sigma', "there is no 'codec', small.py has no such setting"),
        ('lod_from', "there is no 'lod_from', did you mean 'load_from'?"),
        ('optim_wrapper.optimizer.momentum', None),  # new, and nearly called as none
        ('load_from', None),  # of a runner's
        ('model.student.init_cfg.checkpoint', None),
    ],
)
def test_a_misspelt_option_is_refused_where_it_would_change_nothing(toy, name, message):
    usual = toy.usual['rows']
    rows = {**usual, 'kd': {**usual['kd'], 'options': {name: 1.0}}}
    bench = read_benchmark(toy.file(rows=rows))
    if message is None:
        assert benchmark_jobs(bench, Place(toy.root))
        return
    with pytest.raises(ValueError) as error:
        benchmark_jobs(bench, Place(toy.root))
    where = 'toy.yml: the config of kd, small: options: '
    assert str(error.value) == f'{where}{name!r}: {message}'


def test_a_config_that_is_not_there_is_told_with_its_place(toy):
    bench = read_benchmark(toy.file(columns=dict(small=dict(config='smal.py', mentors=['big']))))
    with pytest.raises(ValueError, match='config of alone, small: config .*smal.py. is not there'):
        benchmark_jobs(bench, Place(toy.root))
    bench = read_benchmark(toy.file(train_first=dict(big=dict(config='bg.py'))))
    with pytest.raises(ValueError, match='config of train_first.big: config .*bg.py. is not there'):
        benchmark_jobs(bench, Place(toy.root))


def test_a_cell_wins_over_its_row_and_the_row_over_its_column(toy):
    name = toy.file(
        options={'a': 0, 'b': 0, 'c': 0, 'd': 0},
        columns=dict(small=dict(config='small.py', options={'b': 1, 'c': 1, 'd': 1})),
        rows=dict(
            alone=dict(
                options={'c': '{size}', 'd': 2},
                values=dict(size='row'),
                cells=dict(small=dict(options={'d': ['{size}']}, values=dict(size='cell'))),
            )
        ),
    )
    bench = read_benchmark(name)
    assert cell_run(bench, 'alone', 'small').options == {'a': 0, 'b': 1, 'c': 'cell', 'd': ['cell']}
    assert bench.places == [('alone', 'small')]


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(columns=dict(small={})), 'alone, small: nothing says which config'),
        (
            dict(rows=dict(kd=dict(mentors=['bgi']), alone={})),
            "kd, small: mentors: there is no 'bgi'",
        ),
        (
            dict(columns=dict(small=dict(config='small.py'))),
            'kd, small: mentors: all, but the column has none',
        ),
        (
            dict(rows=dict(alone=dict(config='{kind}.py'))),
            "alone, small: '{kind}.py': there is no 'kind'",
        ),
        (
            dict(
                rows=dict(alone=dict(lesson=dict(mentoring=dict(type='FixedMentoring', tau=1.0))))
            ),
            'small.py: a lesson without mentors; set mentors',
        ),
    ],
)
def test_a_cell_that_cannot_be_made_is_named(toy, changes, message):
    with pytest.raises(ValueError, match=message):
        benchmark_jobs(read_benchmark(toy.file(**changes)), Place(toy.root))


def test_values_fill_texts_at_any_depth():
    values = dict(name='resnet20', n=3)
    assert filled({'a': ['{name}_{n}', 1, None]}, values, 'x') == {'a': ['resnet20_3', 1, None]}


def test_runs_wait_for_those_whose_weights_their_configs_name(toy):
    toy.config('other.py')
    jobs = benchmark_jobs(
        read_benchmark(
            toy.file(
                train_first=dict(
                    # Starts from big's weights, and is listed before it.
                    next=dict(
                        config='other.py',
                        options={'load_from': 'work_dirs/big/epoch_2.pth'},
                    ),
                    big=dict(config='big.py', seed=3),
                ),
                seeds=[5],
            )
        ),
        Place(toy.root),
    )
    assert list(jobs) == ['mentor big', 'alone, small, seed 5', 'mentor next', 'kd, small, seed 5']
    assert jobs['mentor next'].needs == jobs['kd, small, seed 5'].needs == ('mentor big',)
    cfg = jobs['kd, small, seed 5'].config()
    assert cfg.model.student.bonus == 2.5 and cfg.randomness.seed == 5
    assert cfg.model.mentors == [
        dict(name='big', config='big.py', checkpoint='work_dirs/big/epoch_2.pth')
    ]
    assert cfg.train_cfg.val_interval == 2 and cfg.val_dataloader.dataset.split == 'test'
    assert list(chosen(jobs, ['kd'], None, None)) == ['mentor big', 'kd, small, seed 5']
    assert list(chosen(jobs, None, ['small'], [4])) == []


def test_runs_that_wait_for_each_other_are_told_in_a_circle(toy):
    def after(name):
        return {'load_from': f'work_dirs/{name}/epoch_2.pth'}

    first = dict(
        big=dict(config='big.py', options=after('small')),
        small=dict(config='small.py', options=after('big')),
    )
    message = 'runs wait for each other: mentor big -> mentor small -> mentor big'
    with pytest.raises(ValueError, match=message):
        benchmark_jobs(read_benchmark(toy.file(train_first=first)), Place(toy.root))


def test_the_same_run_in_two_columns_is_one(toy):
    columns = {name: dict(config='small.py', mentors=['big']) for name in ('one', 'two')}
    jobs = benchmark_jobs(read_benchmark(toy.file(columns=columns, seeds=1)), Place(toy.root))
    first, second = jobs['alone, one, seed 0'], jobs['alone, two, seed 0']
    assert second.folder == first.folder and second.needs == (first.name,)


@pytest.mark.parametrize(
    'more, changes, message',
    [
        ('val_dataloader = test_dataloader', dict(checkpoint='best'), 'its best epoch is chosen'),
        (
            "val_dataloader = test_dataloader\nload_from = 'x/best_top1_epoch_3.pth'",
            {},
            'x/best_top1_epoch_3.pth was chosen on the test split',
        ),
    ],
)
def test_a_choice_on_the_test_split_cannot_enter(toy, more, changes, message):
    toy.config('small.py', more)
    with pytest.raises(ValueError, match=f'alone, small: {message}.*cannot enter a table'):
        benchmark_jobs(read_benchmark(toy.file(**changes)), Place(toy.root))
    if changes:  # on the validation split it can
        benchmark_jobs(read_benchmark(toy.file(**changes, split='val')), Place(toy.root))
