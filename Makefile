# Two commands do everything on a fresh machine: `make run` and `make test`.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BIN := .venv/bin
export DJANGO_SETTINGS_MODULE := config.settings

.PHONY: run test check audit format bench faults cluster picture clean

# daphne's own backlog of 50 makes a thousand connections take 16 seconds instead of one. The ping
# time-out lies below its interval: otherwise a client that stalled once is dropped although it answers.
run: $(BIN)/.installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo --host $(HOST) --port $(PORT)
	@exec $(BIN)/daphne --verbosity 0 --websocket_connect_timeout 15 --ping-interval 20 --ping-timeout 15 \
	  --endpoint tcp:port=$(PORT):interface=$(HOST):backlog=4096 config.asgi:application

# PostgreSQL, Valkey and three servers on PORT and the two after it; all of it goes with Ctrl-C.
cluster: $(BIN)/.installed-tests
	@exec $(BIN)/python -m tests.support.cluster $(HOST) $(PORT)

# The whole suite. Most of its time it waits for servers and pages: three at once take a third of it on two cores.
# Files in their order: by default those with few tests come last, and these are the longest ones.
test: $(BIN)/.installed-tests check
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -m "server or browser" -n 3 --dist loadfile --no-loadscope-reorder

# The quick part: format, lint, types, unit tests.
check: $(BIN)/.installed-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m pytest -m "not server and not browser" -n 2

# Known vulnerabilities in what is installed; says so where their database cannot be reached.
audit: $(BIN)/.installed-tests
	@$(BIN)/python -m tests.support.audit

format: $(BIN)/.installed-tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What capture costs a writer and a layer adds; latency and CPU per delivered message. Printed as Markdown.
bench: $(BIN)/.installed-tests
	$(BIN)/python -m tests.benchmarks.capture
	$(BIN)/python -m tests.benchmarks.layers
	$(BIN)/python -m tests.benchmarks.delivery

# Faults in a random order until the time is over: make faults SEED=7 SECONDS=600 FAULTS=restart_valkey,truncate
SEED ?= 1
SECONDS ?= 300
faults: $(BIN)/.installed-tests
	$(BIN)/python -m tests.faults --seed $(SEED) --seconds $(SECONDS) --faults "$(FAULTS)"

# The README's picture, renewed.
picture: $(BIN)/.installed-tests
	PICTURE=1 $(BIN)/python -m pytest tests/browser/test_pages.py -k sideways

clean:
	rm -rf .venv var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Tidemark needs Python 3.11 or newer; this is " + sys.version.split()[0] \
	  + ". Name another: make run PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

$(BIN)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(BIN)/.installed-tests: tests/requirements.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@ $(BIN)/.installed
