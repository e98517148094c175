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
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Optional

from mmengine.config import Config

EXAMPLES = """examples:
  python tools/study.py configs/study/synthetic_pose.py --seeds 5     # every run, on the test split
  python tools/study.py STUDY --split val --seeds 1 --only aver \\
      --set model.distill_loss.beta 3 10 30                            # choose a setting, on val"""
# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


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


def parse_value(text: str) -> Any:
    """A number, boolean or None where it reads as one, else the text."""
    try:
        return json.loads({'None': 'null', 'True': 'true', 'False': 'false'}.get(text, text))
    except json.JSONDecodeError:
        return text


def runs_of(study: Config) -> dict[str, dict]:
    """The study's runs, each with the options that all of them share."""
    shared = study.get('options', {})
    return {
        name: dict(run, options={**shared, **run.get('options', {})})
        for name, run in study.runs.items()
    }


def variants(runs: dict[str, dict], grid: Sequence[Sequence[str]]) -> dict[str, dict]:
    """Every run with every combination of the values in ``grid``; a value is part of the name."""
    for key, *values in grid:
        if not values:
            raise SystemExit(f'--set {key} has no value')
        runs = {
            f'{name}__{key.split(".")[-1]}={value}': dict(
                run, options={**run.get('options', {}), key: parse_value(value)}
            )
            for name, run in runs.items()
            for value in values
        }
    return runs


def run_config(run: dict, seed: int, split: str) -> Config:
    """The run's whole config; it evaluates once, at the end, on the split that is asked for."""
    cfg = Config.fromfile(run['config'])
    # A copy: merging takes `_delete_` out of the options, which the next seed needs as well.
    cfg.merge_from_dict({**copy.deepcopy(run.get('options', {})), 'randomness.seed': seed})
    if 'max_epochs' not in cfg.train_cfg:
        raise SystemExit(f'{run["config"]}: train_cfg has no max_epochs; a study trains by epochs')
    cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
    if split == 'test':
        cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    return cfg


def measure(run: dict, seed: int, split: str, metric: str, folder: Path) -> float:
    """Train and evaluate a run unless it is done; its metric.

    Raises:
        SystemExit: Where the folder holds a run of other settings.
    """
    # Beside the folder: the runner writes a copy with its own work dir and launcher into it.
    result, config = folder / 'metrics.json', folder.with_name(f'{folder.name}.py')
    cfg = run_config(run, seed, split)
    if config.is_file() and config.read_text() != cfg.pretty_text:
        raise SystemExit(f'{folder} holds a run of other settings: remove it, or give --work-dir')
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
    return json.loads(result.read_text())[metric]


def last_evaluation(folder: Path, metric: str) -> dict[str, float]:
    """The last record with the metric in MMEngine's scalars files.

    Raises:
        SystemExit: Where the evaluator does not report the metric.
    """
    lines = [
        line
        for path in sorted(folder.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    records = [record for record in map(json.loads, lines) if metric in record]
    if not records:
        raise SystemExit(f"the study's metric={metric!r} is not reported in {folder}")
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
        raise SystemExit(f'training failed, see {log}:\n{log.read_text()[-2000:]}')


def summarise(results: dict[str, list[float]], reference: Optional[str]) -> list[list[str]]:
    """Rows of the table: run, mean, standard deviation, paired difference to the reference.

    Args:
        results: Each run's metric, seed by seed.
        reference: The run that the others are compared with, if it is among them.
    """
    rows = [['run', 'seeds', 'mean', 'sd', f'difference to {reference}', '95 % interval']]
    for name, values in results.items():
        row = [
            name,
            str(len(values)),
            f'{mean(values):.4f}',
            f'{stdev(values):.4f}' if len(values) > 1 else '-',
            '-',
            '-',
        ]
        if reference in results and name != reference:
            row[4:] = _paired([a - b for a, b in zip(values, results[reference])])
        rows.append(row)
    return rows


def _paired(gaps: list[float]) -> list[str]:
    if len(gaps) < 2:
        return [f'{mean(gaps):+.4f}', '-']
    half = T95[min(len(gaps) - 2, len(T95) - 1)] * stdev(gaps) / len(gaps) ** 0.5
    return [f'{mean(gaps):+.4f}', f'[{mean(gaps) - half:+.4f}, {mean(gaps) + half:+.4f}]']


def markdown(rows: list[list[str]]) -> str:
    """A table for a document."""
    rows = [rows[0], ['---', *['---:'] * (len(rows[0]) - 1)], *rows[1:]]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the study."""
    args = parse_args(argv)
    study = Config.fromfile(args.study)
    runs = runs_of(study)
    unknown = set(args.only or ()) - set(runs)
    if unknown:
        raise SystemExit(f'--only: unknown {sorted(unknown)}, choose from {sorted(runs)}')
    runs = variants({n: runs[n] for n in args.only or runs}, args.set)
    root = Path(args.work_dir or f'work_dirs/study/{Path(args.study).stem}') / args.split
    results: dict[str, list[float]] = {name: [] for name in runs}
    # Seed by seed: an unfinished study compares all methods on the same seeds.
    for step, (seed, name) in enumerate(((s, n) for s in range(args.seeds) for n in runs), 1):
        print(f'[{step}/{args.seeds * len(runs)}] {name}, seed {seed}: ', end='', flush=True)
        folder = root / name / f'seed_{seed}'
        value = measure(runs[name], seed, args.split, study.metric, folder)
        print(f'{study.metric} {value:.4f}', flush=True)
        results[name].append(value)
    table = markdown(summarise(results, study.get('reference')))
    (root / 'table.md').write_text(table + '\n')
    print(f'\n{study.metric} on the {args.split} split\n{table}')


if __name__ == '__main__':
    main()
