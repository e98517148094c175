"""Compare methods over seeds (classroomkd_mm.analysis.study); see --help."""

from classroomkd_mm.analysis.study import main

if __name__ == '__main__':
    main()
