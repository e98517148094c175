"""Search, check and download mentors: ``python -m classroomkd_mm mentors``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['mentors', *sys.argv[1:]]))
