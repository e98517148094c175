"""A checkpoint's weights in a clean file: ``python -m classroomkd_mm extract``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['extract', *sys.argv[1:]]))
