"""Compare methods over seeds: mean, deviation and paired difference.

A study is a Python config with `metric`, `reference` and `runs`; each run names a config and the
settings that it changes, beside those in `options`, which all runs change. Every run is
tools/train.py on a config written beside its work dir, which evaluates the student once, after its
last epoch, on the split that is asked for. An interrupted study goes on where it stopped; finished
runs are not repeated.
"""

import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Optional

from mmengine.config import Config
from scipy.stats import t as student_t

from ..runs import with_mentor_folder
from .tables import markdown

EXAMPLES = """examples:
  python tools/study.py configs/study/synthetic_pose.py --seeds 5     # every run, on the test split
  python tools/study.py STUDY --split val --seeds 1 --only aver \\
      --set model.distill_loss.beta 3 10 30                            # choose a setting, on val"""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Run:
    """A config and the settings that a study changes in it, by their dotted names."""

    config: str
    options: Mapping[str, object] = field(default_factory=dict)

    def changed(self, options: Mapping[str, object]) -> 'Run':
        """The run with more settings changed; they win over its own."""
        return Run(self.config, {**self.options, **options})


@dataclass(frozen=True)
class Study:
    """Runs by name, the metric of their last evaluation, and the run to compare the others with."""

    metric: str
    runs: Mapping[str, Run]
    reference: Optional[str] = None


def read_study(path: str) -> Study:
    """The study in a config file; each run has the options that all of them share.

    Raises:
        ValueError: Where the file has no metric or no runs.
    """
    cfg = Config.fromfile(path)
    if not cfg.get('metric') or not cfg.get('runs'):
        raise ValueError(f'{path}: a study has metric and runs; got {sorted(cfg)}')
    shared = cfg.get('options', {})
    runs = {
        name: Run(run['config'], shared).changed(run.get('options', {}))
        for name, run in cfg.runs.items()
    }
    return Study(cfg.metric, runs, cfg.get('reference'))


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


def run_config(run: Run, seed: int, split: str) -> Config:
    """The run's whole config; it evaluates once, at the end, on the split that is asked for.

    Raises:
        ValueError: Where the run does not train by epochs.
    """
    cfg = with_mentor_folder(Config.fromfile(run.config))
    # A copy: merging takes `_delete_` out of the options, which the next seed needs as well.
    cfg.merge_from_dict({**copy.deepcopy(dict(run.options)), 'randomness.seed': seed})
    if 'max_epochs' not in cfg.train_cfg:
        raise ValueError(f'{run.config}: train_cfg has no max_epochs; a study trains by epochs')
    cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
    if split == 'test':
        cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    return cfg


def measure(run: Run, seed: int, split: str, metric: str, folder: Path) -> float:
    """Train and evaluate a run unless it is done; its metric.

    Raises:
        ValueError: Where the folder holds a run of other settings, or the evaluator does not report
            the metric.
        RuntimeError: Where the training fails.
    """
    # Beside the folder: the runner writes a copy with its own work dir and launcher into it.
    result, config = folder / 'metrics.json', folder.with_name(f'{folder.name}.py')
    cfg = run_config(run, seed, split)
    if config.is_file() and config.read_text() != cfg.pretty_text:
        raise ValueError(f'{folder} holds a run of other settings: remove it, or give --work-dir')
    if not result.is_file():
        if (folder / f'epoch_{cfg.train_cfg.max_epochs}.pth').is_file():
            shutil.rmtree(folder)  # killed between its last checkpoint and its evaluation
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(cfg.pretty_text)
        _train(config, folder)
        result.write_text(json.dumps(last_evaluation(folder, metric)))
        # A study has many runs and can repeat any of them by its seed: checkpoints are not kept.
        for checkpoint in folder.glob('epoch_*.pth'):
            checkpoint.unlink()
    return float(json.loads(result.read_text())[metric])


def last_evaluation(folder: Path, metric: str) -> dict[str, float]:
    """The last record with the metric in MMEngine's scalars files.

    Raises:
        ValueError: Where the evaluator does not report the metric.
    """
    lines = [
        line
        for path in sorted(folder.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    records = [record for record in map(json.loads, lines) if metric in record]
    if not records:
        raise ValueError(f"the study's metric={metric!r} is not reported in {folder}")
    return records[-1]


def _train(config: Path, folder: Path) -> None:
    log = folder / 'train.log'
    command = ['tools/train.py', str(config), '--work-dir', str(folder), '--resume']
    with log.open('w') as file:
        done = subprocess.run(
            [sys.executable, *command],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', '1')),
        )
    if done.returncode:
        raise RuntimeError(f'training failed, see {log}:\n{log.read_text()[-2000:]}')


def run_study(study: Study, seeds: int, split: str, root: Path) -> dict[str, list[float]]:
    """Each run's metric, seed by seed; prints one line a run.

    Args:
        study: What to run.
        seeds: How many, from 0.
        split: ``val`` or ``test``.
        root: Folder of the runs' work dirs, ``RUN/seed_N``.

    Raises:
        ValueError: See :func:`run_config` and :func:`measure`, or without a seed.
        RuntimeError: Where a training fails.
    """
    if seeds < 1:
        raise ValueError(f'--seeds must be at least 1; got {seeds}')
    results: dict[str, list[float]] = {name: [] for name in study.runs}
    # Seed by seed: an unfinished study compares all methods on the same seeds.
    jobs = [(seed, name) for seed in range(seeds) for name in study.runs]
    for step, (seed, name) in enumerate(jobs, 1):
        print(f'[{step}/{len(jobs)}] {name}, seed {seed}: ', end='', flush=True)
        folder = root / name / f'seed_{seed}'
        results[name].append(measure(study.runs[name], seed, split, study.metric, folder))
        print(f'{study.metric} {results[name][-1]:.4f}', flush=True)
    return results


def summarise(
    results: Mapping[str, Sequence[float]], reference: Optional[str] = None
) -> list[list[str]]:
    """Rows of the table: run, mean, standard deviation, paired difference to the reference.

    Args:
        results: Each run's metric, seed by seed.
        reference: The run that the others are compared with, if it is among them.
    """
    base = None if reference is None else results.get(reference)
    rows = [['run', 'seeds', 'mean', 'sd', f'difference to {reference}', '95 % interval']]
    for name, values in results.items():
        deviation = f'{stdev(values):.4f}' if len(values) > 1 else '-'
        compared = ['-', '-']
        if base is not None and name != reference:
            compared = _paired([a - b for a, b in zip(values, base)])
        rows.append([name, str(len(values)), f'{mean(values):.4f}', deviation, *compared])
    return rows


def _paired(gaps: Sequence[float]) -> list[str]:
    middle = mean(gaps)
    if len(gaps) < 2:
        return [f'{middle:+.4f}', '-']
    half = half_width(gaps)
    return [f'{middle:+.4f}', f'[{middle - half:+.4f}, {middle + half:+.4f}]']


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """Half the confidence interval of a mean, ``t sd / sqrt(n)``, by Student's t.

    Args:
        values: At least two samples.
        confidence: Of the two-sided interval.
    """
    quantile = student_t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile) * stdev(values) / len(values) ** 0.5


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('study', help='study file, e.g. configs/study/synthetic_pose.py')
    parser.add_argument('--seeds', type=int, default=5, help='seeds 0..N-1 (default 5)')
    parser.add_argument(
        '--split', choices=['val', 'test'], default='test', help='choose settings on val only'
    )
    parser.add_argument('--metric', help="another metric of the evaluation than the study's")
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
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the study."""
    args = parse_args(argv)
    root = Path(args.work_dir or f'work_dirs/study/{Path(args.study).stem}') / args.split
    try:
        study = read_study(args.study)
        runs = variants(choose(study.runs, args.only), args.set)
        study = replace(study, runs=runs, metric=args.metric or study.metric)
        table = summarise(run_study(study, args.seeds, args.split, root), study.reference)
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    lines = markdown(table, numeric=True)
    (root / 'table.md').write_text(lines + '\n')
    print(f'\n{study.metric} on the {args.split} split\n{lines}')
