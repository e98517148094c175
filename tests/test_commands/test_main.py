"""The one command line: what it lists, what it says where it fails, and its exit status."""

import re
import subprocess
import sys
import warnings

import pytest
from mmengine.logging import MMLogger

from classroomkd_mm.__main__ import COMMANDS, main
from classroomkd_mm.commands import completion, train
from classroomkd_mm.commands.errors import guarded
from classroomkd_mm.version import __version__

NAMED = 'train test demo mentors remember cost benchmark extract doctor sweep study'.split()


def test_every_command_is_listed_with_what_it_does(capsys):
    assert main([]) == main(['--help']) == 0
    shown = capsys.readouterr().out
    assert set(NAMED) <= set(COMMANDS)
    assert all(re.search(rf'^  {name} +[A-Z].{{15,}}$', shown, re.M) for name in COMMANDS)
    assert main(['--version']) == 0 and capsys.readouterr().out == f'{__version__}\n'


@pytest.mark.parametrize('name', COMMANDS)
def test_its_help_teaches(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, '--help'])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and f'usage: python -m classroomkd_mm {name}' in shown
    assert re.search('example|Exit status|default', shown)


@pytest.mark.parametrize('flags, heard', [([], 1), (['--debug'], 4)])
def test_what_nobody_can_do_anything_about_is_not_told(monkeypatch, flags, heard):
    told = [
        'Fail to import ``MultiScaleDeformableAttention`` from ``mmcv.ops``',
        'The metainfo config file "a/coco.py" does not exist. A matched config file "b" is used',
        '`torch.cuda.amp.autocast(args...)` is deprecated',
        'your data are odd',
    ]
    monkeypatch.setattr(train, 'main', lambda argv: [warnings.warn(each) for each in told] and 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert main(['train', *flags]) == 0
    assert [str(each.message) for each in caught] == told[-heard:]


def test_wrong_usage_is_status_2(capsys):
    assert main(['trian']) == 2
    assert "unknown command 'trian', did you mean train?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(['train'])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    'raised, said',
    [
        (ValueError('alpha must be positive'), 'error: alpha must be positive\n'),
        (KeyError('no such part'), 'error: no such part\n'),
        (KeyError('part'), 'error: KeyError: part\n'),
        (AttributeError('a fault of ours'), 'error: AttributeError: a fault of ours\n'),
    ],
)
def test_an_error_is_one_block_without_a_traceback(raised, said, capsys):
    def fail():
        raise raised

    MMLogger.get_instance('without a file')
    assert guarded(fail) == 1
    assert capsys.readouterr().err == said + '(--debug shows where)\n'
    with pytest.raises(type(raised)):
        guarded(fail, debug=True)


def test_the_log_of_a_run_has_the_traceback(tmp_path, capsys):
    """It may have taken days."""

    def fail():
        MMLogger.get_instance('failing', log_file=str(tmp_path / 'run.log'))
        raise RuntimeError('shapes do not match')

    assert guarded(fail) == 1
    shown = capsys.readouterr().err
    assert f'(--debug and {tmp_path / "run.log"} shows where)' in shown
    log = (tmp_path / 'run.log').read_text()
    assert 'in fail\n' in log and 'RuntimeError: shapes do not match' in log


def test_an_interrupted_command_is_status_130(capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert guarded(interrupt) == 130 and 'interrupted' in capsys.readouterr().err
    assert guarded(lambda: None) == 0 and guarded(lambda: 1) == 1


@pytest.mark.parametrize('debug', [[], ['--debug']])
def test_a_wrong_config_as_users_meet_it(debug, tmp_path, monkeypatch, fresh_python):
    config = ['classroomkd_mm::demo/classroom.py', '--cfg-options', 'model.mentoring.alpha=-1']
    monkeypatch.chdir(tmp_path)
    done = fresh_python(
        f'import runpy, sys; sys.argv[1:] = {["train", *config, *debug]!r}\n'
        "runpy.run_module('classroomkd_mm', run_name='__main__', alter_sys=True)"
    )
    assert done.returncode == 1 and 'alpha' in done.stderr
    assert ('Traceback' in done.stderr) is bool(debug)
    assert ('\nerror: ' in f'\n{done.stderr}') is not debug


def test_completion_knows_commands_flags_and_subcommands(capsys):
    pytest.importorskip('shtab')
    assert main(['completion', 'bash']) == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, '--auto-scale-lr', '--debug', 'download'):
        assert word in script
    subprocess.run(['bash', '-n'], input=script, text=True, check=True)


def test_completion_without_shtab_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    assert main(['completion', 'zsh']) == 1
    assert 'completion needs shtab: pip install shtab' in capsys.readouterr().err


def test_the_whole_parser_reads_what_a_command_reads():
    whole = completion.whole_parser(COMMANDS)
    argv = ['c.py', '--resume', '--cfg-options', 'a.b=1']
    read = vars(train.parse_args(argv))
    assert read.items() <= vars(whole.parse_args(['train', *argv])).items()
