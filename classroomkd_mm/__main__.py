"""The command line: ``python -m classroomkd_mm COMMAND``, or ``classroomkd_mm COMMAND``."""

import difflib
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Optional

from .commands.errors import guarded
from .version import __version__

# Each is a module with main(argv) and make_parser(), whose docstring's first line says what it
# does. In the order in which one meets them.
COMMANDS = {
    'doctor': 'doctor',
    'demo': 'commands.demo',
    'train': 'commands.train',
    'test': 'commands.test',
    'mentors': 'analysis.check',
    'compare': 'analysis.compare',
    'remember': 'analysis.remember',
    'cost': 'analysis.cost',
    'report': 'report.command',
    'beta': 'analysis.beta',
    'study': 'analysis.study',
    'benchmark': 'benchmark.command',
    'export': 'export.command',
    'extract': 'analysis.extract',
    'convert': 'commands.convert',
    'sweep': 'analysis.sweep',
    'completion': 'commands.completion',
}
USAGE = """usage: python -m classroomkd_mm [--debug] COMMAND [...]

COMMAND --help tells its arguments, with examples.
"""
NOTES = """
A config is a path, or LIBRARY::PATH of an installed one: classroomkd_mm::demo/classroom.py.
Errors are told in words; --debug, anywhere, shows the traceback. --version says which one this is.
Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
USAGE_ERROR = 2  # argparse's
# Warnings of libraries about which a user can do nothing: the beginnings of their texts.
NOISE = (
    'Fail to import ``MultiScaleDeformableAttention``',
    'The metainfo config file "[^"]*" does not exist. A matched config file',
    '`torch.cuda.amp.',
)


def overview() -> str:
    """All commands, a line each."""
    lines = [USAGE]
    for name, module in COMMANDS.items():
        doc = import_module(f'classroomkd_mm.{module}').__doc__ or ''
        lines.append(f'  {name:10} {doc.strip().splitlines()[0]}')
    return '\n'.join([*lines, NOTES])


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command; its exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    name, *rest = [each for each in given if each != '--debug'] or ['--help']
    if name in ('-h', '--help'):
        print(overview())
        return 0
    if name == '--version':
        print(__version__)
        return 0
    if name not in COMMANDS:
        return _unknown(name)
    module = f'classroomkd_mm.{COMMANDS[name]}'
    for text in () if '--debug' in given else NOISE:
        warnings.filterwarnings('ignore', text)
    return guarded(lambda: import_module(module).main(rest), '--debug' in given)


def _unknown(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f', did you mean {near[0]}?' if near else ''
    print(f'unknown command {name!r}{hint}\n\n{overview()}', file=sys.stderr)
    return USAGE_ERROR


if __name__ == '__main__':
    sys.exit(main())
