"""Write a checkpoint's weights alone to a clean file, which every reader takes without trust.

Prefixes of wrappers, distillers and averages (module., student., _orig_mod., ...) are taken off:
the chain of them that the keys of the network of --config ask for; without it the one that all keys
share; or the one that --prefix names. The output says which, and what was left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..mentors import MentorSettings
from ..mentors.checkpoint import load_matching, read_state_dict
from ..mentors.prefixes import COUNTS, chains, common, fitting, told, unwrapped, without

EXAMPLES = """examples:
  python -m classroomkd_mm extract work_dirs/distilled/epoch_300.pth student.pth
  python -m classroomkd_mm extract distilled.pth teacher.pth --prefix teacher.
  python -m classroomkd_mm extract last.ckpt clean.pth \\
      --config classroomkd_mm::cls/cifar100/plain_resnet56.py"""


def extract(
    src: Path,
    dst: Path,
    config: str | None = None,
    prefix: str | None = None,
    trusted: bool = False,
) -> str:
    """Write the clean file.

    Args:
        src: A checkpoint of any kind that mentors take, safetensors as well.
        dst: The file to write, for torch.load.
        config: Of the network that the weights are for; all its keys and shapes must be there.
        prefix: The chain to take off, instead of the one that is found.
        trusted: Read src with all that pickle allows, running the code that it may carry.

    Returns:
        What was written, in a sentence.

    Raises:
        FileNotFoundError: Where src or config is missing.
        ValueError: Where src holds no weights, or it is not certain which are meant.
    """
    if not src.is_file():
        raise FileNotFoundError(f'src={str(src)!r} does not exist')
    check_new(dst, src)
    weights = read_state_dict(src, 'src', trusted)
    clean, said = _cleaned(weights, f'src={str(src)!r}', config, prefix)
    dst.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=clean, meta={}), dst)
    return f'{len(clean)} tensors written to {dst}' + (f'; {said}' if said else '')


def check_new(dst: Path, src: Path) -> None:
    """Refuse a file to write that is no new one for ``torch.load``.

    Raises:
        ValueError: Where it is the source, a folder, or called as what it will not be.
    """
    if dst.suffix == '.safetensors' or dst.resolve() == src.resolve() or dst.is_dir():
        raise ValueError(f'dst={str(dst)!r} must be a new file for torch.load, say clean.pth')


def _cleaned(
    weights: Mapping[str, Tensor], what: str, config: str | None, prefix: str | None
) -> tuple[Mapping[str, Tensor], str]:
    """The weights that are meant, and what was done to have them."""
    chain = _asked(weights, what, prefix) if prefix else ''
    if config is not None:
        network, _ = MentorSettings('network', config, None).build()
        found, said = fitting(network, without(weights, chain), what)
        load_matching(network, found, what)
        return network.state_dict(), '; '.join(filter(None, (told(chain, weights), said)))
    if prefix is None:
        chain = common(weights, what)
    clean = without(weights, chain)
    for count in COUNTS:
        clean.pop(count, None)
    return unwrapped(clean), told(chain, weights)


def _asked(weights: Mapping[str, Tensor], what: str, prefix: str) -> str:
    """The chain that was asked for.

    Raises:
        ValueError: Where no key has it.
    """
    chain = f'{prefix.rstrip(".")}.'
    if not any(key.startswith(chain) for key in weights):
        known = ', '.join(chains(weights)[1:]) or 'none that is known'
        raise ValueError(f'{what} has no keys with the prefix {chain!r}; it has {known}')
    return chain


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm extract',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('src', metavar='FILE', help='the checkpoint')
    parser.add_argument('dst', metavar='OUT', help='the file to write')
    parser.add_argument('--config', help="the network's config: its keys decide, and must all fit")
    parser.add_argument('--prefix', help="take this one off: 'teacher.' of a distiller's file")
    parser.add_argument(
        '--trusted',
        action='store_true',
        help='read FILE with all that pickle allows, running the code that it may carry; a whole\n'
        'pickled network (torch.save(model)) needs it',
    )
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Write it and say so."""
    args = parse_args(argv)
    try:
        said = extract(Path(args.src), Path(args.dst), args.config, args.prefix, args.trusted)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(str(error).replace('trusted=True', '--trusted')) from error
    print(said)
    return 0
