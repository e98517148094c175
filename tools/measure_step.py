"""Measure what a classroom's training step costs: ``python -m classroomkd_mm cost``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['cost', *sys.argv[1:]]))
