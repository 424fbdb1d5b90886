# Everything a fresh machine needs is made here: `make run` and `make test` set up by themselves.
# Needed: Linux and Python 3.11 or newer. Node is taken from the system where it is new enough, else from a wheel.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A third of a test's time is waiting for servers; tests of a file follow one another, so that they share what they start.
PYTEST_FLAGS ?= -n 4 --dist worksteal
WEB_SOURCES := $(shell find gateway/web \( -name node_modules -o -name build \) -prune -o -type f -print 2>/dev/null)

.PHONY: setup web run test check lint types bench clean

setup: .venv/ready

# Vite asks for Node 20.19, or 22.12, or newer. A machine without it gets node and npm from PyPI, into .venv.
NODE_FITS := node -e 'const [a, b] = process.versions.node.split(".").map(Number); \
	process.exit((a == 20 && b >= 19) || (a == 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null

IN_WEB := if $(NODE_FITS); then :; else export PATH="$(CURDIR)/$(BIN):$$PATH"; fi; cd gateway/web &&

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

web: gateway/static/.built

gateway/static/.built: $(WEB_SOURCES) requirements-web.lock | .venv/ready
	@$(NODE_FITS) || $(PIP) --require-hashes -r requirements-web.lock
	@$(IN_WEB) npm ci --no-audit --no-fund --loglevel=error && npm run build --silent
	touch $@

run: setup web
	$(BIN)/giftwire serve --demo

test: setup web
	@$(IN_WEB) npm test --silent
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

check: lint types

lint: setup web
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(IN_WEB) npm run check --silent

types: setup
	$(BIN)/mypy

# Each measurement starts a server of its own and prints a ratio to a reference of the same run.
bench: setup
	$(BIN)/giftwire bench ledger
	$(BIN)/giftwire bench books
	$(BIN)/giftwire bench fanout
	$(BIN)/giftwire bench hotroom
	$(BIN)/giftwire bench memory
	$(BIN)/giftwire bench reconnect
	$(BIN)/giftwire bench latency
	$(BIN)/giftwire bench overload

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache gateway/static gateway/web/node_modules
