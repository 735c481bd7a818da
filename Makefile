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
.PHONY: help install run test programs check soak audit bench try-image lock

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Build .venv from the locked requirements

run: $(VENV)/installed ## Start the service on http://127.0.0.1:8000
	$(BIN)/chainrule serve

test: $(VENV)/installed-test programs ## Run all tests, on SQLite and PostgreSQL; PYTEST="-k name" narrows them down
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(PYTEST)

programs:
	tests/install-programs

check: $(VENV)/installed-test ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --severity-level medium --recursive engine service migrations

soak: $(VENV)/installed-test ## Kill servers under load for an hour, or for SECONDS
	CHAINRULE_TEST_SOAK_SECONDS=$(SECONDS) $(BIN)/python -m pytest tests/faults $(PYTEST)

audit: ## Compare the locked versions with the public advisories (needs uv, and their service on the network)
	$(UV) tool run pip-audit --disable-pip --require-hashes --requirement requirements.txt

bench: $(BENCH)/installed ## Measure against the peers and write docs/performance.md; BENCH_ARGS=--quick is a glance
	$(BENCH)/bin/python -m benchmarks $(BENCH_ARGS)
	$(BENCH)/bin/python -W ignore -m benchmarks.agreement

try-image: ## Build the image without Docker and try it (needs root, debootstrap and buildah)
	$(PYTHON) tests/try_image.py

# The test lock starts from the runtime lock, so that tests run what is deployed.
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command 'make lock' pyproject.toml
lock: ## Lock newer versions of all requirements (needs uv)
	$(LOCK) --upgrade --group build --output-file requirements.txt
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
