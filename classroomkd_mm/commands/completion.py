"""Print a shell's completion of this command line, to source or to install.

It completes the command ``classroomkd_mm``, which is ``python -m classroomkd_mm``.
"""

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Optional

import classroomkd_mm

SHELLS = ('bash', 'zsh', 'tcsh')
EXAMPLES = """examples:
  eval "$(python -m classroomkd_mm completion bash)"          # for this shell
  python -m classroomkd_mm completion bash >> ~/.bash_completion   # for each
  python -m classroomkd_mm completion zsh > DIRECTORY_IN_FPATH/_classroomkd_mm"""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm completion',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('shell', choices=SHELLS)
    return parser


def whole_parser(commands: Mapping[str, str]) -> argparse.ArgumentParser:
    """All commands as one parser, as completion reads it.

    Args:
        commands: Names, and their modules within the package, each with ``make_parser``.
    """
    parser = argparse.ArgumentParser('classroomkd_mm')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    parser.add_argument('--version', action='version', version=classroomkd_mm.__version__)
    kinds = parser.add_subparsers()
    for name, module in commands.items():
        own = import_module(f'classroomkd_mm.{module}').make_parser()
        said = (own.description or '').strip().splitlines()[0]
        kinds.add_parser(name, help=said, description=said, parents=[own], add_help=False)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print it.

    Raises:
        ImportError: Where shtab, which writes it, is not installed.
    """
    args = make_parser().parse_args(argv)
    try:
        import shtab
    except ImportError as error:
        raise ImportError('completion needs shtab: pip install shtab') from error
    from ..__main__ import COMMANDS

    print(shtab.complete(whole_parser(COMMANDS), args.shell))
    return 0
