# SPDX-License-Identifier: GPL-3.0-or-later
# `make test` from a bare clone needs Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PROGRAMS := $(VENV)/programs
# More arguments for pytest, e.g. `make test PYTEST="tests/mime -x"`.
PYTEST ?=

.PHONY: test lint format types layers unit docs bench bench-large simulate simulate-mutants run pki test-public clean
.NOTPARALLEL:
.DEFAULT_GOAL := test

# $(call step,name,command): says what runs, and by its name what failed.
define step
@echo "== $(1)"
@$(2) || { echo "== $(1): FAILED" >&2; exit 1; }
endef

## test: everything that CI runs
test: lint types layers unit

## lint: ruff's rules and its format
lint: $(INSTALLED)
	$(call step,ruff check,$(BIN)/ruff check)
	$(call step,ruff format,$(BIN)/ruff format --check)

## format: writes what `lint` asks for, where ruff can
format: $(INSTALLED)
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

## types: mypy --strict, with Twisted's interfaces
types: $(INSTALLED)
	$(call step,mypy,$(BIN)/mypy)

## layers: imports point down
layers: $(INSTALLED)
	$(call step,import-linter,$(BIN)/lint-imports)

## unit: the tests, with the coverage of branches
unit: $(INSTALLED) $(PROGRAMS)
	$(call step,pytest,$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST))

## docs: the pages under docs/_build/html; a warning is an error
docs: $(INSTALLED)
	$(call step,sphinx,$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html)
	@echo "docs/_build/html/index.html"

## bench: our figures beside their yardsticks; a missed bound is an error
bench: $(INSTALLED)
	$(call step,benchmarks,$(BIN)/python -m benchmarks)

## bench-large: a shard with a million messages beside an empty one; a minute and 1 GB of disk
bench-large: $(INSTALLED)
	$(call step,a large shard,$(BIN)/python -m benchmarks.large_shard)

## simulate: seeded runs of replicas and clients; `make simulate SEEDS=2000 FROM=1 MIX=default`
SEEDS ?= 100
FROM ?= 1
MIX ?= default
simulate: $(INSTALLED)
	$(call step,simulation,$(BIN)/python -m tests.simulation \
	    --seeds $(SEEDS) --from $(FROM) --mix $(MIX) --jobs 2)

## simulate-mutants: rules broken on purpose, and which seed of up to 1,000 shows each
simulate-mutants: $(INSTALLED)
	$(call step,mutants,$(BIN)/python -m tests.simulation --mutants --seeds 1000 --jobs 2)

## run: two regions on this machine, until Ctrl-C; DEMO_DIR, DEMO_PORT_BASE and DEMO_RESTART count
run: $(INSTALLED)
	@exec $(BIN)/pluto demo run

## pki: certificates for the nodes of ./config.toml; `make pki PKI="--config eu.toml --renew"`
PKI ?=
pki: $(INSTALLED)
	@$(BIN)/pluto pki $(PKI)

## test-public: a certificate for mail programs that vouches for itself, in certs/
test-public: $(INSTALLED)
	@$(BIN)/pluto test-public

## clean: removes all that these commands made
clean:
	rm -rf $(VENV) .tox build dist docs/_build *.egg-info .coverage .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find pluto_tw tests benchmarks docs twisted -name __pycache__ -prune -exec rm -rf {} +

# Made once, and installed again whenever the metadata changes. Debian keeps the module `venv` in
# a package of its own: root gets it, everybody else is told its name.
$(INSTALLED): setup.cfg pyproject.toml
	@echo "== virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	    || { test "$$(id -u)" = 0 && apt-get update -q && apt-get install -qy python3-venv; } \
	    || { echo "Python's venv module is needed: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[test,docs,bench,postgres]'
	@# As pip does for all other packages. Where PYTHONDONTWRITEBYTECODE is set, each process of the
	@# demo and of the tests would compile all of ours again, which is half of its start.
	@$(BIN)/python -m compileall -q pluto_tw
	@touch $@

# What tests use beside Python. Root gets it; everybody else is told, and tests without it are
# skipped and say so. CI sets PLUTO_TW_NOTHING_SKIPPED, and then they fail.
$(PROGRAMS): $(INSTALLED)
	@command -v mbsync >/dev/null \
	    || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	        && apt-get update -q && apt-get install -qy --no-install-recommends isync; } \
	    || echo "mbsync is missing (apt-get install isync): its tests will be skipped" >&2
	@command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 \
	    || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	        && apt-get update -q && apt-get install -qy --no-install-recommends postgresql; } \
	    || echo "PostgreSQL is missing (apt-get install postgresql): its tests will be skipped" >&2
	@touch $@
