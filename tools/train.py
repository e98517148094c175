"""Train a classroom, or a stock model alone: ``python -m classroomkd_mm train``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['train', *sys.argv[1:]]))
