"""MMEngine's log line of a classroom, kept to what one can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from mmengine.runner import Runner

from ..record import SCOPE

OURS = re.compile(rf'\s*{SCOPE}.*?: (-?[\d.]+\S*|-?inf|nan)(?=\s|$)')
ACTIVE = re.compile(rf'{SCOPE}(.+)/active$')
RATIOS = ('lesson_to_task_after', 'lesson_to_task')  # the first that there is


def short_lines(runner: Runner) -> None:
    """Print the share that each mentor taught, and leave the rest to the files.

    With six mentors the line would have 1,500 characters. The scalars that TensorBoard and
    ``scalars.json`` get are all there.
    """
    processor = runner.log_processor
    if 'get_log_after_iter' not in vars(processor):
        processor.get_log_after_iter = _shortened(processor.get_log_after_iter)


def _shortened(tell: Callable[..., tuple[dict, str]]) -> Callable[..., tuple[dict, str]]:
    @wraps(tell)
    def short(*args: object, **kwargs: object) -> tuple[dict, str]:
        scalars, line = tell(*args, **kwargs)
        return scalars, OURS.sub('', line) + lesson_line(scalars)

    return short


def lesson_line(scalars: Mapping[str, Any]) -> str:
    """What an iteration's scalars say of the lesson, in few words; nothing where there was none."""
    shares = {found[1]: value for key, value in scalars.items() if (found := ACTIVE.search(key))}
    if not shares:
        return ''
    words = ', '.join(f'{name} {share:.0%}' for name, share in shares.items())
    ratio = next((scalars[k] for r in RATIOS for k in scalars if k.endswith(SCOPE + r)), None)
    return f'  taught: {words}' + ('' if ratio is None else f'  lesson/task: {ratio:.2f}')
