"""Compare mentors with their own stock inference (classroomkd_mm.analysis.compare); see --help."""

from classroomkd_mm.analysis.compare import main

if __name__ == '__main__':
    raise SystemExit(main())
