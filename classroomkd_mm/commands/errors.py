"""What a command that fails says, and the status that it leaves."""

import logging
import sys
from typing import Callable, Optional

from mmengine.logging import MMLogger

FAILED = 1
INTERRUPTED = 130  # as of a program that SIGINT ended
# Raised on purpose, in words for the user; of any other kind the name says something, too.
IN_WORDS = (ValueError, TypeError, KeyError, OSError, ImportError, RuntimeError)


def guarded(command: Callable[[], Optional[int]], debug: bool = False) -> int:
    """Run a command; its exit status, 0 where it returns none.

    Whatever it raises is told in one block on standard error, without the traceback, which goes to
    the log of the run where there is one. That is so on each rank, and each ends with its own
    status.

    Args:
        command: What to run.
        debug: Whether errors are raised as they are.
    """
    try:
        return int(command() or 0)
    except KeyboardInterrupt:
        if debug:
            raise
        print('interrupted', file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # whatever it is, the user reads words first
        if debug:
            raise
        where = ' and '.join(['--debug', *_logged(error)])
        print(f'error: {in_words(error)}\n({where} shows where)', file=sys.stderr)
        return FAILED


def _logged(error: Exception) -> list[str]:
    """The log files of this process's run, which get the traceback: it may have taken days."""
    told = (type(error), error, error.__traceback__)
    record = logging.LogRecord('mmengine', logging.ERROR, __file__, 0, 'the run failed', None, told)
    files = [
        handler
        for handler in MMLogger.get_current_instance().handlers
        if isinstance(handler, logging.FileHandler)
    ]
    for handler in files:
        handler.handle(record)
    return [handler.baseFilename for handler in files]


def in_words(error: Exception) -> str:
    """An error's message, with its type where it is no sentence for the user."""
    # A KeyError's str() is the repr of what it was given.
    first = error.args[0] if isinstance(error, KeyError) and error.args else error
    if isinstance(error, IN_WORDS) and ' ' in str(first):
        return str(first)
    return f'{type(error).__name__}: {first}'
