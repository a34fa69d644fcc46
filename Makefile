# Fracture Edge: every command a person needs. `make help` lists them.
PORT ?= 5000
BUNDLE ?= models/default
DEVICE ?= auto
XRAYS := $(or $(FRACTURE_DATA),../shared/data/fracatlas)

# The first interpreter that is 3.11, 3.12 or 3.13; `make PYTHON=...` overrides the search.
IN_RANGE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c "$(IN_RANGE)" 2>/dev/null && { echo $$p; break; }; done)

EDGE := .venv-edge/bin/python
DEV := .venv/bin/python
BENCH := .venv-bench/bin/python
AUDIT := .venv-audit/bin/python
# Written last, so that an install that was broken off is never taken for a whole one.
EDGE_READY := .venv-edge/.ready
DEV_READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
AUDIT_READY := .venv-audit/.ready
PIP_INSTALL := -m pip install --disable-pip-version-check --require-hashes

# Without --no-loadscope-reorder the files with the fewest tests, which are the longest, would come last.
PYTEST := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help run test test-installers check lint audit bench lock format screenshot clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(EDGE_READY) ## set up .venv-edge and serve the page at http://localhost:$(PORT)
	$(EDGE) -m edge_app --port $(PORT) --bundle $(BUNDLE) --device $(DEVICE)

test: $(DEV_READY) ## set up .venv and run every test
	$(DEV) $(PYTEST) --durations 20

test-installers: $(DEV_READY) ## build installers, try them in empty systems, at length (root, Debian)
	FRACTURE_INSTALLERS=long $(DEV) -m pytest --durations 30 tests/installer tests/edge_app/installed

check: lint ## format, lint, types and the fast tests
	$(DEV) $(PYTEST) -m "not slow"

lint: $(DEV_READY) ## format, lint and types
	$(DEV) -m ruff format --check .
	$(DEV) -m ruff check .
	$(DEV) -m mypy

audit: $(DEV_READY) $(AUDIT_READY) ## weak places in the code; known weaknesses of every locked package (asks a service)
	$(DEV) -m tools.audit $(AUDIT)

bench: $(BENCH_READY) ## set up .venv-bench, hold the app against its peers, then feed a training (FRACTURE_DATA)
	$(BENCH) -m tools.bench
	@if [ -d "$(XRAYS)" ]; then $(BENCH) -m tools.bench_pipeline; else \
	  echo "The input pipeline was not measured: no X-rays at $(XRAYS); FRACTURE_DATA names them."; fi

format: $(DEV_READY) ## rewrite the code in the house format
	$(DEV) -m ruff format .
	$(DEV) -m ruff check --fix .

lock: $(DEV_READY) ## resolve pyproject.toml into the hashed requirements files; newest versions: python -m tools.lock --upgrade
	$(DEV) -m tools.lock

screenshot: $(DEV_READY) ## show drawn X-rays on the page, save the pictures of the documents
	$(DEV) -m tools.screenshot docs
	$(DEV) -m tools.pacs_pictures docs

clean: ## remove every environment and cache
	rm -rf .venv .venv-edge .venv-bench .venv-audit .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(EDGE_READY): requirements-edge.txt
	$(call environment,.venv-edge,requirements-edge.txt)

$(DEV_READY): requirements-train.txt
	$(call environment,.venv,requirements-train.txt)

$(BENCH_READY): requirements-bench.txt
	$(call environment,.venv-bench,requirements-bench.txt)

$(AUDIT_READY): requirements-audit.txt
	$(call environment,.venv-audit,requirements-audit.txt)

# A lock that is newer but says the same, as after unpacking an update, costs nothing. An environment that
# works is put aside, not deleted, until the new one stands.
define environment
	@if cmp -s $(2) $(1)/.ready; then touch $(1)/.ready; else \
	  $(PYTHON) -c "$(IN_RANGE)" 2>/dev/null || { \
	    echo "Python 3.11, 3.12 or 3.13 is needed. Install one, or name it: make PYTHON=/path/to/python"; exit 1; }; \
	  echo "Setting up $(1) with $$($(PYTHON) --version), from $(2). This is done once and takes a few minutes."; \
	  rm -rf $(1).old; if [ -e $(1)/.ready ]; then mv $(1) $(1).old; else rm -rf $(1); fi; \
	  if $(PYTHON) -m venv $(1) && $(1)/bin/python $(PIP_INSTALL) -r $(2); then cp $(2) $(1)/.ready; rm -rf $(1).old; else \
	    rm -rf $(1); if [ -e $(1).old ]; then mv $(1).old $(1); fi; \
	    echo "Setting up $(1) failed; see above. Where venv is missing on Debian or Ubuntu: apt install python3-venv"; exit 1; fi; \
	fi
endef
