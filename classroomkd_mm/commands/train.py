"""Train any config: a classroom (a student and its mentors), or a stock model alone."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from ..hooks.stop_hook import train
from ..runs import (
    alone_in,
    explained,
    loading_safely,
    own_file,
    ranks,
    with_classroom_hook,
    with_mentor_folder,
    with_view_sampler,
)
from ..runs.options import merge_options
from ..shipped import config_file
from .flags import add_common, apply_pictures, check_file

EXAMPLES = """examples:
  python -m classroomkd_mm train classroomkd_mm::demo/classroom.py    # one that is shipped
  python -m classroomkd_mm train CONFIG --resume                      # go on after a kill
  python -m classroomkd_mm train CONFIG --cfg-options model.mentoring.alpha=4
  torchrun --nproc_per_node=8 -m classroomkd_mm train CONFIG --launcher pytorch    # 8 GPUs

Mentors' files are looked for in the working directory, beside CONFIG, and among the shipped ones.

Any epoch's checkpoint in the work dir is a plain checkpoint of the student: load it with
student.py beside it, or the stock config, and MMPose's own tools."""


def make_parser() -> argparse.ArgumentParser:
    """The command line, MMPose's own flags."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm train',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help='config file, or classroomkd_mm::PATH of a shipped one')
    parser.add_argument('--work-dir', help='for logs and checkpoints; work_dirs/CONFIG by default')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from a checkpoint, or without a value from the newest if there is one',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision; on a CPU bfloat16')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate the student')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the real total batch size',
    )
    add_common(parser)
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """The config with the command line's settings, the hook that reports, and a sampler of views.

    Raises:
        ValueError: For --auto-scale-lr without a batch size.
    """
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    merge_options(cfg, args.cfg_options, '--cfg-options', args.config)
    apply_pictures(cfg, args)
    if args.amp:
        _use_amp(cfg)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.auto_scale_lr:
        _scale_lr(cfg)
    if args.resume and args.resume != 'auto':
        cfg.update(resume=True, load_from=args.resume)
    elif args.resume and find_latest_checkpoint(cfg.work_dir):
        # Until there is one, load_from holds.
        cfg.update(resume=True, load_from=_of_moved(Path(cfg.work_dir)))
    return with_mentor_folder(with_view_sampler(with_classroom_hook(cfg)))


def _of_moved(folder: Path) -> Optional[str]:
    """The checkpoint to resume from in a work dir that was moved or copied; None in others.

    ``last_checkpoint`` names it by the path that it had.
    """
    named = Path(find_latest_checkpoint(str(folder)))
    own = own_file(folder, named)
    moved = own != named and not (named.is_file() and named.samefile(own))
    return str(own) if moved else None


def _use_amp(cfg: Config) -> None:
    if torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    else:  # MMEngine's refuses
        cfg.optim_wrapper.type = 'classroomkd_mm.CpuAmpOptimWrapper'
        for only_gpu in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(only_gpu, None)


def _scale_lr(cfg: Config) -> None:
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError(
            '--auto-scale-lr needs the total batch size that the learning rate is for: '
            'auto_scale_lr=dict(base_batch_size=...)'
        )
    cfg.auto_scale_lr.enable = True


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train.

    Raises:
        FileNotFoundError: For a checkpoint that is not there.
        ValueError: For settings that do not fit together.
    """
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = merge_args(Config.fromfile(config_file(args.config)), args)
    check_file(cfg.get('load_from'), '--resume' if cfg.get('resume') else 'load_from')
    anew = args.resume == 'auto' and not cfg.get('resume')
    with ranks(cfg), alone_in(cfg), explained(cfg), loading_safely():
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        if anew:
            _say_anew(runner, cfg.work_dir)
        train(runner)


def _say_anew(runner: Runner, work_dir: str) -> None:
    """Say that there is nothing to resume; loudly where earlier runs left nothing."""
    if len(list(Path(work_dir).glob('*/*.log'))) > 1:  # this run has one
        runner.logger.warning(
            f'--resume: the earlier runs in {work_dir} left no checkpoint to resume from, '
            'this one begins anew; default_hooks.checkpoint.interval says how often one is kept'
        )
    else:
        folder = Path(work_dir).absolute()
        runner.logger.info(f'--resume: there is no checkpoint in {folder}: the run begins')
