"""MMPose imports without mmdet and compiled ops, and nothing is touched where they are there."""

import subprocess
import sys

import pytest
from mmpose.registry import MODELS

from classroomkd_mm.compat import GUARDED, unavailable_heads


@pytest.mark.parametrize('head', [head for head, _, _ in GUARDED.values()])
def test_an_unavailable_head_says_what_to_install(head):
    if head not in unavailable_heads():
        pytest.skip(f'{head} is available here')
    with pytest.raises(ImportError, match=f'{head} is unavailable here, it needs .*install'):
        MODELS.build(dict(type=head))


def test_where_everything_is_installed_nothing_is_touched():
    code = (
        'import sys, importlib.util as u; find = u.find_spec\n'
        'u.find_spec = lambda n, *a: sys if n in ("mmdet", "mmcv._ext") else find(n, *a)\n'
        'import classroomkd_mm.compat as c\n'
        'c.enable_mmpose()\n'
        'print(any("transformer_heads" in m or "rtmo_head" in m for m in sys.modules))'
    )
    code = code.replace(
        'import classroomkd_mm.compat as c\n',
        (
            'import importlib.machinery, pathlib\n'
            'path = pathlib.Path(find("classroomkd_mm").origin).with_name("compat.py")\n'
            'spec = u.spec_from_file_location("compat", path)\n'
            'c = u.module_from_spec(spec); spec.loader.exec_module(c)\n'
        ),
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.stdout.strip() == 'False', result.stderr


def test_the_doctor_says_that_this_set_up_can_train(capsys):
    from classroomkd_mm.doctor import main

    assert main() == 0
    output = capsys.readouterr().out
    assert 'can train    yes' in output and 'mmpose       1.3' in output


def test_the_doctor_fails_where_training_does(monkeypatch, capsys):
    import classroomkd_mm.doctor as doctor

    monkeypatch.setattr(MODELS, 'build', lambda cfg: 1 / 0)
    assert doctor.main() == 1
    assert 'can train    NO: ZeroDivisionError' in capsys.readouterr().out
