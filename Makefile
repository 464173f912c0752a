# Admit One: `make` lists the targets. From a bare clone nothing is needed but make and Python 3.11 or newer.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Deno holds TypeScript, a formatter and a test runner in one file, and comes from the lock like everything else. It
# asks nothing of the network, and keeps what it has worked out inside the virtual environment.
DENO := DENO_DIR=$(VENV)/deno DENO_NO_UPDATE_CHECK=1 $(BIN)/deno
DENO_CONFIG := --config gateway/pages/deno.json
SCRIPTS := gateway/pages/static
SCRIPT_TESTS := tests/unit/pages
# Options of `admitone up`, e.g. make up UP="--port 9000 --crowd 0".
UP ?=
# Options of pytest, e.g. make pytest PYTEST="tests/unit -k lock".
PYTEST ?=

# How many examples `make test-deep` tries of a property; `make test` tries forty.
EXAMPLES ?= 5000

# The Python to make the virtual environment with; empty: the newest found that will do.
PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: $(VENV)/.runtime ## Start everything and print the page's address (options: UP="--port 9000 --crowd 0")
	@exec $(BIN)/admitone up $(UP)

.PHONY: test
test: ## Check style, types and imports, then run the tests
	@$(MAKE) --no-print-directory --jobs 2 typecheck lint imports tests-read
	@$(MAKE) --no-print-directory pytest

# Once, while mypy has the other core: otherwise each of pytest's processes would compile every test of a fresh clone.
.PHONY: tests-read
tests-read: $(VENV)/.dev ## Read all tests without running any, which compiles them
	@$(BIN)/pytest --collect-only --quiet --quiet > $(VENV)/tests-read.txt || { cat $(VENV)/tests-read.txt; exit 1; }

.PHONY: lint
lint: $(VENV)/.dev ## Check style with ruff, and the pages' scripts with deno
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(DENO) fmt --check $(DENO_CONFIG) $(SCRIPTS) $(SCRIPT_TESTS)

.PHONY: typecheck
typecheck: $(VENV)/.dev ## Check types with mypy --strict, and the pages' scripts with TypeScript
	$(BIN)/mypy
	$(DENO) check --quiet $(DENO_CONFIG) $(SCRIPTS)
	$(DENO) check --quiet $(DENO_CONFIG) $(SCRIPT_TESTS)

.PHONY: texts
texts: $(VENV)/.dev ## Write the fans' texts into the catalogues of all languages, where they wait for a translation
	$(BIN)/python -m gateway.pages.texts

.PHONY: imports
imports: $(VENV)/.dev ## Check that imports run one way
	$(BIN)/lint-imports

.PHONY: pytest
pytest: $(VENV)/.dev ## Run the tests alone (options: PYTEST="tests/unit -k lock")
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(PYTEST)

.PHONY: pictures
pictures: $(VENV)/.dev ## Photograph every page in four languages (artefacts/pages), and make the README's pictures of it
	PICTURES=yes $(BIN)/pytest tests/browser/test_every_page.py
	$(BIN)/python -m tests.browser.pictures

.PHONY: test-faults
test-faults: $(VENV)/.dev ## Run every fault test, the long ones too, and tell what came of it (options: PYTEST="-k redis")
	@FAULT_ROWS=yes $(BIN)/pytest tests/faults -m "long or not long" $(PYTEST); ended=$$?; \
		$(BIN)/python -m tests.faults.table --write && exit $$ended

.PHONY: test-long
test-long: $(VENV)/.dev ## Run the other tests that make test leaves out for their length
	$(BIN)/pytest -m "long and not deep" --ignore tests/faults $(PYTEST)

.PHONY: test-deep
test-deep: $(VENV)/.dev ## Run the property tests with many more examples (options: PYTEST="-k lock" EXAMPLES=1000)
	DEEP_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -m deep --hypothesis-profile=deep --timeout 1800 $(PYTEST)

.PHONY: test-compose
test-compose: $(VENV)/.dev ## Run compose.yaml for real: a sale, kills, scaling, TLS (needs Docker, or root and Debian's docker.io)
	$(BIN)/pytest tests/compose -m compose $(PYTEST)

.PHONY: format
format: $(VENV)/.dev ## Format the code, mend what ruff can mend, and write the scripts' types anew
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python -m tests.unit.pages.contract_types --write
	$(DENO) fmt $(DENO_CONFIG) $(SCRIPTS) $(SCRIPT_TESTS)

.PHONY: hooks
hooks: $(VENV)/.dev ## Install the pre-commit hooks
	$(BIN)/pre-commit install

# One resolution for every Python from 3.11 on and every platform; the second is held to the first. The extras are in
# both: they are small, and where they are, a setting is all it takes.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --no-config --universal --all-extras \
	--python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml

.PHONY: lock
lock: $(VENV)/.dev ## Write both lock files anew from pyproject.toml (options: LOCK=--upgrade)
	$(COMPILE) $(LOCK) --group build --output-file requirements.lock
	$(COMPILE) $(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock

# Behind a mirror the advisory services may be out of reach: then ADVISORIES names a clone of
# github.com/pypa/advisory-database, and the audit says that it is not a whole one.
ADVISORIES ?=

.PHONY: audit-packages
audit-packages: $(VENV)/.dev ## Audit both lock files for known vulnerabilities (options: ADVISORIES=/path/to/clone)
	@$(BIN)/python -m tests.security.packages $(if $(ADVISORIES),--advisories $(ADVISORIES))

.PHONY: venv
venv: $(VENV)/.dev ## Make the virtual environment, development tools included

.PHONY: clean
clean: ## Remove the virtual environment, caches and artefacts; the demo's data in .admitone stays
	rm -rf $(VENV) artefacts dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs in three seconds what takes pip half a minute. It comes from the lock itself, and where it cannot
# be had, or cannot reach an index that only pip's own configuration names, pip does the work.
UV := test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --no-deps
PIP := $(BIN)/python -m pip install --quiet --no-deps
define install
	@echo "Installing what $(1) names ..."
	@$(UV) --require-hashes --requirement $(1) || $(PIP) --require-hashes --requirement $(1)
	@$(UV) --no-build-isolation --editable . || $(PIP) --no-build-isolation --editable .
endef
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Empty: a process that may not keep bytecode compiles all it imports at every start, a second or more.
export PYTHONDONTWRITEBYTECODE :=

$(BIN)/python:
	@for python in $(PYTHONS); do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$($$python --version) ..."; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "Admit One needs Python 3.11 or newer with its venv module, and found none among: $(PYTHONS)." >&2; \
	echo "Install it (Debian: apt-get install python3-venv) or name one: make PYTHON=/path/to/python" >&2; exit 1

$(VENV)/uv.lock: requirements-dev.lock | $(BIN)/python
	@awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' $< > $@
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement $@ \
		|| echo "uv cannot be installed; pip will do, more slowly" >&2

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python $(VENV)/uv.lock
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python $(VENV)/uv.lock
	$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/.runtime

# Performance. Each target prints its table and writes bench/results; the aims stand in the table.
# Options: make bench-stadium BENCH="--fans 2000", make bench BENCH="--minutes 2".
BENCH ?=

.PHONY: bench
bench: $(VENV)/.dev ## Measure every part beside its reference (about half an hour)
	@command -v wrk >/dev/null || echo "wrk is missing (Debian: apt-get install wrk); its cross-checks are left out." >&2
	@command -v nginx >/dev/null || echo "nginx is missing (Debian: apt-get install nginx libnginx-mod-nchan)." >&2
	$(BIN)/python -m bench all $(BENCH)

.PHONY: bench-quick
bench-quick: $(VENV)/.dev ## Measure engine, HTTP and SSE in a smaller form; one JSON line
	@$(BIN)/python -m bench quick

# pretix in a virtual environment of its own: none of it is in our lock files.
DEMO_SHOP := $(VENV)/demo-shop

.PHONY: demo-shop
demo-shop: $(DEMO_SHOP)/.installed ## Show the line before a shop that we did not write: pretix behind nginx, until Ctrl-C
	@exec $(BIN)/python -m bench.pretix

.PHONY: bench-shop
bench-shop: $(DEMO_SHOP)/.installed ## Fans at that shop's doors, without a line and through it (options: BENCH="--fans 300")
	$(BIN)/python -m bench shop $(BENCH)

$(DEMO_SHOP)/.installed: bench/pretix/requirements.lock | $(VENV)/.dev
	@echo "Installing pretix ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DEMO_SHOP)
	@VIRTUAL_ENV=$(CURDIR)/$(DEMO_SHOP) $(BIN)/uv pip install --quiet --no-deps --require-hashes --requirement $<
	@touch $@

.PHONY: lock-demo-shop
lock-demo-shop: $(VENV)/.dev ## Write the lock of the demo shop anew (options: LOCK=--upgrade)
	UV_CUSTOM_COMPILE_COMMAND="make lock-demo-shop" $(BIN)/uv pip compile --quiet --no-config --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url $(LOCK) \
		--output-file bench/pretix/requirements.lock bench/pretix/requirements.in

.PHONY: bench-bots
bench-bots: $(VENV)/.dev ## Set bots among fans: what share of the seats they get, and what fans feel (some minutes)
	$(BIN)/python -m bench bots $(BENCH)

.PHONY: bench-stadium
bench-stadium: $(VENV)/.dev ## Sell 80,000 seats to 40,000 fans over real HTTP and SSE
	$(BIN)/python -m bench stadium $(BENCH)
