# Everything a developer or CI runs. On a machine with Python 3.11 or newer, make and git, `make synth` and
# `make test` set up what they need in .venv and .cache; nothing is installed outside of the checkout, except
# that `make test` asks apt for the Debian packages of the runtime tests where it may (tools/debian.py).

PYTHON ?= python3
# Worker processes of pytest: auto is one a core, at most 8, since most tests that are worth running side by
# side start a Node, an nginx or a PostgreSQL of their own.
WORKERS ?= auto
# Further arguments of pytest, as in `make test ARGS="tests/constructs_lib -k node"`.
ARGS ?=
# `make test DEBIAN=no` installs no Debian packages.
DEBIAN ?= yes
# A folder of CRD files for `make imports`; without it they are downloaded from the addresses in cdk8s.yaml.
CRDS ?=
# `make lock UPGRADE=1` takes the newest versions; without it only what pyproject.toml asks for changes.
UPGRADE ?=
UV_VERSION := 0.13.9

VENV := .venv
BIN := $(VENV)/bin
# Only what is locked, only wheels: an sdist would bring build dependencies that no lock covers.
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all:

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env synth test check lint format bench imports docs lock npm-packages helm debian clean

help: ## show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

env: $(VENV)/.project ## create .venv from the lock

synth: env ## write the manifests of every environment to dist/
	$(BIN)/aphiria-deploy synth

check: lint test ## format, lint, types, tests: what CI runs

lint: env ## format, lint, types and import rules, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: env ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: env .venv-checkov/.lock npm-packages helm debian ## run the tests
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadgroup $(ARGS)

bench: env helm node_modules/.lock ## measure, beside the peers
	$(BIN)/python -m bench

imports: env node_modules/.lock ## make imports/ and the rules' schemas from the CRDs (CRDS=folder, or downloaded)
	$(BIN)/python -m tools.imports $(if $(CRDS),--crds "$(CRDS)")
	$(BIN)/python -m tools.schemas $(if $(CRDS),--crds "$(CRDS)")

docs: env ## make what docs/ has of the code: the bundle's schema, the page of the rules
	$(BIN)/python -m tools.bundle_schema
	$(BIN)/python -m tools.rules_page

# Tests of the generators are skipped without npm's packages, so that a machine which PyPI alone can reach runs
# the others.
npm-packages: env
	@$(MAKE) --no-print-directory node_modules/.lock || \
	echo "npm's packages could not be installed: the tests that need them are skipped." >&2

# Its package is for one kind of machine; elsewhere the tests of the charts' values are skipped, or given another
# helm by HELM=FILE.
helm: env
	@$(MAKE) --no-print-directory .cache/helm/.lock || \
	echo "helm could not be installed: the tests that need it are skipped." >&2

# DEBIAN=no: leave the machine's packages alone; tests whose programs are missing are skipped either way.
debian: env
	@$(if $(filter no,$(DEBIAN)),:,$(BIN)/python -m tools.debian)

# The lock is for every platform and for Python 3.11 and newer. Of the machine it knows nothing: uv reads no
# configuration of its own here, writes no address, and takes no packages from a folder.
UV_COMPILE = env -u UV_FIND_LINKS -u UV_CONFIG_FILE .cache/uv/bin/uv pip compile --quiet --no-config \
	--universal --python-version 3.11 --no-build --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: .cache/uv/.version-$(UV_VERSION) ## resolve the dependencies again, Python's and npm's
	$(UV_COMPILE) pyproject.toml --extra deploy --extra cluster --group dev --output-file requirements-dev.lock
	$(UV_COMPILE) --group pyproject.toml:checkov --output-file requirements-checkov.lock
	$(UV_COMPILE) --group pyproject.toml:helm --no-deps --output-file requirements-helm.lock
	$(MAKE) --no-print-directory env
	$(BIN)/python -m tools.node $(if $(UPGRADE),update,install) --package-lock-only

clean: ## remove what was made: environments, caches, dist/
	rm -rf .venv .venv-checkov .cache node_modules dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call new-venv,FOLDER): an empty virtual environment, whatever was there.
define new-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1 || true); Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
$(PYTHON) -m venv --clear $(1)
endef

# Stamps: a second make does nothing, a changed lock makes the environment anew, so that a package that left
# the lock is gone from it too.
$(VENV)/.lock: requirements-dev.lock
	$(call new-venv,$(VENV))
	$(BIN)/python $(INSTALL) -r requirements-dev.lock
	@touch $@

$(VENV)/.project: $(VENV)/.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv-checkov/.lock: requirements-checkov.lock
	$(call new-venv,.venv-checkov)
	.venv-checkov/bin/python $(INSTALL) -r requirements-checkov.lock
	@touch $@

.cache/helm/.lock: requirements-helm.lock tools/helm.py | $(VENV)/.project
	rm -rf .cache/helm
	$(BIN)/python $(INSTALL) --target .cache/helm/packages -r requirements-helm.lock
	$(BIN)/python -m tools.helm .cache/helm/packages .cache/helm/helm
	@touch $@

node_modules/.lock: package-lock.json | $(VENV)/.project
	$(BIN)/python -m tools.node ci --loglevel=error
	@touch $@

.cache/uv/.version-$(UV_VERSION):
	$(call new-venv,.cache/uv)
	.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
