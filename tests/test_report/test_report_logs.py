"""What a work dir says by itself."""

import json

import pytest

from classroomkd_mm.report.command import read_groups
from classroomkd_mm.report.curves import banded, grouped, last_share, lesson_curves, mean_share
from classroomkd_mm.report.logs import read_work_dir
from classroomkd_mm.report.page import ends

CONFIG = "model = dict(type='classroomkd_mm.ClassroomDistiller', mentors=[dict(name='a')])\n"


def line(epoch, active, **more):
    row = dict(active=active, score=0.5, rank=1.0, temperature=2.0, muted_batches=0)
    return dict(
        epoch=epoch, iter=10 * epoch, student_score=0.1 * epoch, mentors=dict(a=row), **more
    )


@pytest.fixture
def work(tmp_path):
    """``work(name, lines, scalars, config)``: a work dir."""

    def make(name='run', lines=(), scalars=(), config=CONFIG, started='20260101_000000'):
        folder = tmp_path / name
        vis = folder / started / 'vis_data'
        vis.mkdir(parents=True)
        (vis / 'config.py').write_text(config)
        (vis / 'scalars.json').write_text('\n'.join(map(json.dumps, scalars)))
        if lines:
            (folder / 'classroom.jsonl').write_text('\n'.join(map(json.dumps, lines)))
        return folder

    return make


def test_a_run_is_read(work):
    training = [dict(lr=0.1, loss=1.0, time=t, data_time=t / 4, memory=m, step=1)
                for t, m in ((0.4, 100), (0.2, 300), (0.8, 200))]  # fmt: skip
    told = [
        {'coco/AP': 0.1, 'time': 0.2, 'data_time': 0.1, 'step': 1},
        {'coco/AP': 0.3, 'time': 0.2, 'data_time': 0.1, 'step': 2},
        {'classroom_epoch/a/active': 1.0, 'step': 1},
    ]
    folder = work(lines=[line(1, 0.5), line(2, 0.25)], scalars=[*training, *told])
    later = folder / '20260102_000000/vis_data'  # a resumed run tells an epoch again
    later.mkdir(parents=True)
    (later / 'scalars.json').write_text(json.dumps({'coco/AP': 0.4, 'step': 2}) + '\n{"coco/AP": 0')
    run = read_work_dir(str(folder))
    assert run.evaluations == {'coco/AP': {1: 0.1, 2: 0.4}}
    assert (run.steps.seconds, run.steps.waiting, run.steps.memory) == (0.4, 0.25, 300)
    assert [each['epoch'] for each in run.lessons] == [1, 2] and run.mentors == ('a',)
    assert run.cfg['model']['mentors'] == [dict(name='a')]


def test_the_runs_own_config_is_found_beside_a_later_tests(work):
    folder = work(lines=[line(1, 0.5)])
    later = folder / '20260102_000000/vis_data'
    later.mkdir(parents=True)
    (later / 'config.py').write_text("model = dict(type='TopdownPoseEstimator')\n")
    assert 'mentors' in read_work_dir(str(folder)).cfg['model']
    (later / 'config.py').write_text(CONFIG.replace("'a'", "'b'"))  # it was resumed with another
    assert read_work_dir(str(folder)).cfg['model']['mentors'] == [dict(name='b')]
    for file in folder.glob('*/vis_data/config.py'):
        file.write_text('import os')
    run = read_work_dir(str(folder))
    assert run.cfg is None and 'is not a dumped config' in run.fault


def test_the_last_checkpoint_is_found_where_the_work_dir_was_moved(work):
    folder = work(lines=[line(1, 0.5)])
    assert read_work_dir(str(folder)).checkpoint is None
    for name in ('epoch_9.pth', 'epoch_10.pth'):
        (folder / name).touch()
    assert read_work_dir(str(folder)).checkpoint.name == 'epoch_10.pth'
    (folder / 'last_checkpoint').write_text('/gone/elsewhere/epoch_9.pth')
    assert read_work_dir(str(folder)).checkpoint == folder / 'epoch_9.pth'


def test_a_line_that_was_cut_off_is_left_out_and_other_faults_are_errors(work, tmp_path):
    folder = work(lines=[line(1, 0.5)])
    path = folder / 'classroom.jsonl'
    whole = path.read_text()
    path.write_text(f'{whole}\n{{"epoch": 2, "men')
    assert len(read_work_dir(str(folder)).lessons) == 1
    path.write_text(f'{{"epoch"\n{whole}\n')
    with pytest.raises(ValueError, match=r'classroom.jsonl, line 1 is not JSON'):
        read_work_dir(str(folder))
    path.write_text('{"epoch": 1}')
    with pytest.raises(ValueError, match='a line is none of ClassroomHook'):
        read_work_dir(str(folder))
    with pytest.raises(ValueError, match=f'is a file: give the work dir that it lies in, {folder}'):
        read_work_dir(str(path))
    with pytest.raises(ValueError, match='WORK_DIR .*gone: there is no such folder in /'):
        read_work_dir(str(tmp_path / 'gone'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='has neither classroom.jsonl nor .*scalars.json; give'):
        read_work_dir(str(tmp_path / 'empty'))


def test_seeds_of_one_recipe_are_one_group(work):
    folders = [
        work(f'{name}/seed_{seed}', [line(1, a), line(2, a / 2)], config=f'{CONFIG}{more}')
        for name, more in (('one', ''), ('two', 'optim_wrapper = dict(lr=1)\n'))
        for seed, a in ((0, 0.4), (1, 0.8))
        for more in [f'{more}randomness = dict(seed={seed})\n']
    ]
    groups = grouped([read_work_dir(str(each)) for each in folders])
    assert [(each.name, len(each.runs)) for each in groups] == [('one', 2), ('two', 2)]
    assert [run.seed for run in groups[0].runs] == ['0', '1']
    assert last_share(groups[0], 'a') == pytest.approx(0.3)
    assert mean_share(groups[0], 'a') == pytest.approx((0.3 + 0.6) / 2)
    assert last_share(groups[0], 'b') is None
    active = lesson_curves(groups[0])['mentors']['a']['active']
    assert active['x'] == [1, 2] and active['mean'] == pytest.approx([0.6, 0.3])
    assert active['high'][0] - active['low'][0] == pytest.approx(2 * 0.4 / 2**0.5, rel=1e-4)


def test_a_run_of_the_same_seed_is_a_group_of_its_own(work):
    folders = [work(name, [line(1, 0.5)]) for name in ('live', 'remembered')]
    groups = grouped([read_work_dir(str(each)) for each in folders])
    assert [group.name for group in groups] == ['live', 'remembered']
    rule = "model = dict(mentors=[], knowledge_filter=dict(granularity='keypoint'))\n"
    assert grouped([read_work_dir(str(work('kp', [line(1, 0.5)], config=rule)))])[0].by_keypoint
    assert not groups[0].by_keypoint


def test_folders_of_one_name_are_told_apart(work):
    configs = [f'{CONFIG}optim_wrapper = dict(lr={i})\n' for i in range(2)]
    folders = [work(f'{x}/run', [line(1, 0.5)], config=c) for x, c in zip('ab', configs)]
    groups = grouped([read_work_dir(str(each)) for each in folders])
    assert [group.name for group in groups] == ['a/run', 'b/run']


def test_training_by_iterations_is_drawn_over_these(work):
    lines = [dict(line(1, 0.5), iter=i) for i in (100, 200)]
    group = grouped([read_work_dir(str(work(lines=lines)))])[0]
    curves = lesson_curves(group)
    assert curves['step'] == 'iter' and curves['student_score']['x'] == [100, 200]


def test_a_band_is_of_those_that_have_the_step_and_nan_is_nothing():
    found = banded([{1: 1.0, 2: float('nan')}, {1: 2.0, 3: 5.0}])
    assert found['x'] == [1, 3] and found['mean'] == [1.5, 5.0]
    assert found['low'] == [pytest.approx(1.5 - 0.5**0.5, rel=1e-4), 5.0]
    assert 'low' not in banded([{1: 1.0}])


def trained(*values, first=1):
    """Scalars of a training with an evaluation each epoch."""
    lines = [dict(loss=1.0, lr=0.1, time=0.1, step=5)]
    return [*lines, *({'EPE': value, 'step': i} for i, value in enumerate(values, first))]


def test_a_training_that_began_anew_is_not_drawn_with_the_one_before(work):
    folder = work(lines=[line(1, 0.5)], scalars=trained(9.0, 8.0, 7.0))
    work(scalars=trained(6.0), started='20260102_000000')
    assert read_work_dir(str(folder)).evaluations == {'EPE': {1: 6.0}}
    resumed = CONFIG + "resume = True\nload_from = 'run/epoch_1.pth'\n"
    work(scalars=trained(5.0, first=2), started='20260103_000000', config=resumed)
    run = read_work_dir(str(folder))
    assert run.evaluations == {'EPE': {1: 6.0, 2: 5.0}}
    alike = work('other', lines=[line(1, 0.5)], scalars=trained(6.0), config=CONFIG)
    assert read_work_dir(str(alike)).recipe == run.recipe  # resumed or not


def test_runs_that_have_not_got_so_far_do_not_count_at_the_end(work):
    folders = []
    for seed, end in ((0, 3), (1, 3), (2, 1)):
        values = [40.0 + seed, 30.0 + seed, 20.0 + seed][:end]
        lines = [line(epoch + 1, 0.9 - 0.3 * epoch) for epoch in range(end)]
        config = CONFIG + f'randomness = dict(seed={seed})\n'
        folders.append(work(f'a/seed_{seed}', lines, trained(*values), config))
    whole = read_groups([str(each) for each in folders[:2]])
    assert ends(whole, 'EPE') == 'EPE of the students at the end: a 20.5.'
    groups = read_groups([str(each) for each in folders])
    told = 'EPE of the students at the end: a 20.5 (2 of 3 runs have got so far).'
    assert ends(groups, 'EPE') == told
    assert last_share(groups[0], 'a') == pytest.approx(0.3)


def test_runs_that_are_evaluated_on_other_data_are_not_one_group(work):
    folders = [
        work(
            f'seed_{seed}',
            [line(1, 0.5)],
            config=f"{CONFIG}val_dataloader = dict(dataset=dict(ann_file='{split}.json'))\n",
        )
        for seed, split in enumerate(('val', 'test'))
    ]
    assert len(read_groups([str(each) for each in folders])) == 2


def test_one_folder_is_one_run_however_it_is_named(work, monkeypatch):
    folder = work(lines=[line(1, 0.5)])
    monkeypatch.chdir(folder.parent)
    (group,) = read_groups(['run', 'run/', str(folder)])
    assert len(group.runs) == 1 and str(group.runs[0].path) == 'run'
