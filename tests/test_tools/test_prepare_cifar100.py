"""CIFAR-100's files become pictures, and are not run."""

import os
import pickle

import mmcv
import numpy as np
import pytest


class Bomb:
    def __reduce__(self):
        return os.system, ('touch bombed',)


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with files of the official form, three pictures each."""
    monkeypatch.chdir(tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 3072), dtype=np.uint8)
    for name in ('train', 'test'):
        content = dict(data=pictures, fine_labels=[7, 0, 99])
        (tmp_path / name).write_bytes(pickle.dumps(content))
    return pictures


def test_pictures_and_lists_are_those_of_the_file(source, tool, tmp_path):
    tool('prepare_cifar100').main(['--source', '.', '--out', 'out'])
    for i, row in enumerate(source):
        picture = mmcv.imread(str(tmp_path / f'out/test/{i:05}.png'), channel_order='rgb')
        for y, x, c in ((0, 0, 0), (3, 30, 1), (31, 5, 2)):
            assert picture[y, x, c] == row[c * 1024 + y * 32 + x]
    lines = (tmp_path / 'out/train.txt').read_text().splitlines()
    assert lines == ['00000.png 7', '00001.png 0', '00002.png 99']
    pictures = (tmp_path / 'out/train_pictures.txt').read_text().split()
    assert pictures == ['00000.png', '00001.png', '00002.png']


def test_a_file_that_would_run_something_is_refused(source, tool, tmp_path):
    (tmp_path / 'train').write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SystemExit, match='no CIFAR-100 file: it would run .*system'):
        tool('prepare_cifar100').main(['--source', '.', '--out', 'out'])
    assert not (tmp_path / 'bombed').exists()
    (tmp_path / 'train').unlink()
    with pytest.raises(SystemExit, match="--source . has no file 'train'"):
        tool('prepare_cifar100').main(['--source', '.', '--out', 'out'])
