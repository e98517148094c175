"""Compare methods over seeds: ``python -m classroomkd_mm study``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['study', *sys.argv[1:]]))
