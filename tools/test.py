"""Evaluate a checkpoint of the student: ``python -m classroomkd_mm test``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['test', *sys.argv[1:]]))
