"""Progress bars: what is logged or printed meanwhile stands above them, on lines of its own."""

import io
import logging
import re
import sys

import pytest
from mmengine.logging import MMLogger
from rich.console import Console

from classroomkd_mm.progress import progress_bar

ERASED = '\r\x1b[2K'


class Terminal(io.StringIO):
    """Takes what a terminal is sent."""

    def isatty(self):
        return True


def seen(sent):
    """The lines that a terminal shows in the end: of each what came after it was erased last."""
    lines = [line.rpartition(ERASED)[2] for line in sent.split('\n')]
    return [re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', line).strip('\r ') for line in lines]


def work(console):
    """Two steps, each of which logs a line and prints one."""
    logger = MMLogger.get_current_instance()
    with progress_bar(console=console) as bar:
        for i in bar.track(range(2), description='working'):
            logger.info(f'step {i} logs')
            print(f'step {i} prints')
            bar.refresh()
    logger.info('after')
    print('done')


@pytest.fixture
def logged(monkeypatch):
    """A function that lets log and prints go to a stream."""

    def to(stream):
        monkeypatch.setattr(sys, 'stdout', stream)
        (handler,) = [
            each
            for each in MMLogger.get_current_instance().handlers
            if type(each) is logging.StreamHandler
        ]
        monkeypatch.setattr(handler, 'stream', stream)
        return stream

    return to


def test_what_is_logged_stands_above_the_bar(logged):
    terminal = logged(Terminal())
    work(Console(file=terminal, force_terminal=True, width=100))
    lines = [line for line in seen(terminal.getvalue()) if line]
    told = ['step 0 logs', 'step 0 prints', 'step 1 logs', 'step 1 prints', 'working', 'after']
    assert len(lines) == 7 and lines[-1] == 'done'
    for line, words in zip(lines, told):
        assert words in line and 'logs' not in line.replace(words, '')
        assert ('━' in line) == (words == 'working')  # the bar, and nothing beside it
    assert '2/2' in lines[4]


def test_a_file_gets_the_log_and_the_terminal_the_bar(logged):
    file, terminal = logged(io.StringIO()), Terminal()
    work(Console(file=terminal, force_terminal=True))
    assert file.getvalue().count('logs\n') == file.getvalue().count('prints\n') == 2
    assert '\x1b[2K' not in file.getvalue()
    assert '2/2' in terminal.getvalue() and 'step' not in terminal.getvalue()


def test_a_file_gets_the_last_state_of_a_bar_alone(logged):
    logged(Terminal())
    file = io.StringIO()
    work(Console(file=file))
    (line,) = filter(None, file.getvalue().splitlines())
    assert 'working' in line and '2/2' in line and '\x1b' not in line


def test_the_log_has_its_stream_again_after_an_error(logged):
    terminal = logged(Terminal())
    with pytest.raises(KeyError), progress_bar(console=Console(file=terminal, force_terminal=True)):
        raise KeyError
    handlers = MMLogger.get_current_instance().handlers
    assert [each.stream for each in handlers if type(each) is logging.StreamHandler] == [terminal]
    assert sys.stdout is terminal
