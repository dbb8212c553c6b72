# make demo    the whole product on a real table: makes .venv, installs, trains, shows what it found
# make test    the tests (with the examples in the docstrings), in parallel
# make test-long  the tests that do not fit into a quarter of an hour with the others, by the compiler as users have it
# make lint    style, types and import layers
# make bench   the benchmarks beside their peers (installs them: TensorFlow, PyTorch); BENCH="small wide" picks some
# make docs    docs/catalogue.md from docs/catalogue.toml
# make site    the documentation site, in build/site; builds offline
# make wheel   the wheel, in dist/

PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
# A file's tests share a process, and with it what they compile.
PYTEST_ARGS ?= -n auto --dist loadfile -m "not long"
BENCH ?=

.PHONY: demo test test-long lint bench docs site wheel clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(VENV)/bin/fallline demo

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

test-long: $(VENV)/.installed-dev
	XLA_FLAGS= $(VENV)/bin/python -m pytest -n auto --dist loadfile -m long

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(BENCH_VENV)/.installed-bench
	$(BENCH_VENV)/bin/python -m benchmarks $(BENCH)

docs: $(VENV)/.installed-dev
	$(VENV)/bin/python -m docs.catalogue

site: $(VENV)/.installed-dev
	$(VENV)/bin/python -m mkdocs build --quiet --strict

wheel: $(VENV)/.installed-dev
	$(VENV)/bin/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) $(BENCH_VENV) build dist

# A stamp says that what pyproject.toml asks for is installed; only a change there installs again.
$(VENV)/bin/python $(BENCH_VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else "fallline needs Python 3.11 or newer; this is %d.%d. Give another one: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(@D)/..

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(BENCH_VENV)/.installed-bench: pyproject.toml | $(BENCH_VENV)/bin/python
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable '.[bench]'
	touch $@
