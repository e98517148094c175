# make demo: set up, then the main job on embedded data.  make test: set up, then the tests.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || echo python3)
PIP_FLAGS ?=
JOBS ?= 2
export OMP_NUM_THREADS ?= 1

PINS := requirements.txt pyproject.toml $(wildcard requirements/placeholders/*/setup.py)
# The stamp's name is a hash of the pins: an environment that is up to date is left alone.
STAMP := $(VENV)/.installed-$(shell cat $(PINS) | sha256sum | cut -c1-16)

QUICK := tests/test_functional tests/test_parts tests/test_properties.py tests/test_record.py \
	tests/test_golden.py tests/test_mentors
# The oldest versions that are claimed, see requirements/oldest.txt.
OLDEST ?= .venv-oldest
OLDEST_PYTHON ?= python3.9
# The set with numpy 2, see requirements/numpy2.txt.
NUMPY2 ?= .venv-numpy2

.PHONY: help install demo test test-quick test-coverage test-nightly test-mutation test-oldest test-numpy2 lint docs clean
help:
	@grep -E '^# make|^[a-z0-9-]+:.*## ' Makefile | sed 's/:.*## /: /'

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
	$(VENV)/bin/python -m pytest tests -n $(JOBS) --dist worksteal --durations=15

test-quick: install ## the tests that need a minute: functions, parts, golden numbers, mentors
	$(VENV)/bin/python -m pytest $(QUICK)

test-coverage: install ## all tests once more, and which lines and branches they pass: half as long again
	$(VENV)/bin/python -m pytest tests -n $(JOBS) --dist worksteal --cov --cov-report=term:skip-covered

test-nightly: install ## what takes minutes: more published students, more kills
	CLASSROOMKD_KILLS=20 $(VENV)/bin/python -m pytest tests -m nightly
	CLASSROOMKD_KILLS=20 $(VENV)/bin/python -m pytest tests/test_runs/test_resume.py

# The core is judged by its own tests alone: those of the tasks pass through it, and take long.
MUTMUT := $(VENV)/bin/mutmut
test-mutation: install ## hours: thousands of faults made on purpose, 90 % of which must be noticed
	rm -rf mutants
	PYTEST_ADDOPTS='--ignore-glob=*/test_tasks/* --deselect tests/test_mentors/test_own_resolution.py' \
		$(MUTMUT) run --max-children $(JOBS) 'classroomkd_mm.[!t]*'
	rm mutants/mutmut-stats.json
	PYTEST_ADDOPTS='--ignore-glob=*/test_functional/* --ignore-glob=*/test_parts/*' \
		$(MUTMUT) run --max-children $(JOBS) 'classroomkd_mm.tasks.*'
	$(MUTMUT) results
	$(VENV)/bin/python tools/mutation_share.py mutants

test-oldest: ## the quick tests with the oldest versions that are claimed, in OLDEST (.venv-oldest)
	test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install $(PIP_FLAGS) -r requirements/oldest.txt
	$(OLDEST)/bin/python -m pip install $(PIP_FLAGS) --no-deps mmpose==1.3.0
	$(OLDEST)/bin/python -m pytest $(QUICK) tests/test_distiller.py tests/test_consent.py

test-numpy2: ## the quick tests, data sets and evaluations with numpy 2, in NUMPY2 (.venv-numpy2)
	test -x $(NUMPY2)/bin/python || $(PYTHON) -m venv $(NUMPY2)
	$(NUMPY2)/bin/python -m pip install $(PIP_FLAGS) -r requirements/numpy2.txt
	$(NUMPY2)/bin/python -m pip check
	$(NUMPY2)/bin/python -m pytest $(QUICK) tests/test_distiller.py tests/test_datasets tests/test_compat.py \
		tests/test_coco_eval.py tests/test_hooks

lint: install ## ruff, mypy and the package's layers
	$(VENV)/bin/ruff check classroomkd_mm tools tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

docs: install ## the documentation, into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --site-dir build/site

clean: ## remove the environment
	rm -rf $(VENV)
