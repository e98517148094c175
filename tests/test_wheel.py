"""The wheel carries what its family's carry, and is enough in an environment with OpenMMLab."""

import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ('classroomkd_mm', 'configs', 'tools', 'docs', 'requirements')
FILES = ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml')
OFFLINE = ['--no-deps', '--no-build-isolation', '--no-index', '--quiet']
EPOCH = 400  # seconds at most, on a machine that does other work, too


def run(*command, cwd, **kwargs):
    kwargs.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    done = subprocess.run([str(each) for each in command], cwd=cwd, **kwargs)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from a copy: setuptools leaves files in the tree that it builds from."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    source.mkdir()
    for name in PARTS:
        subprocess.run(['cp', '-R', ROOT / name, source], check=True)  # links stay links
    for name in FILES:
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, '-m', 'pip', 'wheel', *OFFLINE, '-w', folder, '.', cwd=source)
    (made,) = folder.glob('classroomkd_mm-*.whl')
    return made


def files(folder):
    found = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob('*'))
    return {path for path in found if (ROOT / path).is_file() and '__pycache__' not in path}


def test_the_wheel_holds_the_package_its_configs_tools_and_index(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if 'dist-info' not in name}
        index = archive.read('classroomkd_mm/.mim/model-index.yml').decode()
        metadata = {
            name.split('/')[-1]: archive.read(name).decode()
            for name in archive.namelist()
            if 'dist-info' in name
        }
    beside = {f'classroomkd_mm/.mim/{path}' for path in files('configs') | files('tools')}
    package = {path for path in files('classroomkd_mm') if '.mim/' not in path}
    assert held == package | beside | {'classroomkd_mm/.mim/model-index.yml'}
    assert index == (ROOT / 'model-index.yml').read_text()
    assert 'classroomkd_mm = classroomkd_mm.__main__:main' in metadata['entry_points.txt']
    required = [line for line in metadata['METADATA'].splitlines() if 'Requires-Dist' in line]
    assert any('torch' in line for line in required)
    # pip must never overwrite an OpenMMLab that is there already.
    assert all('extra ==' in line for line in required if 'mm' in line)


def test_mim_finds_the_recipes_by_their_file_names(wheel):
    """As `mim train` looks for a config: any file of that name within the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = Counter(Path(name).name for name in archive.namelist())
    recipes = [path.name for path in (ROOT / 'configs').rglob('*8xb*.py')]
    assert len(recipes) > 50 and [name for name in recipes if names[name] > 1] == []


@pytest.fixture(scope='module')
def python(wheel, tmp_path_factory):
    """A fresh environment that sees this one's packages, but not this project's checkout."""
    folder = tmp_path_factory.mktemp('fresh')
    venv.create(folder, symlinks=True)
    (site,) = folder.glob('lib/python*/site-packages')
    # A .pth adds a folder and reads none of the .pth in it, the editable install's among them.
    (site / 'openmmlab.pth').write_text(sysconfig.get_paths()['purelib'])
    python = folder / 'bin/python'
    pip = [sys.executable, '-m', 'pip', '--python', python]
    run(*pip, 'install', *OFFLINE, '--ignore-installed', wheel, cwd=folder)
    return python


@pytest.fixture
def user(python, tmp_path):
    """``user(*argv)``: the command line of the fresh environment, in an empty directory."""
    (tmp_path / 'empty').mkdir()
    clean = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}

    def start(*argv, call=run, **kwargs):
        command = [python, *argv]
        return call(*command, cwd=tmp_path / 'empty', env=clean, **kwargs)

    return start


def begin(*command, log, **kwargs):
    """A process, the first of a group of its own."""
    with log.open('w') as file:
        kwargs.update(stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        kwargs.update(preexec_fn=heed)
        return subprocess.Popen(list(map(str, command)), **kwargs)


def heed():
    """A shell's background ignores Ctrl-C, and so would all that is started there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(file, process):
    deadline = time.monotonic() + EPOCH
    while not file.is_file() and process.poll() is None:
        assert time.monotonic() < deadline, f'no {file.name} in {EPOCH} s'
        time.sleep(0.5)


@pytest.mark.nightly
@pytest.mark.timeout(2 * EPOCH)
def test_the_scripts_that_mim_starts(user, python, tmp_path):
    """`mim train classroomkd_mm alone.py` and `mim test` start these, with these arguments."""
    make = 'from classroomkd_mm.datasets import make_synthetic_people as make; '
    user('-c', make + "make('data/synthetic_people', dict(train=8, val=4, test=4), 0)")
    (mim,) = python.parents[1].glob('lib/python*/site-packages/classroomkd_mm/.mim')
    config = mim / 'configs/demo/alone.py'
    begun = [config, '--launcher', 'none']
    assert '--launcher' in user(mim / 'tools/train.py', '-h')
    user(mim / 'tools/train.py', *begun, '--cfg-options', 'train_cfg.max_epochs=1')
    checkpoint = tmp_path / 'empty/work_dirs/alone/epoch_1.pth'
    assert 'coco/AP' in user(mim / 'tools/test.py', config, checkpoint, '--launcher', 'none')


@pytest.mark.nightly
@pytest.mark.timeout(2 * EPOCH)
def test_the_demos_first_minutes_from_an_empty_directory(user, python, tmp_path):
    where = user('-c', 'import classroomkd_mm; print(classroomkd_mm.__file__)')
    assert where.startswith(str(python.parents[1]))

    log = tmp_path / 'demo.log'
    demo = user('-m', 'classroomkd_mm', 'demo', call=partial(begin, log=log))
    try:
        wait_for(tmp_path / 'empty/work_dirs/demo/mentor_large/last_checkpoint', demo)
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        status = demo.wait(120)
    told = log.read_text()[-3000:]
    assert status == 130 and 'the same command goes on from here' in told, told
    time.sleep(1)
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.pid, 0)  # nobody of its group is left

    options = [f'model.mentors.{position}.checkpoint=None' for position in range(3)]
    options += ['train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=32']
    trained = user(
        *('-m', 'classroomkd_mm', 'train', 'classroomkd_mm::demo/classroom.py', '--no-validate'),
        *('--cfg-options', *options, 'default_hooks.logger.interval=1'),
    )
    assert '[2/2]' in trained and 'Lessons taught: large' in trained
    assert (tmp_path / 'empty/work_dirs/classroom/student.py').is_file()
