"""Write a checkpoint's weights to a clean file (classroomkd_mm.analysis.extract); see --help."""

from classroomkd_mm.analysis.extract import main

if __name__ == '__main__':
    raise SystemExit(main())
