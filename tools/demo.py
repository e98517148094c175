"""The main job on embedded data: ``python -m classroomkd_mm demo``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['demo', *sys.argv[1:]]))
