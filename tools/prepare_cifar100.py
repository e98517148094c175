"""Write CIFAR-100's pictures as files that MMPretrain's CustomDataset reads, or a part of them.

From SOURCE/train and SOURCE/test (the official "python version", or a smaller pair of files of the
same form): OUT/train/00000.png and so on in the order of the file, OUT/train.txt with a line
"00000.png CLASS" for each, and OUT/train_pictures.txt without the classes; likewise for test.
"""

from __future__ import annotations

import argparse
import io
import pickle
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from rich.progress import track

# What an array is made of. Nothing else in such a file is needed, and a pickle can hold anything.
HARMLESS = {
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),
}


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in HARMLESS:
            raise SystemExit(f'this is no CIFAR-100 file: it would run {module}.{name}')
        return super().find_class(module, name)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example:\n  python tools/prepare_cifar100.py --source data/cifar-100-python',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('--source', required=True, help='folder of the files train and test')
    parser.add_argument('--out', default='data/cifar100_few', help='default data/cifar100_few')
    return parser.parse_args(argv)


def prepare(source: Path, out: Path) -> None:
    """Write both splits.

    Raises:
        SystemExit: Where a file is missing, or is something else.
    """
    for split in ('train', 'test'):
        if not (source / split).is_file():
            raise SystemExit(f'--source {source} has no file {split!r} (of cifar-100-python)')
        content = _Arrays(io.BytesIO((source / split).read_bytes()), encoding='latin1').load()
        pictures = np.asarray(content['data'], np.uint8).reshape(-1, 3, 32, 32)
        pictures = pictures.transpose(0, 2, 3, 1)
        for i, picture in enumerate(track(pictures, f'{split}: {len(pictures)} pictures')):
            mmcv.imwrite(picture[..., ::-1], str(out / split / f'{i:05}.png'))
        names = [f'{i:05}.png' for i in range(len(pictures))]
        lines = [f'{name} {label}' for name, label in zip(names, content['fine_labels'])]
        (out / f'{split}.txt').write_text('\n'.join(lines))
        (out / f'{split}_pictures.txt').write_text('\n'.join(names))


def main(argv: Sequence[str] | None = None) -> None:
    """Prepare."""
    args = parse_args(argv)
    prepare(Path(args.source), Path(args.out))


if __name__ == '__main__':
    main()
