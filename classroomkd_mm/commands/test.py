"""Evaluate a checkpoint of the student; needs neither the mentors' weights nor their configs."""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.runner import Runner

from ..loading import only_whole
from ..runs import loading_safely, ranks, student_config
from ..runs.options import merge_options
from ..shipped import config_file
from .flags import add_common, apply_pictures, check_file


def make_parser() -> argparse.ArgumentParser:
    """The command line, MMPose's own flags."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm test',
        description=__doc__,
        epilog='example:\n  python -m classroomkd_mm test CONFIG epoch_210.pth --out metrics.json',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help='config file, of a classroom or of a stock model')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='for logs; work_dirs/CONFIG by default')
    parser.add_argument('--out', help='write the metrics to this JSON file')
    parser.add_argument('--dump', help='write the predictions to this pickle file')
    add_common(parser)
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """The student's config with the command line's settings."""
    merge_options(cfg, args.cfg_options, '--cfg-options', args.config)
    work_dir = cfg.get('work_dir')
    cfg = student_config(cfg)  # without a file name: the runner's copy is not written over train's
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg.work_dir = args.work_dir or work_dir or os.path.join('work_dirs', name)
    cfg.launcher, cfg.load_from = args.launcher, args.checkpoint
    apply_pictures(cfg, args)
    return cfg


@master_only
def write(metrics: Mapping[str, Any], path: Path) -> None:
    """Write metrics as JSON; every rank has them, one writes."""
    path.write_text(json.dumps(metrics, indent=2, default=as_plain))


@master_only
def make_folder(path: Path) -> None:
    """Make a file's folder, before the evaluation rather than after it in vain."""
    path.parent.mkdir(parents=True, exist_ok=True)


def as_plain(value: Any) -> Any:
    """A number or nested list of a tensor or array, for JSON."""
    return value.tolist()


def evaluate(cfg: Config, args: argparse.Namespace) -> dict[str, Any]:
    """The metrics; predictions are written where ``--dump`` says."""
    runner = Runner.from_cfg(cfg)
    only_whole(getattr(runner.model, 'module', runner.model), f'checkpoint={args.checkpoint!r}')
    for path in filter(None, (args.out, args.dump)):
        make_folder(Path(path))
    if args.dump:
        from mmengine.evaluator import DumpResults

        # It gathers the ranks' predictions and writes on the first one alone.
        runner.test_loop.evaluator.metrics.append(DumpResults(out_file_path=args.dump))
    return runner.test()


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Evaluate."""
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = merge_args(Config.fromfile(config_file(args.config)), args)
    check_file(args.checkpoint, 'checkpoint')
    with ranks(cfg), loading_safely():
        metrics = evaluate(cfg, args)
        if args.out:
            write(metrics, Path(args.out))
