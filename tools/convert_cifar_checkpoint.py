"""Convert a literature's CIFAR checkpoint: ``python -m classroomkd_mm convert``; see --help."""

import sys

from classroomkd_mm.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main(['convert', *sys.argv[1:]]))
