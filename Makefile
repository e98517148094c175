# make demo: set up, then the main job on embedded data.  make test: set up, then the tests.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || echo python3)
PIP_FLAGS ?=
JOBS ?= 2
export OMP_NUM_THREADS ?= 1

PINS := requirements.txt setup.py $(wildcard requirements/placeholders/*/setup.py)
# The stamp's name is a hash of the pins: an environment that is up to date is left alone.
STAMP := $(VENV)/.installed-$(shell cat $(PINS) | sha256sum | cut -c1-16)

.PHONY: help install demo test test-quick test-nightly lint clean
help:
	@grep -E '^# make|^[a-z-]+:.*## ' Makefile | sed 's/:.*## /: /'

install: $(STAMP) ## a virtual environment in VENV (default .venv) with the pinned versions
$(STAMP):
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) -r requirements.txt
	$(VENV)/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	$(VENV)/bin/python -m pip check
	$(VENV)/bin/python -m classroomkd_mm.doctor
	rm -f $(VENV)/.installed-*
	touch $@

demo: install ## three mentors, then the student alone, with AVER and with ClassroomKD
	$(VENV)/bin/python tools/demo.py

test: install lint ## all tests, and the examples in docstrings
	$(VENV)/bin/python -m pytest --doctest-modules classroomkd_mm/functional
	$(VENV)/bin/python -m pytest tests -n $(JOBS) --dist worksteal

test-quick: install ## the tests that need a minute: functions, parts, golden numbers, mentors
	$(VENV)/bin/python -m pytest tests/test_functional tests/test_parts tests/test_record.py \
		tests/test_golden.py tests/test_mentors

test-nightly: install ## what takes minutes: more published students, more kills
	CLASSROOMKD_KILLS=20 $(VENV)/bin/python -m pytest tests -m nightly
	CLASSROOMKD_KILLS=20 $(VENV)/bin/python -m pytest tests/test_runs/test_resume.py

lint: install ## ruff, mypy and the package's layers
	$(VENV)/bin/ruff check classroomkd_mm tools tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

clean: ## remove the environment
	rm -rf $(VENV)
