"""Progress bars that log lines do not run into."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mmengine.logging import MMLogger
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress_bar(*more: ProgressColumn, console: Console | None = None) -> Iterator[Progress]:
    """A progress bar; what is logged or printed on its terminal meanwhile stands above it.

    Where its console is no terminal, nothing but its last state is written.

    Args:
        *more: Columns after words, bar, count and times.
        console: Where it is drawn; standard error if None.
    """
    console = console or Console(stderr=True)
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # What goes to a file or a pipe goes there still.
    progress = Progress(
        *columns,
        *more,
        console=console,
        redirect_stdout=_is_terminal(sys.stdout),
        redirect_stderr=_is_terminal(sys.stderr),
    )
    with _logged_above(console), progress:
        yield progress


@contextmanager
def _logged_above(console: Console) -> Iterator[None]:
    """Let the log's lines on a terminal go through the console; its handlers hold the old stream.

    Of the logger, too, that is there already when the bar begins: one made later would keep
    the bar's stream.
    """
    handlers = [
        handler
        for handler in MMLogger.get_current_instance().handlers
        if isinstance(handler, logging.StreamHandler) and _is_terminal(handler.stream)
    ]
    before = [handler.stream for handler in handlers]
    for handler in handlers if console.is_terminal else ():
        handler.setStream(FileProxy(console, handler.stream))
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before):
            handler.setStream(stream)


def _is_terminal(stream: IO[str] | None) -> bool:
    """Whether a stream is one that is there and open."""
    return stream is not None and not stream.closed and stream.isatty()
