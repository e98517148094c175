"""Search, describe, check and download mentors (classroomkd_mm.analysis.check); see --help."""

from classroomkd_mm.analysis.check import main

if __name__ == '__main__':
    raise SystemExit(main())
