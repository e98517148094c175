"""Turn a CIFAR checkpoint of the distillation literature into one of MMPretrain's classifier."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from ..analysis.extract import check_new
from ..backbones import NETWORKS, cifar_classifier, literature_to_ours
from ..mentors.checkpoint import load_matching, read_checkpoint, weights_in
from ..mentors.prefixes import fitting

EXAMPLES = """example:
  python -m classroomkd_mm convert resnet56 ckpt_epoch_240.pth mentors/resnet56.pth
then, as a mentor of a CIFAR-100 student:
  dict(name='resnet56', config='classroomkd_mm::cls/cifar100/plain_resnet56.py',
       checkpoint='mentors/resnet56.pth')"""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm convert',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('name', choices=sorted(NETWORKS), metavar='NAME', help='the network')
    parser.add_argument('src', help="the literature's checkpoint")
    parser.add_argument('dst', help='the file to write')
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='read src with all that pickle allows, running the code that it may carry (some of\n'
        "the literature's files are whole networks, or hold an optimiser as well)",
    )
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def literature_weights(path: Path, trusted: bool = False) -> Mapping[str, Tensor]:
    """The weights under 'model', 'state_dict' or 'net', or the file's whole content.

    Raises:
        ValueError: Where there are none.
    """
    weights = weights_in(read_checkpoint(path, 'src', trusted))
    if weights is None:
        raise ValueError(f"src={str(path)!r} holds no weights under 'model', 'state_dict' or 'net'")
    return weights


def build(name: str, classes: int = 100) -> nn.Module:
    """MMPretrain's classifier of a network."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cifar_classifier(name, num_classes=classes))


def convert(name: str, src: Path, dst: Path, trusted: bool = False) -> None:
    """Convert; every key and shape must fit the network.

    Raises:
        ValueError: Where they do not: another network, or one of another width; where dst is no new
            file.
    """
    check_new(dst, src)

    def ours(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        # With a prefix it is none of ours: whose it is, and that it is taken off, is said below.
        wrapped = any(key.startswith('module.') for key in weights)
        return weights if wrapped else literature_to_ours(name, dict(weights))

    what = f'src={str(src)!r}, read as {name},'
    weights, said = fitting(build(name), literature_weights(src, trusted), what, ours)
    classes = weights['head.fc.weight'].shape[0] if 'head.fc.weight' in weights else 100
    model = build(name, classes)
    load_matching(model, weights, what)
    dst.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(network=name)), dst)
    print(f'{name} with {classes} classes written to {dst}' + (f'; {said}' if said else ''))


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    args = parse_args(argv)
    try:
        convert(args.name, Path(args.src), Path(args.dst), args.trusted)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(str(error).replace('trusted=True', '--trusted')) from error
