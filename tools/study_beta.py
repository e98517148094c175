"""Show which beta makes the temperature matter: ``python -m classroomkd_mm beta``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['beta', *sys.argv[1:]]))
