"""Compare mentors with their stock inference: ``python -m classroomkd_mm compare``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['compare', *sys.argv[1:]]))
