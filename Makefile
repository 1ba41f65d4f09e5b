# What a contributor runs; `make` alone lists it. All that is made stays in folders that git ignores: nothing is installed elsewhere.
# `make test ARGS='-k word'`: ARGS goes to the tool that the target runs.

# The newest Python that really runs (a version manager's shim may not) and can make virtual environments.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(CURDIR)/.venv/bin

export PATH := $(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.venv/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.venv/collections

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[.a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: .venv
.venv: .venv/dev.stamp collections/ansible_collections/alicloud_ops/network  ## the virtual environment (PYTHON=python3.x to choose)

.venv/dev.stamp: requirements.txt
.venv/docs.stamp .venv/bench.stamp: .venv/dev.stamp
.venv/%.stamp: requirements-%.txt constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later with venv is needed (on Debian: python3-venv).' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'Making .venv with $(PYTHON) …' && $(PYTHON) -m venv .venv; }
	@echo 'Installing $< into .venv; the first time takes a minute or two …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement $< --constraint constraints.txt
	@touch $@

# Where pytest-ansible imports the collection from. Left alone, it links what stands here on the first day, and nothing later.
collections/ansible_collections/alicloud_ops/network:
	@mkdir -p $(@D) && ln -s ../../.. $@

.PHONY: collection
collection: .venv  ## install this collection, as it stands, into .venv/collections
	@$(BIN)/ansible-galaxy collection install . -p .venv/collections --force >/dev/null

.PHONY: demo
demo: collection  ## the main job, step by step, against the local ECS emulator
	@$(BIN)/python tests/demo $(ARGS)

.PHONY: emulator
emulator: collection  ## the local ECS emulator, to try things by hand
	@$(BIN)/python tests/demo --emulator-only $(ARGS)

# The Node SDKs, to see them work against the emulator. Where there is no npm, those tests are skipped and say so.
NODE_CLIENTS := @alicloud/ecs20140526@7.11.6 @alicloud/openapi-client@0.4.15 @alicloud/pop-core@1.8.0
.venv/node.stamp: Makefile .venv/dev.stamp
	@if command -v npm >/dev/null; then echo 'Installing the Node SDKs into .venv/node …'; \
		npm install --silent --no-audit --no-fund --cache .venv/npm --prefix .venv/node $(NODE_CLIENTS) >/dev/null \
		|| echo 'The Node SDKs could not be installed; their tests are skipped.'; fi
	@touch $@

# The modules of AWX, to see that the AWX kit can be set up. They are not on PyPI by themselves. Without them, those tests are skipped.
.venv/awx.stamp: Makefile .venv/dev.stamp
	@echo 'Getting awx.awx, which is in the package ansible 11 …'; mkdir -p .venv/awx && cd .venv/awx && \
		if $(BIN)/pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: 'ansible==11.13.0'; then \
		$(BIN)/python -m zipfile -e ansible-11.13.0-py3-none-any.whl all && mkdir -p ansible_collections && rm -rf ansible_collections/awx && \
		mv all/ansible_collections/awx ansible_collections/awx && rm -rf all ansible-11.13.0-py3-none-any.whl; \
		else echo 'awx.awx could not be had; its tests are skipped.'; fi
	@touch $@

.PHONY: test
test: .venv .venv/node.stamp .venv/awx.stamp  ## unit and integration tests
	$(BIN)/pytest -n 2 $(ARGS)

.PHONY: lint
lint: collection  ## ruff, mypy, yamllint, ansible-lint (production profile), antsibull-docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --strict
	$(BIN)/antsibull-docs lint-collection-docs . --plugin-docs --validate-collection-refs=self
	$(BIN)/antsibull-changelog lint

# ansible-test wants a git repository below ansible_collections, and dies on a Python that does not run: it gets a copy of
# what stands here, committed or not, and the one Python of .venv.
SANITY := .venv/sanity/ansible_collections/alicloud_ops/network
.PHONY: sanity
sanity: .venv  ## ansible-test sanity, without exceptions
	@rm -rf $(SANITY) && mkdir -p $(SANITY) && git init --quiet $(SANITY)
	@git ls-files -z --cached --others --exclude-standard | tar -c --null -T - -f - | tar -x -C $(SANITY) -f -
	cd $(SANITY) && $(BIN)/ansible-test sanity --local \
		--python $$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])') $(ARGS)

.PHONY: docs
docs: collection .venv/docs.stamp  ## the documentation as HTML, build/docs/build/html/index.html
	@rm -rf build/docs && mkdir -p build && mkdir -m 755 build/docs
	@$(BIN)/antsibull-docs sphinx-init --use-current --squash-hierarchy --lenient --title alicloud_ops.network \
		--project alicloud_ops.network --copyright 'alicloud_ops maintainers' --dest-dir build/docs alicloud_ops.network >/dev/null
	build/docs/build.sh

.PHONY: build
build: .venv  ## the tarball for Galaxy, in build/
	@rm -f build/*.tar.gz
	@$(BIN)/ansible-galaxy collection build --output-path build
	@if tar -tzf build/*.tar.gz | git check-ignore --no-index --stdin; then echo 'These do not belong in the tarball: build_ignore them.' >&2; exit 1; fi

.PHONY: bench
bench: collection .venv/bench.stamp  ## measure API calls, time and memory, with a plot
	@$(BIN)/python tests/benchmarks $(ARGS)

.PHONY: chaos
chaos: collection  ## runs against an emulator that fails at random
	@$(BIN)/python tests/chaos $(ARGS)

.PHONY: constraints
constraints:  ## resolve requirements*.txt anew, for every supported Python
	@test -x .venv/uv/bin/uv || { $(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv; }
	.venv/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
		--custom-compile-command 'make constraints' requirements*.txt --output-file constraints.txt

.PHONY: clean
clean:  ## remove all that was made here
	rm -rf .venv .ansible build collections tests/output .pytest_cache .ruff_cache .mypy_cache .hypothesis
