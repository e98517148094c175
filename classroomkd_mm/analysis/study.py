"""Compare methods over seeds: mean, deviation and paired difference.

A study is a Python config with `metric`, `reference` and `runs`; each run names a config and the
settings that it changes, beside those in `options`, which all runs change. Every run is
tools/train.py on a config written beside its work dir, which evaluates the student once, after its
last epoch, on the split that is asked for. An interrupted study goes on where it stopped; finished
runs are not repeated.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Optional

from ..arguments import positive
from ..benchmark.configs import run_config
from ..benchmark.runs import complete, last_line, terminable
from ..benchmark.scalars import last_evaluation
from ..benchmark.statistics import half_width
from ..benchmark.study_file import Run, Study, read_study
from ..benchmark.table import difference
from .tables import markdown

__all__ = ['Run', 'Study', 'half_width', 'last_evaluation', 'read_study', 'run_config']
EXAMPLES = """examples:
  python -m classroomkd_mm study configs/study/synthetic_pose.py --seeds 5  # all, on test
  python -m classroomkd_mm study STUDY --split val --seeds 1 --only aver \\
      --set model.distill_loss.beta 3 10 30                            # choose a setting, on val"""
DIGITS = 4


def choose(runs: Mapping[str, Run], names: Optional[Sequence[str]]) -> dict[str, Run]:
    """The runs of these names, all where there are none.

    Raises:
        ValueError: For a name that is not among the runs.
    """
    unknown = set(names or ()) - set(runs)
    if unknown:
        raise ValueError(f'--only: unknown {sorted(unknown)}, choose from {sorted(runs)}')
    return {name: runs[name] for name in names or runs}


def variants(runs: Mapping[str, Run], grid: Iterable[Sequence[str]]) -> dict[str, Run]:
    """Every run with every combination of the values in ``grid``; a value is part of the name.

    Args:
        runs: Runs by name.
        grid: Settings, each a dotted name and the values to try, as on the command line.

    Raises:
        ValueError: For a setting without a value.
    """
    made = dict(runs)
    for key, *values in grid:
        if not values:
            raise ValueError(f'--set {key} has no value')
        made = {
            f'{name}__{key.split(".")[-1]}={value}': run.changed({key: parse_value(value)})
            for name, run in made.items()
            for value in values
        }
    return made


def parse_value(text: str) -> object:
    """A number, boolean or None where it reads as one, else the text."""
    try:
        return json.loads({'None': 'null', 'True': 'true', 'False': 'false'}.get(text, text))
    except json.JSONDecodeError:
        return text


def measure(run: Run, seed: int, split: str, metric: str, folder: Path) -> float:
    """Train and evaluate a run unless it is done; its metric.

    Raises:
        Busy: Where another process trains it.
        ValueError: Where the folder holds a run of other settings, or the evaluator does not report
            the metric.
        RuntimeError: Where the training fails.
    """
    facts = dict(seed=seed, metric=metric, config=run.config, split=split, checkpoint='last')
    return complete(run_config(run, seed, split), folder, metric, facts=facts)


def run_study(study: Study, seeds: int, split: str, root: Path) -> dict[str, list[float]]:
    """Each run's metric, seed by seed; prints one line a run.

    Args:
        study: What to run.
        seeds: How many, from 0.
        split: ``val`` or ``test``.
        root: Folder of the runs' work dirs, ``RUN/seed_N``.

    Raises:
        ValueError: See :func:`run_config` and :func:`measure`.
        RuntimeError: Where a training fails.
    """
    results: dict[str, list[float]] = {name: [] for name in study.runs}
    # Seed by seed: an unfinished study compares all methods on the same seeds.
    jobs = [(seed, name) for seed in range(seeds) for name in study.runs]
    for step, (seed, name) in enumerate(jobs, 1):
        print(f'[{step}/{len(jobs)}] {name}, seed {seed}: ', end='', flush=True)
        folder = root / name / f'seed_{seed}'
        try:
            results[name].append(measure(study.runs[name], seed, split, study.metric, folder))
        except RuntimeError as error:  # with the end of its log, which is long
            first, *more = str(error).splitlines()
            told = ' '.join([first, *([last_line(str(error))] if more else [])])
            raise type(error)(f'{name}, seed {seed}: {told}') from error
        print(f'{study.metric} {results[name][-1]:.4f}', flush=True)
    return results


def summarise(
    results: Mapping[str, Sequence[float]], reference: Optional[str] = None
) -> list[list[str]]:
    """Rows of the table: run, mean, standard deviation, paired difference to the reference.

    Args:
        results: Each run's metric, seed by seed.
        reference: The run that the others are compared with; nobody is where it is not among them.
    """
    base = None if reference is None else results.get(reference)
    rows = [['run', 'seeds', 'mean', 'sd']]
    if base is not None:
        rows[0] += [f'difference to {reference}', '95 % interval']
    for name, values in results.items():
        deviation = f'{stdev(values):.4f}' if len(values) > 1 else '-'
        gaps = [a - b for a, b in zip(values, base or ())] if name != reference else []
        compared = [] if base is None else difference(gaps, 't', DIGITS)
        rows.append([name, str(len(values)), f'{mean(values):.4f}', deviation, *compared])
    return rows


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm study',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('study', help='study file, e.g. configs/study/synthetic_pose.py')
    parser.add_argument('--seeds', type=positive, default=5, help='seeds 0..N-1 (default 5)')
    parser.add_argument(
        '--split', choices=['val', 'test'], default='test', help='choose settings on val only'
    )
    parser.add_argument('--metric', help="another metric of the evaluation than the study's")
    parser.add_argument(
        '--reference', metavar='RUN', help="another run to compare with than the study's"
    )
    parser.add_argument('--only', nargs='+', metavar='RUN', help='some of the runs')
    parser.add_argument(
        '--set',
        nargs='+',
        action='append',
        default=[],
        metavar='KEY VALUE',
        help='a setting and the values to try, for every run; can be repeated (all combinations)',
    )
    parser.add_argument('--work-dir', help='default work_dirs/study/STUDY')
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the study."""
    args = parse_args(argv)
    root = Path(args.work_dir or f'work_dirs/study/{Path(args.study).stem}') / args.split
    study = read_study(args.study)
    runs = variants(choose(study.runs, args.only), args.set)
    if args.reference not in (None, *runs):
        raise ValueError(f'--reference: unknown {args.reference!r}, choose from {sorted(runs)}')
    reference = args.reference or study.reference
    if reference and reference not in runs:
        print(
            f'no run is called {reference!r} here: without --reference RUN there are no differences'
        )
    study = replace(study, runs=runs, metric=args.metric or study.metric)
    with terminable():
        figures = run_study(study, args.seeds, args.split, root)
    table = summarise(figures, reference)
    told = f'{study.metric} on the {args.split} split\n\n{markdown(table, numeric=True)}'
    # A part, or other settings, leave the study's own table alone.
    part = args.only or args.set or args.metric
    path = root / ('table_part.md' if part else 'table.md')
    path.write_text(told + '\n')
    print(f'\n{told}\n\nwritten: {path}')
