"""The command line: ``python -m classroomkd_mm COMMAND``."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Optional

# Each is a module with main(argv), whose docstring's first line says what it does.
COMMANDS = {
    'benchmark': 'benchmark.command',
    'cost': 'analysis.cost',
    'doctor': 'doctor',
    'extract': 'analysis.extract',
    'remember': 'analysis.remember',
    'sweep': 'analysis.sweep',
}
USAGE = 'usage: python -m classroomkd_mm COMMAND [...]; COMMAND --help tells its arguments\n'


def overview() -> str:
    """All commands, a line each."""
    lines = [USAGE]
    for name, module in COMMANDS.items():
        doc = import_module(f'classroomkd_mm.{module}').__doc__ or ''
        lines.append(f'  {name:10} {doc.strip().splitlines()[0]}')
    return '\n'.join(lines)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command; what it returns."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ['--help']
    if name in ('-h', '--help'):
        print(overview())
        return 0
    if name not in COMMANDS:
        print(f'unknown command {name!r}\n\n{overview()}', file=sys.stderr)
        return 2
    return int(import_module(f'classroomkd_mm.{COMMANDS[name]}').main(rest) or 0)


if __name__ == '__main__':
    sys.exit(main())
