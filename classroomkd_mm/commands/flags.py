"""Flags that ``train`` and ``test`` share."""

import argparse

from mmengine.config import Config, DictAction


def add_common(parser: argparse.ArgumentParser) -> None:
    """Settings, launcher and pictures of predictions."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings, e.g. model.distill_loss.beta=20',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='save pictures of predictions in this folder')
    parser.add_argument('--interval', type=int, default=1, help='show every n-th sample')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a picture is shown')


def apply_pictures(cfg: Config, args: argparse.Namespace) -> None:
    """Switch the library's visualization hook on, as its own tools do.

    Raises:
        ValueError: Where the config has no such hook.
    """
    if not (args.show or args.show_dir):
        return
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            '--show and --show-dir need default_hooks.visualization in the config, e.g. '
            "dict(type='PoseVisualizationHook')"
        )
    cfg.default_hooks.visualization.update(
        enable=True, show=args.show, wait_time=args.wait_time, interval=args.interval
    )
    if args.show_dir:
        cfg.default_hooks.visualization.out_dir = args.show_dir
