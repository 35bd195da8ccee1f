# Two commands matter: `make readiness` runs the gate on the example, `make test` passes the tests.
# Both set up everything they need in $(VENV); nothing is installed outside of it.

PYTHON ?= python3
VENV ?= .venv
# Tests wait more than they compute.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
RULES ?= readiness
ARGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help readiness test proof lint types bench docs clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

readiness: $(VENV)/.gate  ## set everything up and run the gate on the example
	$(BIN)/python -m pytest -m "$(RULES)" $(ARGS) prodready.toml

test: $(VENV)/.dev  ## set everything up and run the tests
	$(BIN)/python -m pytest --timeout 300 -n $(WORKERS) --dist worksteal $(ARGS)

proof: $(VENV)/.dev  ## try every specimen and write docs/proof.md (half an hour)
	PRODREADY_PROOF=.prodready/proof $(BIN)/python -m pytest --timeout 300 -n $(WORKERS) --dist worksteal tests/acceptance/test_specimens.py
	$(BIN)/python -m tests.proof .prodready/proof

lint: $(VENV)/.dev  ## check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev  ## check types
	$(BIN)/mypy
	cd examples/jobboard && $(CURDIR)/$(BIN)/mypy

bench: $(VENV)/.dev  ## measure ready times, the fault proxy, the capture of statements, backups and the load generator
	$(BIN)/python bench/bench_environment.py
	$(BIN)/python bench/bench_faultproxy.py
	$(BIN)/python bench/bench_capture.py
	$(BIN)/python bench/bench_backup.py
	$(BIN)/python bench/bench_load.py

docs: $(VENV)/.dev  ## write docs/rules.md from the catalogue, and the README's picture from a run
	$(BIN)/python -m pytest_prodready.reports.rules > docs/rules.md
	$(BIN)/python -m tests.picture

clean:  ## remove what was set up
	rm -rf $(VENV) .prodready .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.gate: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e '.[embedded,containers,load,migrations,example]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.gate
