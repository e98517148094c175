"""A table of methods: plan, run, collect and table of a benchmark file; docs/benchmarks.md.

plan     what would run, in which order, from which configs, how long and in how much memory
run      what is missing, on this machine or through submitit; interrupted, it goes on
collect  runs that were trained elsewhere, where their dumped configs are the benchmark's
table    Markdown, CSV and LaTeX; --check reckons every figure anew from the runs' logs

Exit status: 0 where all is there, 1 where something failed or is not true, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from ..analysis.tables import text
from ..arguments import above_zero, positive
from ..shipped import config_file
from .checks import faults, unready
from .closed import known
from .collect import collect, work_dirs
from .jobs import BROKEN, DONE, STATES, Job, Outcome, Place, benchmark_jobs, chosen, needless
from .local import progress, run_local, slots_for
from .results import gather, other_settings, untrue
from .runs import terminable
from .spec import Benchmark, read_benchmark
from .standin import StandIn
from .steps import Steps, counted, iterations, makespan, measured, told
from .table import as_csv, as_latex, brief, document, entries, written_into

EXAMPLES = """examples:
  python -m classroomkd_mm benchmark plan configs/benchmark/cifar100_same.yml --measure
  python -m classroomkd_mm benchmark run FILE --workers 2            # or --gpus 0 1 2 3
  python -m classroomkd_mm benchmark run FILE --cluster slurm --slurm slurm_partition=gpu \\
      timeout_min=600 gpus_per_node=1
  python -m classroomkd_mm benchmark run FILE --stand-in             # all of it, two epochs
  python -m classroomkd_mm benchmark collect FILE WORK_DIR ...
  python -m classroomkd_mm benchmark table FILE --check"""
INTERRUPTED = 130  # as of a program that SIGINT ended
ROOT, STEPS = 'work_dirs', Path('work_dirs/benchmark/steps.json')
FORMS: dict[str, Callable[..., str]] = dict(md=document, csv=as_csv, tex=as_latex)


def main(argv: Sequence[str] | None = None) -> int:
    """What the command line asks for; 0, or 1 where a run failed.

    Raises:
        ValueError: For a file, a choice or a run that is not as it must be.
        FileNotFoundError: Where the file, or a config, is missing.
    """
    args = parse_args(argv)
    try:
        bench = read_benchmark(config_file(args.benchmark))
        jobs = benchmark_jobs(bench, place_of(bench, args))
        return int(args.what(bench, jobs, args))
    except KeyboardInterrupt:
        print('interrupted: the same command goes on')
        return INTERRUPTED


def place_of(bench: Benchmark, args: argparse.Namespace) -> Place:
    """Where the runs live: a study's where tools/study.py has them."""
    kind = ('study', bench.study) if bench.study else ('benchmark', bench.path.stem)
    ending = bench.split if bench.checkpoint == 'last' else f'{bench.split}_best'
    root = Path(args.work_dir) if args.work_dir else Path(ROOT, *kind) / ending
    if not args.stand_in:
        return Place(root, processes=args.processes)
    root = root if args.work_dir else root.with_name(f'{ending}_stand_in')
    return Place(root, StandIn(str(root / 'data'), args.epochs))


def some(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> dict[str, Job]:
    """The jobs that are asked for.

    Raises:
        ValueError: For a row, column or seed that there is not.
    """
    for flag, names in (('rows', bench.rows), ('columns', bench.columns)):
        for name in getattr(args, flag) or ():
            known(f'--{flag}', name, names)
    seeds = dict.fromkeys(str(job.seed) for job in jobs.values() if job.row)
    for seed in args.seeds or ():
        known('--seeds', str(seed), list(seeds))
    return chosen(jobs, args.rows, args.columns, args.seeds)


def needed(jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs without mentors whose students are all there; those are told."""
    gone = needless(jobs)
    for name in gone:
        path = jobs[name].weights
        print(f'{name}: {path} is missing, and all that need it are done: it is not trained again')
    return {name: job for name, job in jobs.items() if name not in gone}


def plan(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> int:
    """Print what would run."""
    jobs = needed(some(bench, jobs, args))
    steps = Steps(STEPS, args.device)
    if args.measure:
        _measure(jobs, steps, args)
    times = {name: _seconds(bench, job, steps, args.tflops) for name, job in jobs.items()}
    rows = [['run', 'config', 'waits for', 'state', 'time', 'memory']]
    for name, job in jobs.items():
        step = steps.find(job.config())
        bytes_ = None if step is None else step.memory
        memory = 'not measured' if bytes_ is None else f'{bytes_ / 1e6:.0f} MB'
        needs = ', '.join(job.needs) or '-'
        rows.append([name, job.run.config, needs, _state(job), told(times[name]), memory])
    print(text(rows))
    print(_summary(jobs, times, args))
    told_ = [*unready(bench, jobs), *_memories(jobs)]
    print('\n'.join(told_))
    return 0


def _state(job: Job) -> str:
    """Its state, or why what is done is another run."""
    state = job.state()
    return other_settings(job) or state if state == DONE and not job.makes else state


def _measure(jobs: Mapping[str, Job], steps: Steps, args: argparse.Namespace) -> None:
    by = StandIn(str(STEPS.parent / 'data'))
    by.make()
    only_count = args.device == 'cpu' and args.tflops is not None
    for name, job in jobs.items():
        cfg = job.config()
        step = steps.find(cfg)
        whole = args.batch or only_count or (step and step.memory is not None)
        if step is None or not whole or (step.seconds is None and not only_count):
            print(f'{"counting" if only_count else "measuring"} a step of {name}', flush=True)
            made = counted(cfg, by) if only_count else measured(cfg, by, args.device, args.batch)
            steps.add(cfg, made)


def _seconds(bench: Benchmark, job: Job, steps: Steps, tflops: float | None) -> float | None:
    """How long a run takes: its steps alone, without loading data or evaluations."""
    cfg, samples = job.config(), bench.samples.get('train')
    step = steps.find(cfg)
    if step is None or samples is None:
        return None
    each = step.on(tflops) if tflops else step.seconds
    return None if each is None else iterations(cfg, samples, job.processes) * each


def _summary(
    jobs: Mapping[str, Job], times: Mapping[str, float | None], args: argparse.Namespace
) -> str:
    """How many are to run, and how long that takes."""
    left = {name: job for name, job in jobs.items() if _state(job) != DONE}
    told_ = f'\n{len(jobs)} runs, {len(left)} to do'
    unknown = sum(times[name] is None for name in left)
    if unknown:
        return f'{told_}; {unknown} of them not measured: --measure, and samples: train in the file'
    spent = {
        name: (times[name] or 0.0, [need for need in job.needs if need in left])
        for name, job in left.items()
    }
    where = f'a GPU of {args.tflops:g} TFLOP/s' if args.tflops else args.device
    gpus = max((job.processes for job in left.values()), default=1)
    named = f' of {gpus} GPUs' if gpus > 1 else ''
    each = (f'{n}{named} at once {told(makespan(spent, n))}' for n in sorted({1, args.workers}))
    return f'{told_} (on {where}: {", ".join(each)}, training steps alone)'


def _memories(jobs: Mapping[str, Job]) -> list[str]:
    """Which runs share a memory of mentors' answers."""
    shared: dict[str, int] = {}
    for job in jobs.values():
        folder = (job.config().model.get('memory') or {}).get('dir')
        if folder:
            shared[folder] = shared.get(folder, 0) + 1
    return [f'memory {folder}: {count} runs share it' for folder, count in shared.items()]


def run(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> int:
    """Run what is missing."""
    jobs = some(bench, jobs, args)
    found = faults(bench, jobs)
    jobs = needed(jobs)
    if args.dry or found:
        states = {name: _state(job) for name, job in jobs.items()}
        told_ = [f'{name}: {state}' for name, state in states.items()]
        print('\n'.join([*told_, *unready(bench, jobs), *found]))
        others = sum(state not in STATES for state in states.values())
        told_ = [f'{len(found)} faults in them'] * bool(found)
        told_ += [f'{others} whose folder holds another'] * bool(others)
        print(', '.join([f'{len(jobs)} runs', *(told_ or ['all of them can be run'])]))
        return int(bool(found or others))
    stand = next(iter(jobs.values())).stand_in
    if stand is None and (lacking := unready(bench, jobs)):
        raise ValueError('; '.join(lacking))
    if stand is not None:
        stand.make()
    todo = {name: job for name, job in jobs.items() if _state(job) != DONE}
    todo = {
        name: replace(job, needs=tuple(need for need in job.needs if need in todo))
        for name, job in todo.items()
    }
    return _report(jobs, _do(todo, args))


def _do(todo: Mapping[str, Job], args: argparse.Namespace) -> dict[str, Outcome]:
    """Do the jobs, here or on a cluster, with a progress bar."""
    if not todo:
        return {}
    with terminable(), progress(len(todo), Console()) as tell:
        if args.cluster:
            from .cluster import run_submitit

            folder = Path(ROOT) / 'benchmark/submitit'
            return run_submitit(todo, folder, tell, args.cluster, dict(args.slurm))
        each = max(job.processes for job in todo.values())
        return run_local(todo, slots_for(args.workers, args.gpus, each), tell)


def _report(jobs: Mapping[str, Job], ended: Mapping[str, Outcome]) -> int:
    failed = [outcome for outcome in ended.values() if outcome.state == BROKEN]
    print(f'{len(jobs)} runs: {len(ended) - len(failed)} done now, {len(failed)} failed')
    for outcome in failed:
        print(f'  {outcome.name}: {outcome.told} ({jobs[outcome.name].folder})')
    return int(bool(failed))


def gather_elsewhere(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> int:
    """Take runs in from elsewhere."""
    refused = 0
    for given in args.folders:
        found = list(work_dirs(Path(given)))
        if not found:
            print(f'error: {given} holds no run: there is no */vis_data/scalars.json')
        refused += not found
        for folder in found:
            try:
                print(collect(folder, jobs))
            except ValueError as error:
                print(f'refused: {error}')
                refused += 1
    results = gather(bench, jobs)
    there = sum(map(len, results.figures.values()))
    print(f'{there} runs are there, {len(results.missing)} are missing')
    return int(bool(refused))


def table(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> int:
    """Write the table, or check the one that is written."""
    results = gather(bench, jobs)
    root = place_of(bench, args).root
    if args.check:
        return _check(bench, jobs, args)
    root.mkdir(parents=True, exist_ok=True)
    paths = tables(bench, root)
    for ending, form in FORMS.items():
        paths[ending].write_text(form(bench, results, root))
    if args.into:
        path = Path(args.into)
        rows = brief(bench, entries(bench, results))
        path.write_text(written_into(path.read_text(), bench.path.stem, rows))
    print(paths[args.form].read_text())
    print(f'written: {paths["md"]}, .csv, .tex' + (f' and {args.into}' if args.into else ''))
    return 0


def tables(bench: Benchmark, root: Path) -> dict[str, Path]:
    """Where a benchmark's table is, by ending: beside its runs, which another may share."""
    return {ending: root / f'{bench.path.stem}.{ending}' for ending in FORMS}


def _check(bench: Benchmark, jobs: Mapping[str, Job], args: argparse.Namespace) -> int:
    """Say which figures of the written table are not what the runs' logs give."""
    root = place_of(bench, args).root
    paths = tables(bench, root)
    path = paths['csv']
    if not path.is_file():
        raise ValueError(f'{path} is missing: write the table first')
    results = gather(bench, jobs)
    found = untrue(jobs) + changed_figures(path.read_text(), as_csv(bench, results, root))
    for ending in ('md', 'tex'):
        if paths[ending].read_text() != FORMS[ending](bench, results, root):
            found.append(f'{paths[ending]} is not what the runs give')
    if args.into:
        said, rows = Path(args.into).read_text(), brief(bench, entries(bench, results))
        if said != written_into(said, bench.path.stem, rows):
            found.append(f'{args.into}: the table {bench.path.stem} is not what the runs give')
    print('\n'.join(found) or f'{path}: every figure is what the logs give')
    return int(bool(found))


def changed_figures(written: str, anew: str) -> list[str]:
    """Where a table as CSV differs from the one that the runs give, a sentence each."""
    found = []
    before, now = (
        {(line['row'], line['column']): line for line in csv.DictReader(io.StringIO(each))}
        for each in (written, anew)
    )
    for place in dict.fromkeys((*before, *now)):
        old, new = before.get(place, {}), now.get(place, {})
        found += [
            f'{", ".join(filter(None, place))}: {key} is {old.get(key)} in the table, '
            f'{new.get(key)} by the runs'
            for key in dict.fromkeys((*old, *new))
            if old.get(key) != new.get(key)
        ]
    return found


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm benchmark',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    kinds = parser.add_subparsers(required=True, metavar='plan|run|collect|table')
    for name, what in (
        ('plan', plan),
        ('run', run),
        ('collect', gather_elsewhere),
        ('table', table),
    ):
        kind = kinds.add_parser(name, help=(what.__doc__ or '').lower())
        kind.set_defaults(what=what)
        kind.add_argument('benchmark', help='a file, e.g. configs/benchmark/cifar100_same.yml')
        kind.add_argument('--work-dir', help='of the runs (default work_dirs/benchmark/FILE/SPLIT)')
        kind.add_argument('--stand-in', action='store_true', help='drawn data, 2 epochs, one seed')
        kind.add_argument('--epochs', type=positive, default=2, help='of --stand-in')
        kind.add_argument(
            '--processes', type=positive, help="of a cell's run, a GPU each (default the file's)"
        )
        if name in ('plan', 'run'):
            _add_choice(kind)
    _add_plan(kinds.choices['plan'])
    _add_run(kinds.choices['run'])
    kinds.choices['collect'].add_argument('folders', nargs='+', help='work dirs, or of several')
    _add_table(kinds.choices['table'])
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--rows', nargs='+', help='some of them')
    parser.add_argument('--columns', nargs='+', help='some of them')
    parser.add_argument('--seeds', nargs='+', type=int, help='some of them')
    parser.add_argument('--workers', type=positive, default=1, help='runs at once (default 1)')


def _add_plan(parser: argparse.ArgumentParser) -> None:
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--measure', action='store_true', help='a training step of each run')
    parser.add_argument(
        '--batch', type=positive, help='samples in it, if not all of a batch: time, no memory'
    )
    parser.add_argument('--device', default=device, help='(default %(default)s)')
    parser.add_argument(
        '--tflops',
        type=above_zero,
        help='hours on a GPU that keeps up so many TFLOP/s, by operations',
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--dry', action='store_true', help='only see whether all of it can be run')
    parser.add_argument('--gpus', nargs='+', default=[], help='their numbers: a run on each')
    parser.add_argument('--cluster', choices=['slurm', 'local'], help='through submitit')
    parser.add_argument(
        '--slurm',
        nargs='+',
        type=_setting,
        default=[],
        metavar='KEY=VALUE',
        help="submitit's parameters, e.g. slurm_partition=gpu timeout_min=600",
    )


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--form', choices=list(FORMS), default='md', help='that is printed')
    parser.add_argument('--into', help='a document, between its marks <!-- benchmark NAME -->')
    parser.add_argument('--check', action='store_true', help='reckon all anew, and compare')


def _setting(argument: str) -> tuple[str, object]:
    key, equals, value = argument.partition('=')
    if not equals:
        raise argparse.ArgumentTypeError(f'{argument} is not KEY=VALUE')
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
