# `make up` and `make test` install everything that is missing; nothing is installed outside this folder but the engine's cache.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SETUP := $(VENV)/.setup
# Each worker has a sandbox of its own; a module's tests stay on one of them, the longest layer first.
WORKERS := -n logical --maxprocesses 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help up down destroy test proofs check bench lock clean

help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(SETUP)  ## Start the sandbox and run `pulumi up` on the dev stack
	@$(PY) -m sandbox up $(if $(NOCOBASE_PORT),--port $(NOCOBASE_PORT))

down:  ## Stop the sandbox; its data stays
	@if [ -x $(PY) ]; then $(PY) -m sandbox down; else echo "The sandbox was not running."; fi

destroy: $(SETUP)  ## Run `pulumi destroy` on the dev stack
	@$(PY) -m sandbox destroy

test: $(SETUP)  ## Check the code, run all tests but the long ones
	@$(PY) -m sandbox install
	@$(MAKE) --no-print-directory check
	@$(PY) -m pytest $(WORKERS)

proofs: $(SETUP)  ## Run everything that takes long; prints its figures
	@$(PY) -m sandbox install
	@$(PY) -m pytest $(WORKERS) -m proof --timeout 7200
	@$(PY) -m sandbox.bench fleet

check: $(SETUP)  ## Lint and type-check
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

bench: $(SETUP)  ## Measure; prints a table and writes bench.json
	@$(PY) -m sandbox install
	@$(PY) -m sandbox.bench

lock: $(SETUP)  ## Renew the lock files and the Pulumi CLI's checksums
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-lock.txt
	@for name in requirements requirements-dev requirements-setup requirements-lock policy/requirements; do \
	  $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-annotate --no-header $$name.in -o $$name.txt || exit 1; done
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(PY) -m pipelines.pulumi_release

clean:  ## Stop the sandbox; remove what was installed here
	@if [ -x $(PY) ]; then $(PY) -m sandbox down; fi
	@rm -rf $(VENV) .sandbox .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The few packages that draw the progress of installing the rest.
$(SETUP): requirements-setup.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is %s. Try: make PYTHON=python3.12 ..." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Preparing $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.txt
	@touch $(SETUP)
