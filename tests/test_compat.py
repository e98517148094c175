"""MMPose imports without mmdet and compiled ops, and nothing is touched where they are there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mmpose.registry import MODELS

from classroomkd_mm import compat
from classroomkd_mm.compat import GUARDED, unavailable_heads


@pytest.mark.parametrize('head', [head for head, _, _ in GUARDED.values()])
def test_an_unavailable_head_says_what_to_install(head):
    if head not in unavailable_heads():
        pytest.skip(f'{head} is available here')
    with pytest.raises(ImportError, match=f'{head} is unavailable here, it needs .*install'):
        MODELS.build(dict(type=head))


COMPAT = Path(compat.__file__)


def fresh_python(code, folder):
    """Run code in an interpreter that finds ``folder``'s modules first."""
    environment = dict(os.environ, PYTHONPATH=str(folder))
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        env=environment,
    )


def fake_package(folder, name, content=''):
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / '__init__.py').write_text(content)


def test_where_everything_imports_nothing_is_touched(tmp_path):
    shutil.copy(COMPAT, tmp_path / 'compat_alone.py')
    fake_package(tmp_path, 'mmdet')
    (tmp_path / 'mmdet/utils.py').write_text('')
    code = (
        'import sys; from types import ModuleType\n'
        'sys.modules["mmcv.ops"] = ModuleType("mmcv.ops")\n'
        'import compat_alone as c\n'
        'print(c.unavailable_heads(), any("transformer_heads" in m for m in sys.modules))'
    )
    result = fresh_python(code, tmp_path)
    assert result.stdout.strip() == '{} False', result.stderr


def test_an_mmdet_that_does_not_import_does_not_stop_mmpose(tmp_path):
    fake_package(tmp_path, 'mmdet', 'raise AssertionError("MMCV==2.9 is incompatible")')
    code = (
        'import classroomkd_mm, mmpose.models\n'
        'print(classroomkd_mm.compat.unavailable_heads()["RTMOHead"])'
    )
    result = fresh_python(code, tmp_path)
    assert 'AssertionError: MMCV==2.9 is incompatible' in result.stdout, result.stderr


def test_a_stub_without_a_spec_counts_as_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'stubbed', ModuleType('stubbed'))
    assert not compat.installed('stubbed')


def test_why_missing_tells_what_an_import_died_of(tmp_path, monkeypatch):
    fake_package(tmp_path, 'dies', 'raise AssertionError("another version")')
    monkeypatch.syspath_prepend(tmp_path)
    assert compat.why_missing('dies') == 'AssertionError: another version'
    assert compat.why_missing('not_there').startswith('ModuleNotFoundError')
    assert compat.why_missing('json') is None


def test_an_mmpose_that_does_not_import_does_not_stop_classification(tmp_path):
    fake_package(tmp_path, 'mmpose', 'raise AssertionError("MMCV==9 is used")')
    result = fresh_python('import classroomkd_mm; print("imported")', tmp_path)
    assert result.stdout.strip() == 'imported', result.stderr
