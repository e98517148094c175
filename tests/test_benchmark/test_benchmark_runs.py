"""How a benchmark is run: order, failures, kills, two at once, and through submitit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired
from threading import Timer

import pytest

from classroomkd_mm.__main__ import main as typed
from classroomkd_mm.benchmark import runs
from classroomkd_mm.benchmark.cluster import Task, arrays, in_queue, outcome_of, run_submitit
from classroomkd_mm.benchmark.configs import best_config
from classroomkd_mm.benchmark.dumped import figures_of
from classroomkd_mm.benchmark.jobs import BROKEN, DONE, Outcome, Place, benchmark_jobs, execute
from classroomkd_mm.benchmark.local import run_local, slots_for
from classroomkd_mm.benchmark.results import gather
from classroomkd_mm.benchmark.spec import read_benchmark
from classroomkd_mm.benchmark.standin import StandIn
from classroomkd_mm.benchmark.study_file import Run

ROOT = Path(__file__).parents[2]
KD = 'kd, small, seed 0'


def main(argv):
    """``python -m classroomkd_mm benchmark ARGV``."""
    return typed(['benchmark', *argv])


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """Without seconds of waiting."""
    monkeypatch.setattr('classroomkd_mm.benchmark.local.WAIT', 0.05)
    monkeypatch.setattr('classroomkd_mm.benchmark.cluster.POLL', 0.05)


@pytest.fixture
def jobs(toy):
    return benchmark_jobs(read_benchmark(toy.file()), Place(toy.root))


def kd_row(**options):
    """The toy's row that waits for the mentor, with other settings."""
    return dict(mentors='all', options=options)


def test_all_is_run_in_order_once_and_the_same_command_has_nothing_to_do(toy, capsys):
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    trained = toy.trained()
    assert len(trained) == 5 and trained.index('work_dirs/big') < trained.index('kd/small/seed_0')
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    assert toy.trained() == trained and '5 runs: 0 done now, 0 failed' in capsys.readouterr().out
    said = json.loads((toy.root / 'kd/small/seed_1/run.json').read_text())
    assert said['seed'] == 1 and said['row'] == 'kd' and said['seconds'] > 0
    assert not list(toy.root.glob('**/*.pth')) and Path('work_dirs/big/epoch_2.pth').is_file()


@pytest.mark.parametrize('more', [[], ['--rows', 'kd'], ['--seeds', '1'], ['--dry']])
def test_a_mentor_that_was_removed_is_trained_only_for_students_that_are_not_there(
    toy, capsys, more
):
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    trained = toy.trained()
    shutil.rmtree('work_dirs/big')
    for what in ('plan', 'run') if more != ['--dry'] else ('run',):
        assert main([what, toy.file(), '--work-dir', 'w', *more]) == 0
        told = 'mentor big: work_dirs/big/epoch_2.pth is missing, and all that need it are done'
        assert told in capsys.readouterr().out
    assert toy.trained() == trained
    shutil.rmtree('w/kd/small/seed_1')
    assert main(['run', toy.file(), '--work-dir', 'w', *more]) == 0
    assert 'is missing' not in capsys.readouterr().out
    assert toy.trained()[5:] == (['work_dirs/big', 'kd/small/seed_1'] if more != ['--dry'] else [])


def test_checkpoints_stay_where_that_is_asked_for(toy):
    assert main(['run', toy.file(keep_checkpoints=True), '--work-dir', 'w', '--rows', 'alone']) == 0
    assert len(list(toy.root.glob('**/*.pth'))) == 2


def test_a_failed_run_is_reported_and_stops_only_those_that_wait_for_it(toy, capsys):
    toy.config('big.py', 'broken=True\n')
    assert main(['run', toy.file(), '--work-dir', 'w', '--workers', '2']) == 1
    told = capsys.readouterr().out
    assert 'mentor big: RuntimeError: the loss is not finite (work_dirs/big)' in told
    assert f'{KD}: not run: it waits for mentor big, which failed' in told
    assert '5 runs: 2 done now, 3 failed' in told
    assert sorted(toy.trained()) == ['alone/small/seed_0', 'alone/small/seed_1', 'work_dirs/big']
    assert main(['plan', toy.file(), '--work-dir', 'w']) == 0
    assert 'mentor big' in (told := capsys.readouterr().out) and 'failed' in told
    Path('work_dirs/big.py').unlink()  # the config that failed
    toy.config('big.py')
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0


def test_what_a_command_told_is_the_error_of_its_run():
    log = 'training failed, see x.log:\nerror: the loss is not finite\n(--debug shows where)'
    assert runs.last_line(log) == 'the loss is not finite'
    assert runs.last_line('File "x.py", line 3\nValueError: no\n^^^^') == 'ValueError: no'


def test_a_folder_with_other_settings_is_refused_not_quoted(toy, capsys):
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    before = (toy.root / 'kd/small/seed_0/metrics.json').read_text()
    name = toy.file(rows=dict(alone={}, kd=kd_row(**{'model.student.bonus': 7.0})))
    assert main(['run', name, '--work-dir', 'w']) == 1
    assert 'kd/small/seed_0 holds a run of other settings: remove it' in capsys.readouterr().out
    assert (toy.root / 'kd/small/seed_0/metrics.json').read_text() == before
    assert main(['run', name, '--work-dir', 'w', '--dry']) == 1
    told = capsys.readouterr().out
    assert f'{KD}: w/kd/small/seed_0 holds a run of other settings' in told
    assert '5 runs, 2 whose folder holds another' in told
    assert main(['plan', name, '--work-dir', 'w']) == 0
    assert '5 runs, 2 to do' in capsys.readouterr().out
    assert main(['table', name, '--work-dir', 'w']) == 0
    assert f'{KD}: w/kd/small/seed_0 holds a run of other settings' in capsys.readouterr().out


def test_weights_of_another_config_are_not_taken_for_the_mentors(toy, capsys):
    Path('work_dirs/big').mkdir(parents=True)
    Path('work_dirs/big/epoch_2.pth').touch()
    toy.config('work_dirs/big/big.py')
    assert main(['run', toy.file(), '--dry']) == 0  # only the seed differs, which it does not say
    text = Path('work_dirs/big/big.py').read_text()
    Path('work_dirs/big/big.py').write_text(text.replace('bonus=0.5', 'bonus=9'))
    assert main(['run', toy.file(), '--dry']) == 1
    assert 'was trained with another config: model.bonus is 9 there' in capsys.readouterr().out


def test_a_sampler_that_a_run_took_for_its_fixed_views_is_its_config_s():
    stock = dict(train_dataloader=dict(sampler=dict(type='DefaultSampler', shuffle=True)))
    views = (('ViewSampler', 'DefaultSampler'), ('InfiniteViewSampler', 'InfiniteSampler'))
    for view, name in views:
        taken = dict(sampler=dict(type=f'classroomkd_mm.{view}', shuffle=True))
        stock['train_dataloader']['sampler']['type'] = name
        assert figures_of(stock) == figures_of(dict(train_dataloader=taken))
    taken['sampler']['type'] = 'Other'
    assert figures_of(stock) != figures_of(dict(train_dataloader=taken))


def test_a_dry_run_tells_of_weights_that_no_run_makes(toy, capsys):
    mentors = dict(far=dict(config='big.py', checkpoint='x/far.pth'))
    columns = dict(small=dict(config='small.py', mentors=['far']))
    name = toy.file(mentors=mentors, columns=columns, data=['nowhere'])
    assert main(['run', name, '--work-dir', 'w', '--dry']) == 1
    told = capsys.readouterr().out
    assert 'kd, small: mentor far: checkpoint x/far.pth is not there, and no run makes it' in told
    assert 'missing: nowhere (toy.yml needs it)' in told and not toy.trained()
    assert main(['run', toy.file(data={'nowhere': 'python get.py'}), '--work-dir', 'w']) == 1
    assert 'error: missing: nowhere (toy.yml needs it): python get.py\n' in capsys.readouterr().err
    rows = dict(alone={}, kd=dict(mentors='all', lesson=dict(mentoring=dict(type='Fixd'))))
    assert main(['run', toy.file(rows=rows), '--dry']) == 1
    assert "kd, small: mentoring: type='Fixd' is not registered" in capsys.readouterr().out


def test_a_mentor_may_be_an_earlier_epoch_of_a_run_that_keeps_it(toy, capsys):
    """Early checkpoints of one network are weak peers; they are waited for as the last one is."""
    early = dict(early=dict(config='big.py', checkpoint='work_dirs/big/epoch_1.pth'))
    columns = dict(small=dict(config='small.py', mentors=['early']))
    name = toy.file(mentors=early, columns=columns)
    jobs = benchmark_jobs(read_benchmark(name), Place(toy.root))
    assert jobs['kd, small, seed 0'].needs == ('mentor big',)
    rehearsed = benchmark_jobs(read_benchmark(name), Place(toy.root, StandIn('data')))
    moved = rehearsed['kd, small, seed 0'].moved
    assert moved == {'work_dirs/big/epoch_1.pth': str(toy.root / 'mentors/big/epoch_2.pth')}
    assert main(['run', name, '--work-dir', 'w', '--dry']) == 0
    toy.config('big.py', 'default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))\n')
    assert main(['run', name, '--work-dir', 'w', '--dry']) == 1
    said = 'mentor big: work_dirs/big/epoch_1.pth is asked for, and big.py does not keep it: set'
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--rows', 'kdd'], "--rows: there is no 'kdd', did you mean 'kd'?"),
        (['--columns', 'big'], "--columns: there is no 'big', choose from small"),
        (['--seeds', '7'], "--seeds: there is no '7', choose from 0, 1"),
    ],
)
def test_cells_that_there_are_not_are_told(toy, capsys, flags, message):
    assert main(['run', toy.file(), *flags]) == 1
    assert message in capsys.readouterr().err


def test_two_workers_work_at_once_and_each_has_its_gpu(toy, capsys):
    script = toy.folder / 'tools/train.py'
    more = "Path(folder, 'gpu.txt').write_text(__import__('os').environ['CUDA_VISIBLE_DEVICES'])\n"
    script.write_text(script.read_text() + more)
    toy.config('small.py', 'sleep=1.0\n')
    started = time.time()
    name = toy.file(
        rows=dict(alone={}), train_first=None, columns=dict(small=dict(config='small.py'))
    )
    assert main(['run', name, '--work-dir', 'w', '--gpus', '4', '6']) == 0
    assert time.time() - started < 2.0
    assert {path.read_text() for path in toy.root.glob('**/gpu.txt')} == {'4', '6'}
    with pytest.raises(ValueError, match='a run takes 8 GPUs, --gpus has 2: set --processes'):
        slots_for(1, ['0', '1'], 8)


def test_runs_of_several_processes_are_started_by_torchrun():
    command = runs.How(8).command(['tools/train.py', 'x.py'])
    assert command[1:] == [
        '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=8',
        'tools/train.py', 'x.py', '--launcher', 'pytorch',
    ]  # fmt: skip


def test_fewer_processes_than_meant_scale_the_learning_rate(toy):
    bench = read_benchmark(toy.file(processes=8))
    job = benchmark_jobs(bench, Place(toy.root, processes=2))[KD]
    assert job.config().auto_scale_lr == dict(enable=True, base_batch_size=8 * 4)
    assert 'auto_scale_lr' not in benchmark_jobs(bench, Place(toy.root))[KD].config()


def start(toy, *flags):
    """The command in a process of its own."""
    script = 'import sys; from classroomkd_mm.benchmark.command import main; sys.exit(main())'
    return subprocess.Popen(
        [sys.executable, '-c', script, 'run', toy.file(), '--work-dir', 'w', *flags],
        env=dict(os.environ, PYTHONPATH=str(ROOT), COLUMNS='200'),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background SIGINT is ignored, and so it would be in there.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(what, seconds=200):
    until = time.time() + seconds
    while not what():
        assert time.time() < until
        time.sleep(0.02)


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_what_was_started_and_the_same_command_goes_on(toy, sent):
    toy.config('small.py', 'sleep=30\n')
    process = start(toy)
    wait_for(lambda: 'alone/small/seed_0' in toy.trained())
    os.kill(process.pid, sent)
    assert 'interrupted: the same command goes on' in process.communicate(timeout=60)[0]
    assert process.returncode == 130
    with runs.only_process(toy.root / 'alone/small/seed_0'):
        pass  # nobody is at it any more
    script = toy.folder / 'tools/train.py'
    script.write_text(script.read_text().replace("time.sleep(float(found('sleep', 0)))", ''))
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    assert toy.trained().count('work_dirs/big') == 1


def test_after_a_kill_the_run_that_lives_on_is_waited_for_and_not_trained_twice(toy):
    toy.config('small.py', 'sleep=3\n')
    process = start(toy)
    wait_for(lambda: 'alone/small/seed_0' in toy.trained())
    process.kill()
    process.communicate()
    with pytest.raises(runs.Busy, match='seed_0: another process is at it'):
        with runs.only_process(toy.root / 'alone/small/seed_0'):
            pass
    assert main(['run', toy.file(), '--work-dir', 'w', '--rows', 'alone', '--seeds', '0']) == 0
    # It ended by itself: its evaluation is there, and its checkpoint went on, as --resume does.
    assert json.loads((toy.root / 'alone/small/seed_0/metrics.json').read_text())['top1'] == 2.5


def test_two_commands_at_once_share_the_work(toy, jobs):
    toy.config('small.py', 'sleep=0.3\n')
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: run_local(jobs, slots_for(1, []), print), range(2)))
    assert all(outcome.state == DONE for each in ended for outcome in each.values())
    assert len(toy.trained()) == len(set(toy.trained())) == 5


def test_arrays_are_of_those_that_wait_for_the_same(jobs):
    assert arrays(jobs) == [
        ['mentor big', 'alone, small, seed 0', 'alone, small, seed 1'],
        ['kd, small, seed 0', 'kd, small, seed 1'],
    ]


def test_submitits_local_executor_runs_the_arrays_in_order_and_reports_what_failed(toy, capsys):
    toy.config('bad.py', 'broken=True\n')
    name = toy.file(
        seeds=1,
        train_first=dict(
            big=dict(config='big.py'), bad=dict(config='bad.py', work_dir='work_dirs/x')
        ),
        rows=dict(kd=dict(mentors=['big']), lost=dict(mentors=['bad'])),
        reference='kd',
    )
    assert main(['run', name, '--work-dir', 'w', '--cluster', 'local']) == 1
    told = capsys.readouterr().out
    assert 'mentor bad: RuntimeError: the loss is not finite (work_dirs/x)' in told
    assert 'lost, small, seed 0: not run: it waits for mentor bad, which failed' in told
    assert toy.trained()[-1] == 'kd/small/seed_0'
    assert (toy.root / 'kd/small/seed_0/metrics.json').is_file()


def test_a_preempted_task_is_queued_again_and_goes_on(toy, jobs):
    from submitit import AutoExecutor

    toy.config('small.py', 'sleep=1.5\n')
    job = next(job for name, job in jobs.items() if name == 'alone, small, seed 0')
    executor = AutoExecutor(folder=toy.folder / 'submitit', cluster='local')
    executor.update_parameters(timeout_min=60)
    submitted = executor.submit(Task(job, []))
    wait_for(lambda: toy.trained())
    task = subprocess.check_output(['pgrep', '-P', submitted.job_id], text=True)
    os.kill(int(task), signal.SIGUSR2)  # what Slurm sends before a time-out
    wait_for(submitted.done)
    assert outcome_of(job, Path('log')).state == DONE and len(toy.trained()) == 2


def test_slurm_tells_all_processes_that_they_end_and_that_is_no_failure(toy, jobs, monkeypatch):
    """Before a preemption training gets SIGTERM as well, and may be let live on."""
    toy.config('small.py', 'sleep=30\n')
    job = next(job for name, job in jobs.items() if name == 'alone, small, seed 0')
    tries, real = [], execute

    def tried(job):
        tries.append(job.name)
        if len(tries) == 1:
            Timer(1.0, runs.stop_all).start()
            Timer(0.9, os.kill, [os.getpid(), signal.SIGTERM]).start()
            return real(job)
        assert not (job.folder / 'failed.json').exists()
        return replace(outcome, state=DONE)

    outcome = Outcome(job.name, BROKEN, '')
    monkeypatch.setattr('classroomkd_mm.benchmark.cluster.execute', tried)
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))  # as submitit does
    try:
        assert Task(job, [])() == DONE and len(tries) == 2 and heard == [1]
        monkeypatch.setattr('classroomkd_mm.benchmark.cluster.execute', lambda job: outcome)
        assert Task(job, [])() == BROKEN  # one that fails by itself has failed
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_a_signal_ended_says_so(toy, jobs):
    toy.config('small.py', 'sleep=30\n')
    job = next(job for name, job in jobs.items() if name == 'alone, small, seed 0')
    Timer(1.0, lambda: [process.kill() for process in runs._started]).start()
    assert execute(job).told == f'ended by SIGKILL, see {job.folder}/train.log'


def test_what_somebody_ends_has_not_failed(toy, jobs):
    """A signal to the whole group, as `timeout` sends it, ends runs before who started them."""
    toy.config('small.py', 'sleep=30\n')
    job = next(job for name, job in jobs.items() if name == 'alone, small, seed 0')
    Timer(1.0, lambda: [process.send_signal(signal.SIGTERM) for process in runs._started]).start()
    assert execute(job).told == f'ended by SIGTERM, see {job.folder}/train.log'
    assert job.state() == 'to do'


def test_a_parts_settings_are_looked_at_before_anything_is_trained(toy, capsys):
    lesson = dict(mentoring=dict(type='FixedMentoring', taw=1.0))
    rows = dict(alone={}, kd=dict(mentors='all', lesson=lesson))
    assert main(['run', toy.file(rows=rows), '--work-dir', 'w', '--dry']) == 1
    told = 'kd, small: mentoring.taw is no setting of FixedMentoring; did you mean tau?'
    assert told in capsys.readouterr().out and not toy.trained()


@pytest.fixture
def slurm(toy, monkeypatch):
    """Slurm's commands: sbatch keeps what it gets, squeue says what is in queue.txt."""
    bin_ = toy.folder / 'bin'
    bin_.mkdir()
    for name, text in (
        ('sbatch', 'n=$(ls sent* | wc -l); cp "$1" sent_$n; echo "Submitted batch job 10$n"'),
        ('srun', 'exit 0'),
        ('squeue', 'cat queue.txt'),
    ):
        # By another process: what a thread of this one forks meanwhile would hold it open, and what
        # is open for writing cannot be run.
        write = 'printf "#!/bin/sh\\n%s\\n" "$1" > "$0"; chmod +x "$0"'
        subprocess.run(['sh', '-c', write, bin_ / name, text], check=True)
    monkeypatch.setenv('PATH', f'{bin_}:{os.environ["PATH"]}')
    monkeypatch.setattr('classroomkd_mm.benchmark.cluster.ASK', 0.0)
    toy.folder.joinpath('sent').touch()
    toy.folder.joinpath('queue.txt').touch()
    return partial(run_submitit, folder=toy.folder / 'submitit', tell=lambda _: None)


def test_slurm_is_asked_for_arrays_that_wait_for_each_other(toy, jobs, slurm):
    more = dict(comment='mine')
    ended = slurm(jobs, settings=dict(slurm_partition='gpu', slurm_additional_parameters=more))
    first, second = (toy.folder.joinpath(f'sent_{n}').read_text() for n in (1, 2))
    assert '--array=0-2' in first and '--partition=gpu' in first and 'dependency' not in first
    assert '--array=0-1' in second and '--dependency=afterany:101_0' in second
    assert all('--requeue\n' in said and '--comment=mine' in said for said in (first, second))
    # None is in the queue, and none has a result: all were cancelled.
    said = 'ended without a result (cancelled, or killed?), see '
    assert ended[KD].told.startswith(said) and ended[KD].told.endswith('/102_0_0_log.err')


def test_what_is_queued_already_is_waited_for_and_not_submitted_again(toy, jobs, slurm):
    slurm(jobs)
    # One of the first array was cancelled; the mentor is trained, and nobody waits for it any more.
    (toy.folder / 'queue.txt').write_text('101_2\n102_0\n102_1\n')
    Path('work_dirs/big').mkdir(parents=True)
    Path('work_dirs/big/epoch_2.pth').touch()
    todo = {name: replace(job, needs=()) for name, job in jobs.items() if not job.makes}
    later = Timer(1.0, (toy.folder / 'queue.txt').write_text, [''])
    later.start()
    started = time.time()
    ended = slurm(todo)
    later.join()
    assert time.time() - started >= 1 and set(ended) == set(todo)
    assert '--array' not in (toy.folder / 'sent_3').read_text()  # the cancelled one alone
    assert not (toy.folder / 'sent_4').exists()
    # Other settings are another run.
    (toy.folder / 'queue.txt').write_text('102_0\n')
    later = Timer(1.0, (toy.folder / 'queue.txt').write_text, [''])
    later.start()
    slurm({KD: replace(todo[KD], metric='top5')})
    later.join()
    assert (toy.folder / 'sent_4').is_file()


def test_a_queue_that_does_not_answer_ends_nothing(toy, slurm, jobs):
    assert in_queue() == set()
    squeue = toy.folder / 'bin/squeue'
    squeue.write_text('#!/bin/sh\nexit 1\n')
    assert in_queue() is None
    Timer(1.0, squeue.write_text, ['#!/bin/sh\n']).start()
    started = time.time()
    slurm({name: job for name, job in jobs.items() if job.makes})
    assert time.time() - started >= 1


def test_a_job_whose_settings_fail_is_an_outcome_not_an_end(jobs):
    job = jobs[KD]
    outcome = execute(replace(job, metric='top5'))
    assert outcome.state == BROKEN  # its mentor is not trained
    job = next(job for job in jobs.values() if job.row == 'alone')
    assert execute(replace(job, metric='top5')).told.startswith("metric='top5' is not reported in")


def test_jobs_may_have_any_kind_of_progress(jobs):
    told = []
    ended = run_local(jobs, slots_for(3, []), told.append)
    assert [outcome.name for outcome in told] == list(ended) and len(told) == 5


def test_a_rehearsals_processes_are_forked_and_end_as_others_do(toy):
    tool = toy.folder / 'tools/tell.py'
    tool.write_text(
        'import os, sys, time\n'
        'print(sys.argv[1:], os.environ["MINE"], "torch" in sys.modules, os.getcwd(), flush=True)\n'
        'import lies_elsewhere\n'
        'print("to standard error", file=sys.stderr)\n'
        'time.sleep(float(sys.argv[1]))\n'
        'assert __name__ == "__main__"\n'
        'sys.exit(int(sys.argv[2]))\n'
    )
    log = toy.folder / 'tell.log'
    (toy.folder / 'more').mkdir()
    (toy.folder / 'more/lies_elsewhere.py').touch()
    more = dict(MINE='x', PYTHONPATH=f'{toy.folder}/more{os.pathsep}')
    how = runs.How(environment=more, warm=True)
    runs.call([str(tool), '0', '0'], log, 'telling failed', how)
    assert log.read_text() == f"['0', '0'] x True {toy.folder}\nto standard error\n"
    with pytest.raises(RuntimeError, match=r'telling failed, see .*tell.log:\n(.*\n)*to standard'):
        runs.call([str(tool), '0', '3'], log, 'telling failed', how)
    log.unlink()
    with ThreadPoolExecutor(1) as pool:
        asked = [str(tool), '250', '0'], log, 'telling failed', how
        ended = pool.submit(runs.call, *asked)
        wait_for(lambda: log.is_file() and 'to standard error' in log.read_text())
        runs.stop_all()
        with pytest.raises(RuntimeError, match='ended by SIGTERM, see'):
            ended.result(timeout=60)
    assert not runs._started
    process = how.start([str(tool), '60', '0'], log)
    with pytest.raises(TimeoutExpired):
        process.wait(0.1)
    runs.stop(process)
    assert process.poll() is not None


def test_a_rehearsal_trains_one_seed_of_each_shape(toy, capsys):
    first = {name: dict(config='big.py', seed=i, work_dir=name) for i, name in enumerate('ab')}
    first['c'] = dict(config='big.py', options={'model.bonus': 1}, work_dir='c')
    columns = dict(small=dict(config='small.py', mentors=list('abc')))
    name = toy.file(train_first=first, columns=columns)
    place = Place(toy.root, StandIn('data'))
    jobs = benchmark_jobs(read_benchmark(name), place)
    assert {job.seed for job in jobs.values() if job.row} == {0}
    folders = [str(job.folder.relative_to(toy.root)) for job in jobs.values() if job.makes]
    assert folders == ['mentors/a', 'mentors/a', 'mentors/c']
    assert set(jobs[KD].moved.values()) == {f'{toy.root}/mentors/{x}/epoch_2.pth' for x in 'ac'}
    assert main(['run', name, '--stand-in', '--seeds', '1']) == 1
    assert "--seeds: there is no '1', choose from 0" in capsys.readouterr().err


@pytest.mark.parametrize('value, best', [(0.7, 0.7), (0.2, 0.5), (0.5, 0.5)])
def test_a_last_epoch_that_was_not_evaluated_may_be_the_best(tmp_path, monkeypatch, value, best):
    """As MMEngine has it: only what is better takes the earlier best's place."""
    folder, tested = tmp_path / 'w/seed_0', []
    cfg = best_config(Run(str(ROOT / 'configs/demo/alone.py')), 0, 'coco/AP')
    (folder / '20260101/vis_data').mkdir(parents=True)
    (folder / '20260101/vis_data/scalars.json').write_text('{"coco/AP": 0.5, "step": 6}\n')
    (folder / 'best_coco_AP_epoch_6.pth').write_text('6')
    os.utime(folder / 'best_coco_AP_epoch_6.pth', (1, 1))
    (folder / 'epoch_12.pth').write_text('12')

    def evaluate(config, checkpoint, out, how):
        tested.append(checkpoint.name)
        found = {'epoch_12.pth': value, 'best_coco_AP_epoch_6.pth': 0.5}
        out.write_text(json.dumps({'coco/AP': found.get(checkpoint.name, value)}))

    monkeypatch.setattr(runs, 'train', None)
    monkeypatch.setattr(runs, 'test', evaluate)
    assert runs.complete(cfg, folder, 'coco/AP', 'best, test') == best
    last = 'best_coco_AP_epoch_12.pth' if value > 0.5 else 'best_coco_AP_epoch_6.pth'
    assert tested == ['epoch_12.pth', last]


def test_a_run_that_died_in_its_last_evaluation_is_evaluated_and_not_trained_again(
    demo_config, tmp_path, monkeypatch
):
    """By the real tools: the figure and the log are those of the run that was not ended."""
    cfg, folder = demo_config('alone'), tmp_path / 'w/seed_0'
    cfg.train_cfg.val_interval = 1
    cfg.val_evaluator = dict(type='PCKAccuracy', thr=0.5)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None  # it may have no other split
    whole = runs.complete(cfg, folder, 'PCK', keep=True)
    (log,) = folder.glob('2*/vis_data/scalars.json')
    kept = [line for line in log.read_text().splitlines() if 'PCK' not in line]
    log.write_text('\n'.join(kept) + '\n')
    (folder / 'metrics.json').unlink()
    monkeypatch.setattr(runs, 'train', None)  # which would take the hours again
    assert runs.complete(cfg, folder, 'PCK') == whole > 0
    (record,) = runs.evaluations(folder, 'PCK')
    assert record['step'] == cfg.train_cfg.max_epochs and record['PCK'] == whole
    assert not list(folder.glob('*.pth'))


def test_of_an_error_the_smallest_is_the_best():
    records = [{'NME': value, 'AUC': value} for value in (0.09, 0.05, 0.06)]
    assert runs.best_of(records, 'NME')['NME'] == 0.05
    assert runs.best_of(records, 'AUC')['AUC'] == 0.09
    cfg = best_config(Run(str(ROOT / 'configs/demo/alone.py')), 0, 'NME')
    assert cfg.default_hooks.checkpoint.rule == 'less'


def test_a_mentor_whose_last_epoch_was_not_evaluated_has_no_figure(toy):
    """Killed in that evaluation it has its weights, and an earlier epoch's figure."""
    name = toy.file()
    assert main(['run', name, '--work-dir', 'w']) == 0
    bench = read_benchmark(name)
    jobs = benchmark_jobs(bench, Place(toy.root))
    assert gather(bench, jobs).mentors == dict(big=(32.5, 'val'))
    log = Path('work_dirs/big/20260101/vis_data/scalars.json')
    log.write_text(log.read_text().splitlines()[0] + '\n')
    assert gather(bench, jobs).mentors == dict(big=(None, 'val'))


def test_students_of_weights_that_have_changed_since_are_told_and_not_kept(toy, capsys):
    name = toy.file()
    run = ['run', name, '--work-dir', 'w']
    assert main(run) == main(['table', *run[1:]]) == main(['table', *run[1:], '--check']) == 0
    Path('work_dirs/big/epoch_2.pth').write_text('of another training')
    assert main(['table', *run[1:], '--check']) == 1
    told = 'w/kd/small/seed_1 was trained with another work_dirs/big/epoch_2.pth than there is now'
    capsys.readouterr()
    for command in (['plan', name, '--work-dir', 'w'], [*run, '--dry'], ['table', *run[1:]], run):
        main(command)
        assert told in capsys.readouterr().out
    assert main(run) == 1
    for seed in (0, 1):
        shutil.rmtree(toy.root / f'kd/small/seed_{seed}')
    assert main(run) == 0 and toy.trained().count('kd/small/seed_0') == 2
    assert toy.trained().count('alone/small/seed_0') == 1  # it has no mentor


@pytest.mark.parametrize('path', ['old/net.pt', 'net.safetensors', 'weights'])
def test_weights_of_any_name_are_looked_at(toy, capsys, path):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text('as they were')
    name = toy.file(
        mentors=dict(old=dict(config='small.py', checkpoint=path)),
        rows=dict(
            alone=dict(options={'model.told': 999 * 'a'}), kd=kd_row() | dict(mentors=['old'])
        ),
    )
    assert main(['run', name, '--work-dir', 'w']) == 0
    Path(path).write_text('of another training')
    capsys.readouterr()
    main(['plan', name, '--work-dir', 'w'])
    told = f'w/kd/small/seed_0 was trained with another {path} than there is now'
    assert told in capsys.readouterr().out


def test_a_figure_that_was_lost_is_taken_from_the_log_again(toy):
    name = toy.file()
    assert main(['run', name, '--work-dir', 'w']) == 0
    trained, path = toy.trained(), toy.root / 'kd/small/seed_1/metrics.json'
    kept = path.read_text()
    path.unlink()
    assert main(['run', name, '--work-dir', 'w']) == 0
    assert path.read_text() == kept and toy.trained() == trained


def test_no_checkpoint_is_named_that_was_removed(toy):
    """MMEngine resumes from what ``last_checkpoint`` names, and fails where that is gone."""
    script = toy.folder / 'tools/train.py'
    script.write_text(
        script.read_text() + "(folder / 'last_checkpoint').write_text('epoch_2.pth')\n"
    )
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    assert not (toy.root / 'kd/small/seed_0/last_checkpoint').exists()
    assert Path('work_dirs/big/last_checkpoint').is_file()


def test_a_folder_that_was_removed_is_trained_with_new_settings(toy):
    assert main(['run', toy.file(), '--work-dir', 'w']) == 0
    name = toy.file(rows=dict(alone={}, kd=kd_row(**{'model.student.bonus': 7.0})))
    for seed in (0, 1):
        shutil.rmtree(toy.root / f'kd/small/seed_{seed}')
    assert main(['run', name, '--work-dir', 'w']) == 0


def test_a_damaged_record_is_named_and_hides_no_other_run(toy, capsys):
    name = toy.file()
    assert main(['run', name, '--work-dir', 'w']) == 0
    (toy.root / 'kd/small/seed_0/run.json').write_text('')
    capsys.readouterr()
    for command in ('plan', 'table'):
        assert main([command, name, '--work-dir', 'w']) == 0
        told = capsys.readouterr().out
        assert 'w/kd/small/seed_0/run.json is damaged (Expecting value' in told
    assert '| kd | small | 1 of 2 |' in told
    assert main(['run', name, '--work-dir', 'w']) == 1
    assert 'kd/small/seed_0/run.json is damaged' in capsys.readouterr().out


def test_the_seed_is_no_option(toy, capsys):
    for options in ({'randomness.seed': 7}, {'randomness': dict(seed=7)}):
        assert main(['run', toy.file(options=options), '--work-dir', 'w', '--dry']) == 1
        assert 'randomness: a run has the seed of its table: seeds, or --seeds' in (
            capsys.readouterr().out
        )

    deterministic = {'randomness': dict(deterministic=True)}
    assert main(['run', toy.file(options=deterministic), '--work-dir', 'w', '--dry']) == 0


def test_a_config_that_is_no_python_is_named(toy, capsys):
    toy.config('big.py', 'x = (\n')
    assert main(['plan', toy.file(), '--work-dir', 'w']) == 1
    assert "config 'big.py' is not Python:" in capsys.readouterr().err
