"""Flags that ``train`` and ``test`` share."""

import argparse
import re
from pathlib import Path
from typing import Optional

from mmengine.config import Config, DictAction

from ..arguments import positive
from ..runs.whole_files import LAST

SCHEME = re.compile(r'[a-z][\w+.-]*:')  # modelzoo://, https://, s3:


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
    parser.add_argument('--interval', type=positive, default=1, help='show every n-th sample')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a picture is shown')


def check_file(path: Optional[str], flag: str) -> None:
    """Refuse a checkpoint that is not there, before anything is built.

    Args:
        path: A file on this machine or a URL; None for none.
        flag: What names it.

    Raises:
        FileNotFoundError: Where it is not there.
        ValueError: For a work dir in its place.
    """
    if path is None or SCHEME.match(path) or Path(path).expanduser().is_file():
        return
    if not Path(path).expanduser().exists():
        raise FileNotFoundError(f'{flag} {path!r} does not exist in {Path.cwd()}')
    if (Path(path).expanduser() / LAST).is_file():  # other folders may be FlexibleRunner's
        raise ValueError(
            f'{flag} {path!r} is a work dir, not a checkpoint: train goes on in it with '
            f'--work-dir {path} --resume; {(Path(path) / LAST).read_text()} is its last one'
        )


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
