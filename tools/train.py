"""Train any config: a classroom (a student and its mentors), or a stock model alone."""

import argparse
import os
from collections.abc import Sequence
from typing import Optional

import torch
from flags import add_common, apply_pictures
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint

import classroomkd_mm  # noqa: F401  (registers the distiller; lets MMPose import)
from classroomkd_mm.runs import (
    ranks,
    with_classroom_hook,
    with_mentor_folder,
    with_view_sampler,
)

EXAMPLES = """examples:
  python tools/train.py configs/pose/coco/classroom_mobilenetv2_8xb64-210e_coco-256x192.py
  python tools/train.py CONFIG --resume                      # go on after a kill
  python tools/train.py CONFIG --cfg-options model.mentoring.alpha=4
  bash tools/dist_train.sh CONFIG 8                          # 8 GPUs

Any epoch's checkpoint in the work dir is a plain checkpoint of the student: load it with
student.py beside it, or the stock config, and MMPose's own tools."""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line, MMPose's own flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='for logs and checkpoints; work_dirs/CONFIG by default')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from a checkpoint, or without a value from the newest if there is one',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (needs a GPU)')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate the student')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the real total batch size',
    )
    add_common(parser)
    return parser.parse_args(argv)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """The config with the command line's settings, the hook that reports, and a sampler of views.

    Raises:
        SystemExit: For --amp without a GPU, --auto-scale-lr without a batch size.
    """
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
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
        cfg.update(resume=True, load_from=None)  # until there is one, load_from holds
    return with_mentor_folder(with_view_sampler(with_classroom_hook(cfg)))


def _use_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("--amp needs a GPU: MMEngine's AmpOptimWrapper refuses to run on a CPU")
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')


def _scale_lr(cfg: Config) -> None:
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise SystemExit(
            '--auto-scale-lr needs the total batch size that the learning rate is for: '
            'auto_scale_lr=dict(base_batch_size=...)'
        )
    cfg.auto_scale_lr.enable = True


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train."""
    args = parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = merge_args(Config.fromfile(args.config), args)
    with ranks(cfg):
        Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
