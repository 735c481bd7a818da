# Each target does the set-up it needs, from nothing but Python 3.11 or newer, and does it once.

PYTHON ?= python3
UV ?= uv
SECONDS ?= 3600
VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)-bench
PIP_INSTALL := python -m pip install --quiet --no-input --disable-pip-version-check
# Which build of PyTorch suits is the machine's affair (see docs/dependencies.md); TORCH= leaves it out.
TORCH ?= torch==2.13.0

.DEFAULT_GOAL := help
.PHONY: help install run test programs check soak audit bench load spread try-image lock

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Build .venv from the locked requirements

run: $(VENV)/installed ## Start the service on http://127.0.0.1:8000
	$(BIN)/chainrule serve

test: $(VENV)/installed-test programs ## Run all tests, on SQLite and PostgreSQL; PYTEST="-k name" narrows them down
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(PYTEST)

# Chromium drives the page, Graphviz draws.
programs:
	tests/install-programs chromium:chromium dot:graphviz

check: $(VENV)/installed-test ## Check style and types, and the locked versions where the public advisories can be read
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --severity-level medium --recursive engine service migrations
	@rm -f $(ADVISORIES)
	@$(AUDIT) --format json --output $(ADVISORIES) >$(VENV)/audit.log 2>&1 || [ ! -s $(ADVISORIES) ] || $(MAKE) audit
	@[ -s $(ADVISORIES) ] || echo "make check: NOT compared with the public advisories: $$(tail -n 1 $(VENV)/audit.log)" >&2

soak: $(VENV)/installed-test ## Kill servers under load for an hour, or for SECONDS; try random graphs nobody tried
	CHAINRULE_TEST_SOAK_SECONDS=$(SECONDS) $(BIN)/python -m pytest tests/faults tests/engine $(PYTEST)

# Strict, or what could not be looked up would pass for clean.
AUDIT := $(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements-test.txt --progress-spinner off
ADVISORIES := $(VENV)/advisories.json

audit: $(VENV)/installed-test ## Compare the locked versions with the public advisories, which https://pypi.org has
	@$(AUDIT) || { echo "make audit: a table above names what has advisories: renew it with make lock. Without one, the \
	advisories could not be read: run this where https://pypi.org can be reached." >&2; exit 1; }

bench: $(BENCH)/installed ## Measure against the peers and write docs/performance.md; BENCH_ARGS=--quick is a glance
	$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)
	$(BENCH)/bin/python -W ignore -m benchmarks.agreement

load: $(VENV)/installed-test ## Measure servers under load, memory for an hour or for SECONDS, for docs/performance.md
	tests/install-programs wrk:wrk
	$(BIN)/python -m benchmarks.load --soak $(SECONDS) $(LOAD_ARGS)
	$(MAKE) spread

spread: $(VENV)/installed-test ## Measure large runs on one Dask worker and on two, for docs/performance.md
	$(BIN)/python -m benchmarks.distributed $(SPREAD_ARGS)

try-image: ## Build the image without Docker and try it (needs root, debootstrap and buildah)
	$(PYTHON) tests/try_image.py

# The test lock starts from the runtime lock, so that tests run what is deployed.
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' pyproject.toml
lock: ## Lock newer versions of all requirements (needs uv)
	$(LOCK) --upgrade --extra distributed --group build --output-file requirements.txt
	$(LOCK) --upgrade --extra tracing --extra distributed --group build --group test --constraint requirements.txt --output-file requirements-test.txt
	$(LOCK) --upgrade --group bench --constraint requirements.txt --output-file requirements-bench.txt

# $(call new-venv,FOLDER)
define new-venv
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: \
	name one, as in make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(1)
endef

$(BIN)/python:
	$(call new-venv,$(VENV))

# Without build isolation nothing is downloaded that the lock does not name.
INSTALL_PROJECT := $(BIN)/$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
# Here, once, rather than silently at the first start and in every test process.
COMPILE := $(BIN)/python -c "import engine.derivatives"

$(VENV)/installed: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/$(PIP_INSTALL) --require-hashes --requirement requirements.txt
	$(INSTALL_PROJECT)
	$(COMPILE)
	touch $@

$(VENV)/installed-test: requirements-test.txt pyproject.toml | $(BIN)/python
	$(BIN)/$(PIP_INSTALL) --require-hashes --requirement requirements-test.txt
	$(INSTALL_PROJECT)
	$(COMPILE)
	touch $(VENV)/installed $@

$(BENCH)/installed: requirements-bench.txt
	$(call new-venv,$(BENCH))
	$(BENCH)/bin/$(PIP_INSTALL) --require-hashes --requirement requirements-bench.txt
	$(if $(TORCH),$(BENCH)/bin/$(PIP_INSTALL) --no-deps $(TORCH))
	touch $@
