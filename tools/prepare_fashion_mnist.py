"""Unpack Fashion-MNIST for MMPretrain, and cut a validation split from its training pictures.

Writes OUT/official (the four files, unpacked) and OUT/val (the same, with training pictures
54,000 to 59,999 in place of the test pictures). The configs train on the first 6,000.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

SOURCE = '/usr/share/datasets/fashion-mnist'
PARTS = tuple(
    f'{split}-{kind}-ubyte'
    for split in ('train', 't10k')
    for kind in ('images-idx3', 'labels-idx1')
)
VALIDATION = slice(54000, 60000)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example:\n  sudo apt-get install dataset-fashion-mnist\n'
        '  python tools/prepare_fashion_mnist.py',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        '--source', default=SOURCE, help="folder of the .gz files (default: Debian's package)"
    )
    parser.add_argument('--out', default='data/fashion_mnist', help='default data/fashion_mnist')
    return parser.parse_args(argv)


def header_and_items(content: bytes) -> tuple[bytes, np.ndarray]:
    """An IDX file of bytes: its magic number and shape, and its items one a row."""
    dimensions = content[3]
    size = 4 + 4 * dimensions
    count = int.from_bytes(content[4:8], 'big')
    return content[:size], np.frombuffer(content, np.uint8, offset=size).reshape(count, -1)


def prepare(source: Path, out: Path) -> None:
    """Write both folders.

    Raises:
        SystemExit: Where a file is missing, saying how to get it.
    """
    missing = [part for part in PARTS if not (source / f'{part}.gz').is_file()]
    if missing:
        raise SystemExit(
            f'--source {source} lacks {", ".join(f"{part}.gz" for part in missing)}; get them with '
            '`apt-get install dataset-fashion-mnist`, or download Fashion-MNIST'
        )
    files = {part: gzip.decompress((source / f'{part}.gz').read_bytes()) for part in PARTS}
    for folder in ('official', 'val'):
        (out / folder).mkdir(parents=True, exist_ok=True)
        for part, content in files.items():
            if folder == 'val' and part.startswith('t10k'):
                header, items = header_and_items(files[part.replace('t10k', 'train')])
                items = items[VALIDATION]
                content = header[:4] + len(items).to_bytes(4, 'big') + header[8:] + items.tobytes()
            (out / folder / part).write_bytes(content)
    print(f'Fashion-MNIST is in {out}')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Prepare."""
    args = parse_args(argv)
    prepare(Path(args.source), Path(args.out))


if __name__ == '__main__':
    main()
