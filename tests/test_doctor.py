"""The doctor says per task what can train; one library of the two is enough."""

import re
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


RUN = """
import runpy
runpy.run_module('classroomkd_mm.doctor', run_name='__main__')
"""


@pytest.fixture
def run_doctor(fresh_python, tmp_path, monkeypatch):
    """The doctor in a Python that finds ``tmp_path``'s packages first, and not the hidden."""
    monkeypatch.chdir(tmp_path)

    def run(*hidden):
        return fresh_python(HIDE.format(libraries=hidden) + RUN, tmp_path, ROOT)

    return run


def test_with_both_libraries_both_tasks_can_train(capsys):
    assert doctor.main() == 0
    output = capsys.readouterr().out
    assert 'can train    pose: yes' in output and 'can train    classification: yes' in output
    assert 'mmpose       1.3' in output and 'not installed (pip' not in output


@pytest.mark.parametrize(
    'missing, missed, works',
    [('mmpose', 'pose', 'classification'), ('mmpretrain', 'classification', 'pose')],
)
def test_one_library_alone_can_train_its_task(run_doctor, missing, missed, works):
    result = run_doctor(missing)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f'can train    {works}: yes\n' in result.stdout
    assert f'can train    {missed}: {missing} is not installed ({HINTS[missed]})\n' in result.stdout
    assert re.search(rf'^{missing} +not installed$', result.stdout, re.M)
    assert 'NO' not in result.stdout
    assert missing != 'mmpose' or 'RTMOHead' not in result.stdout  # of a library that is not there


def test_without_either_it_says_no_and_what_to_install(run_doctor):
    result = run_doctor('mmpose', 'mmpretrain')
    assert result.returncode == 1, result.stdout + result.stderr
    assert all(hint in result.stdout for hint in HINTS.values())
    assert 'can train    NO: it takes mmpose, mmpretrain or both\n' in result.stdout


def test_a_library_that_does_not_import_fails_its_own_task_alone(tmp_path, run_doctor):
    (tmp_path / 'mmpose').mkdir()
    (tmp_path / 'mmpose/__init__.py').write_text('raise AssertionError("MMCV==9 is used")')
    result = run_doctor()
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'can train    pose: NO: AssertionError: MMCV==9 is used\n' in result.stdout
    assert 'can train    classification: yes\n' in result.stdout


def test_it_fails_where_no_installed_library_trains(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError('by zero')

    monkeypatch.setattr(doctor, 'TASKS', dict(pose=('mmpose', broken)))
    assert doctor.main() == 1
    assert 'can train    pose: NO: ZeroDivisionError: by zero' in capsys.readouterr().out
