"""Show which beta makes the temperature matter (classroomkd_mm.analysis.beta); see --help."""

from classroomkd_mm.analysis.beta import main

if __name__ == '__main__':
    raise SystemExit(main())
