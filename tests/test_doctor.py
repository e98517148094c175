"""The doctor says per task what can train; one library of the two is enough."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from classroomkd_mm import doctor

ROOT = Path(__file__).parents[1]
HINTS = {task: f"pip install -e '.[{library}]'" for task, (library, _) in doctor.TASKS.items()}


HIDE = """
from importlib.machinery import PathFinder

def found(name, path=None, target=None, find=PathFinder.find_spec):
    return None if name in {libraries} else find(name, path, target)

def distributions(context, find=PathFinder.find_distributions):
    return [] if context.name in {libraries} else find(context)

PathFinder.find_spec, PathFinder.find_distributions = found, distributions
"""


def run_doctor(folder, *hidden):
    """The doctor in a Python that finds ``folder``'s packages first, and not the hidden."""
    if hidden:  # Python runs a module of this name when it starts
        (folder / 'sitecustomize.py').write_text(HIDE.format(libraries=hidden))
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'classroomkd_mm.doctor'],
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=f'{folder}{os.pathsep}{ROOT}'),
    )


def test_with_both_libraries_both_tasks_can_train(capsys):
    assert doctor.main() == 0
    output = capsys.readouterr().out
    assert 'can train    pose: yes' in output and 'can train    classification: yes' in output
    assert 'mmpose       1.3' in output and 'not installed (pip' not in output


@pytest.mark.parametrize(
    'missing, missed, works',
    [('mmpose', 'pose', 'classification'), ('mmpretrain', 'classification', 'pose')],
)
def test_one_library_alone_can_train_its_task(tmp_path, missing, missed, works):
    result = run_doctor(tmp_path, missing)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f'can train    {works}: yes\n' in result.stdout
    assert f'can train    {missed}: {missing} is not installed ({HINTS[missed]})\n' in result.stdout
    assert re.search(rf'^{missing} +not installed$', result.stdout, re.M)
    assert 'NO' not in result.stdout
    assert missing != 'mmpose' or 'RTMOHead' not in result.stdout  # of a library that is not there


def test_without_either_it_says_no_and_what_to_install(tmp_path):
    result = run_doctor(tmp_path, 'mmpose', 'mmpretrain')
    assert result.returncode == 1, result.stdout + result.stderr
    assert all(hint in result.stdout for hint in HINTS.values())
    assert 'can train    NO: it takes mmpose, mmpretrain or both\n' in result.stdout


def test_a_library_that_does_not_import_fails_its_own_task_alone(tmp_path):
    (tmp_path / 'mmpose').mkdir()
    (tmp_path / 'mmpose/__init__.py').write_text('raise AssertionError("MMCV==9 is used")')
    result = run_doctor(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'can train    pose: NO: AssertionError: MMCV==9 is used\n' in result.stdout
    assert 'can train    classification: yes\n' in result.stdout


def test_it_fails_where_no_installed_library_trains(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError('by zero')

    monkeypatch.setattr(doctor, 'TASKS', dict(pose=('mmpose', broken)))
    assert doctor.main() == 1
    assert 'can train    pose: NO: ZeroDivisionError: by zero' in capsys.readouterr().out
