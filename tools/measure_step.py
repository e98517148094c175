"""Measure what a classroom's training step costs (classroomkd_mm.analysis.cost); see --help."""

from classroomkd_mm.analysis.cost import main

if __name__ == '__main__':
    raise SystemExit(main())
