# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do everything on a fresh machine; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
VIEWER := build/viewer
PEERS := build/peers
step = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: setup
setup: system .venv/.ready $(VIEWER)/SHA256SUMS ## install all that Radkeep, its viewer and its tests need
	@echo "ready: $(BIN)/radkeep"

.PHONY: system
system:
	$(call step,Debian packages)
	@tools/system-packages

.venv/bin/python:
	$(call step,virtual environment)
	@$(PYTHON) -m venv .venv

.venv/.ready: requirements/dev.txt pyproject.toml | .venv/bin/python
	$(call step,Python packages: about 300 MB)
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VIEWER)/SHA256SUMS: tools/viewer/viewer.lock.json | .venv/.ready
	$(call step,viewer: 62 MB of npm packages with pinned digests)
	@$(BIN)/python tools/viewer/fetch_viewer.py $(VIEWER)

.PHONY: viewer
viewer: $(VIEWER)/SHA256SUMS ## build the OHIF viewer into build/viewer

$(PEERS)/.ready: tools/peers/package-lock.json
	$(call step,peers from npm: 40 MB with pinned digests)
	@mkdir -p $(PEERS) && cp tools/peers/package*.json $(PEERS)
	@cd $(PEERS) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: peers
peers: $(PEERS)/.ready ## install the programs of others that the tests speak to
	@tools/system-packages orthanc orthanc-dicomweb ctn odil || echo "some peers cannot be had here; the tests that need them will say so"

.PHONY: demo
demo: setup ## start a demo with sample studies and print a sign-in link
	@$(BIN)/radkeep demo

.PHONY: format
format: .venv/.ready ## format and mend what can be mended
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

.PHONY: lint
lint: .venv/.ready
	$(call step,format and lint)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/codespell
	@$(BIN)/deptry .

.PHONY: types
types: .venv/.ready
	$(call step,types)
	@$(BIN)/mypy

.PHONY: contracts
contracts: .venv/.ready
	$(call step,floors and strangers)
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

.PHONY: pytest
pytest: setup peers
	$(call step,tests)
	@$(BIN)/pytest -n 2 --dist loadgroup -q

.PHONY: test
test: setup lint types contracts pytest ## all checks, at most 15 minutes

.PHONY: test-all
test-all: test torture ## also what takes longer

.PHONY: torture
torture: setup ## 100,000 aborts; 100 kill -9 under load, each followed by a full verification
	$(call step,torture)
	@$(BIN)/python tests/torture/abort_storm.py --aborts 100000
	@$(BIN)/python tests/torture/kill_under_load.py --rounds 100

.PHONY: fuzz
fuzz: setup ## atheris on all parsers of the wire: 30 minutes or 10 million inputs; FUZZ="--minutes 5"
	$(call step,fuzz)
	@$(BIN)/python -m tests.fuzz.run $(FUZZ)

.PHONY: bench
bench: setup ## C-STORE beside Orthanc and DCMTK, interleaved; writes docs/benchmarks.md
	$(call step,benchmarks)
	@tools/system-packages orthanc
	@$(BIN)/python benchmarks/large.py --output docs/benchmarks.md
	@$(BIN)/python benchmarks/ingest.py --output docs/benchmarks.md

.PHONY: bench-web
bench-web: setup ## DICOMweb beside Orthanc's plugin; writes docs/benchmarks-web.md
	$(call step,benchmarks of DICOMweb)
	@tools/system-packages orthanc orthanc-dicomweb
	@$(BIN)/python benchmarks/web.py --output docs/benchmarks-web.md

.PHONY: docs
docs: .venv/.ready ## write docs/reference.md and docs/conformance.md from the code
	@$(BIN)/python tools/make_reference.py
	@$(BIN)/python tools/make_conformance.py

.PHONY: lock
lock: ## renew the hashed lists of packages (needs uv)
	@for part in run dev; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --exclude-newer P7D $$([ $$part = dev ] && echo --extra dev) pyproject.toml \
	    --output-file requirements/$$part.txt --quiet; done

.PHONY: clean
clean: ## remove what make built
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
