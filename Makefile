# What a contributor runs; `make` alone lists it. Everything is made below .venv: nothing is installed elsewhere.

# The newest Python that really runs (a version manager's shim may not) and can make virtual environments.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.venv/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.venv/collections

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: .venv
.venv: .venv/dev.stamp  ## the virtual environment with everything below (PYTHON=python3.x to choose)

.venv/dev.stamp: requirements.txt
.venv/docs.stamp .venv/bench.stamp: .venv/dev.stamp
.venv/%.stamp: requirements-%.txt constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later with venv is needed (on Debian: python3-venv).' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'Creating .venv with $(PYTHON) …' && $(PYTHON) -m venv .venv; }
	@echo 'Installing $< into .venv; the first time takes a minute or two …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $< --constraint constraints.txt
	@touch $@

.PHONY: collection
collection: .venv  ## install this collection, as it stands, into .venv/collections
	@ansible-galaxy collection install . -p .venv/collections --force >/dev/null

.PHONY: demo
demo: collection  ## the main job, step by step, against the local ECS emulator
	@$(BIN)/python tests/demo

.PHONY: emulator
emulator: collection  ## the local ECS emulator, to try things by hand
	@$(BIN)/python tests/demo --emulator-only

.PHONY: test
test: .venv  ## unit and integration tests (ARGS="-k word" for some)
	pytest -n 2 $(ARGS)

.PHONY: lint
lint: collection  ## ansible-lint, ruff, yamllint, antsibull-docs
	ruff check
	ruff format --check
	yamllint --strict .
	ansible-lint --offline --strict
	antsibull-docs lint-collection-docs . --plugin-docs --validate-collection-refs=self

.PHONY: clean
clean:  ## remove everything that was made here
	rm -rf .venv .ansible build collections tests/output .pytest_cache .ruff_cache .mypy_cache .hypothesis
