"""The demo around its runs: the table, the plot, and what an interrupted one shows."""

import json
import os
import signal
from pathlib import Path
from threading import Timer

import pytest

from classroomkd_mm.commands import demo


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The demo's six runs, their training and evaluation replaced by the files that they leave."""
    monkeypatch.chdir(tmp_path)
    started = []

    def call(tool, config, *args):
        assert config.startswith('classroomkd_mm::demo/')
        folder = demo.WORK / Path(config).stem
        if tool == 'train':
            started.append(folder.name)
            (folder / 't/vis_data').mkdir(parents=True, exist_ok=True)
            (folder / 'last_checkpoint').write_text('epoch_12.pth')
            (folder / 't/vis_data/scalars.json').write_text(
                '{"loss": 1}\n{"coco/AP": 0.1, "step": 2}\n{"coco/AP": 0.2, "step": 4}\n'
            )
            if folder.name == 'classroom':
                mentors = dict(large=dict(active=0.75), small=dict(active=0.25))
                lines = [json.dumps(dict(epoch=e, mentors=mentors)) for e in (1, 2)]
                (folder / 'classroom.jsonl').write_text('\n'.join(lines))
        else:
            (folder / 'm.json').write_text(json.dumps({name: 0.3 for name in demo.METRICS}))

    monkeypatch.setattr(demo, 'call', call)
    return started


def test_the_table_and_the_plot(runs):
    names = (*demo.MENTORS, *demo.STUDENTS)
    (demo.WORK / 'aver').mkdir(parents=True)
    (demo.WORK / 'aver/last_checkpoint').write_text('epoch_3.pth')  # killed in its fourth epoch
    results = {name: demo.train_and_test(name) for name in names}
    head, *rows = (line.split() for line in demo.table(results).splitlines())
    assert head[:5] == ['run', 'AP', 'AP50', 'AR', 'seconds'] and len(rows) == 6
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name['aver'] == ['0.300'] * 3 + ['resumed', '-']
    assert by_name['alone'] == ['0.300'] * 3 + ['0', '-']
    assert by_name['classroom'][-4:] == ['large', '75%,', 'small', '25%']
    assert demo.val_curve('alone') == [[2, 4], [0.1, 0.2]]
    demo.plot(demo.WORK / 'demo.png')
    assert (demo.WORK / 'demo.png').stat().st_size > 10000
    for name in names:
        demo.train_and_test(name)
    assert runs == list(names)  # finished ones are not repeated


def test_it_ends_with_the_page_about_the_students(monkeypatch, capsys):
    called = []
    monkeypatch.setattr(demo, 'call', lambda *told: called.append(told))
    demo.tell_page()
    students = ('work_dirs/demo/classroom', 'work_dirs/demo/aver', 'work_dirs/demo/alone')
    assert called == [('report', *students, '--out', 'work_dirs/demo/report.html')]
    monkeypatch.setattr(demo, 'missing_libraries', lambda: ['plotly'])
    demo.tell_page()
    assert len(called) == 1 and 'pip install plotly' in capsys.readouterr().out


def test_sigterm_ends_what_the_demo_has_started(monkeypatch):
    """It alone is told of it, for example by `timeout`; Ctrl-C reaches all."""
    monkeypatch.setattr(demo, 'PACKAGE', 'http.server')  # which goes on for ever
    before = signal.getsignal(signal.SIGTERM)
    Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(RuntimeError, match=f'127.0.0.1 ended with status -{signal.SIGTERM:d}'):
        demo.call('0', '--bind', '127.0.0.1')
    assert signal.getsignal(signal.SIGTERM) is before
