"""The table of faults that were made on purpose."""

import json
import sys

import pytest


@pytest.fixture
def mutants(tmp_path):
    """``mutants(**files)``: mutmut's folder with the exit codes of these files' faults."""

    def make(files):
        for name, codes in files.items():
            meta = tmp_path / 'classroomkd_mm' / f'{name}.meta'
            meta.parent.mkdir(parents=True, exist_ok=True)
            faults = {f'fault_{i}': code for i, code in enumerate(codes)}
            meta.write_text(json.dumps(dict(exit_code_by_key=faults)))
        return tmp_path

    return make


def test_shares_are_of_what_was_tried_by_folder_and_single_file(tool, mutants, capsys, monkeypatch):
    """Survived (0), run into by no test (33), not tried (None); all else was noticed."""
    folder = mutants(
        {
            'tasks/pose/task.py': [1] * 9 + [0, None],
            'tasks/pose/truth.py': [1] * 9 + [-24],
            'mentors/view.py': [1] * 8 + [0, 33],
            'record.py': [1, 1],
            'mentors/__init__.py': [None],
        }
    )
    share = tool('mutation_share')
    monkeypatch.setattr(sys, 'argv', ['mutation_share.py', str(folder)])
    assert share.main() == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[2:] == [
        '| mentors/view.py | 10 | 8 | 80.0% |',
        '| record.py | 2 | 2 | 100.0% |',
        '| tasks/pose | 20 | 19 | 95.0% |',
        '| all | 32 | 29 | 90.6% |',
        'less than 90%: mentors/view.py',
    ]
    mutants({'mentors/view.py': [1] * 9 + [0]})
    assert share.main() == 0 and 'less' not in capsys.readouterr().out


def test_where_nothing_was_tried_that_is_no_success(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['mutation_share.py', str(tmp_path)])
    assert tool('mutation_share').main() == 1
