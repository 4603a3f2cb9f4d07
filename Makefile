# Two commands are enough on a fresh machine: `make run` and `make test`.

HOST ?= 127.0.0.1
PORT ?= 8000
export DJANGO_SETTINGS_MODULE := config.settings

# An interpreter that is named gets a virtual environment of its own: make check PYTHON=python3.13
ifdef PYTHON
BIN := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')/bin
else
PYTHON := python3
BIN := .venv/bin
endif

.PHONY: run cluster test matrix check unit-tests lint lint-javascript bundle messages npm audit lock sbom versions browsers docs format bench bench-report faults chaos mutants steady picture clean

# The default backlog of daphne, 50, makes a thousand connections take 16 seconds instead of one. The ping
# time-out is below the ping interval: otherwise a client that stalled once is dropped although it answers.
run: $(BIN)/.installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo --host $(HOST) --port $(PORT)
	@exec $(BIN)/daphne --verbosity 0 --websocket_connect_timeout 15 --ping-interval 20 --ping-timeout 15 \
	  --endpoint tcp:port=$(PORT):interface=$(HOST):backlog=4096 config.asgi:application

# PostgreSQL, Valkey, and three servers on PORT and the two ports after it. Ctrl-C stops and removes all of it.
cluster: $(BIN)/.installed-tests
	@exec $(BIN)/python -m tests.support.cluster $(HOST) $(PORT)

# Where Python keeps no compiled files, each process of a test run would compile all tests and modules again.
test check matrix: export PYTHONDONTWRITEBYTECODE :=

# The tests of real servers and pages mostly wait: four at once keep two cores busy. Files run in the order of
# tests/support/shares.py; the default order starts files with few tests last, and those take longest.
BY_FILE := -n 4 --dist loadfile --no-loadscope-reorder

# The suite without its matrix, with it (make test WHOLE=1), or all tests of one folder or file: make test T=tests/delivery
ifdef T
test: $(BIN)/.installed-tests
	$(BIN)/python -m pytest $(T)
else
test: $(BIN)/.installed-tests check
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -m "$(if $(WHOLE),integration or server or browser or matrix,(integration or server or browser) and not matrix)" $(BY_FILE)
endif

# What `make test` leaves out: scenarios on further combinations of their parameters, or for longer.
matrix: $(BIN)/.installed-tests
	$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -m matrix $(BY_FILE)

# Format, lint, types, migrations, and the unit tests. Both at once: most of the lint is one thread. Each worker costs
# eight seconds of a core before its first test, so there are no more than keep two cores busy.
check: $(BIN)/.installed-tests
	@$(MAKE) --no-print-directory --jobs=2 lint unit-tests

unit-tests: $(BIN)/.installed-tests
	$(BIN)/python -m pytest -m "not integration and not server and not browser and not matrix" -n 2

lint: $(BIN)/.installed-tests lint-javascript
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

# Format, lint and types of the page client; its tools need node.
JAVASCRIPT := .venv/javascript
ASYNCAPI := .venv/asyncapi
TYPEDOC := .venv/typedoc
lint-javascript:
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(JAVASCRIPT)/.installed $(ASYNCAPI)/.installed \
	  && $(JAVASCRIPT)/node_modules/.bin/biome check . && $(JAVASCRIPT)/node_modules/.bin/tsc --project tests/javascript/jsconfig.json; \
	  else echo "JavaScript NOT CHECKED: no node and npm. Install them to check its format, lint and types."; fi

# The page client and the demo's style, each in one minified file; after every change of what they are made of.
bundle: $(BIN)/python $(JAVASCRIPT)/.installed
	$(BIN)/python -m tests.support.bundle

# The catalogues of translated texts, after every change of a text for users; it names what is not translated.
messages: $(BIN)/.installed-tests
	$(BIN)/python -m tests.support.messages

# The page client as a package for npm, in var/npm; `npm publish var/npm` publishes it.
npm: $(BIN)/python $(JAVASCRIPT)/.installed
	$(BIN)/python -m tests.support.npm_package var/npm

$(JAVASCRIPT)/.installed: tests/javascript/package.json
$(ASYNCAPI)/.installed: tests/javascript/asyncapi/package.json
$(TYPEDOC)/.installed: docs/javascript/package.json
$(JAVASCRIPT)/.installed $(ASYNCAPI)/.installed $(TYPEDOC)/.installed:
	@mkdir -p $(@D) && cp $< $(@D)
	npm install --prefix $(@D) --silent --no-package-lock --no-audit --no-fund
	@touch $@

# Known vulnerabilities of the installed packages; reports it if the database of vulnerabilities is unreachable.
audit: $(BIN)/.installed-tests
	@$(BIN)/python -m tests.support.audit

# The exact versions that the ranges of requirements*.txt give today, with hashes; docs/deploy.md installs them.
lock: $(BIN)/.installed-tests
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" requirements-uvicorn.txt --output-file requirements.lock

# What a release consists of, for scanners: a CycloneDX document of the locked packages.
sbom: $(BIN)/.installed-tests
	$(BIN)/cyclonedx-py requirements --output-reproducible --validate --output-file sbom.json requirements.lock

# The guards on the lowest and the highest versions of daphne, Twisted, autobahn and uvicorn; needs a package registry.
versions: $(BIN)/.installed-tests
	HOSTILE=1 $(BIN)/python -m pytest tests/servers/test_versions.py -rs

# The page client's story in Chromium, Firefox and WebKitGTK, whichever are installed; it names those that are not.
browsers: $(BIN)/.installed-browsers
	@run=$$(command -v xvfb-run > /dev/null && echo "xvfb-run --auto-servernum"); \
	  BROWSERS=1 $$run $(BIN)/python -m pytest tests/browser/engines

# The documents as a site, in var/docs; each link inside of it is checked. LINKS=1 asks the addresses elsewhere, too.
docs: $(BIN)/.installed-docs
	@rm -rf var/javascript
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(TYPEDOC)/.installed \
		&& $(TYPEDOC)/node_modules/.bin/typedoc --options docs/javascript/typedoc.json --logLevel Warn; \
		else echo "npm is not installed: the reference has no pages from JavaScript"; fi
	$(BIN)/python -m sphinx -q -W --keep-going -b html -c docs . var/docs
	$(if $(LINKS),$(BIN)/python -m sphinx -q -W --keep-going -b linkcheck -c docs . var/docs-links)
	@echo "var/docs/docs/index.html"

format: $(BIN)/.installed-tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@if test -e $(JAVASCRIPT)/.installed; then $(JAVASCRIPT)/node_modules/.bin/biome check --write .; fi

# The benchmark, in parts of less than five minutes: make bench PART=delivery, or PART=all; without PART it lists them. RESUME=1
# leaves out what this commit has measured. make bench-report writes what was measured into docs/performance.md and docs/scaling.md.
bench: $(BIN)/.installed-tests
	@$(BIN)/python -m tests.benchmarks $(addprefix --part ,$(PART)) $(if $(RESUME),--resume)

bench-report: $(BIN)/.installed-tests
	@$(BIN)/python -m tests.benchmarks.report

# Faults in random order until the time is over: make faults SEED=7 SECONDS=600 FAULTS=restart_valkey,truncate
SEED ?= 1
SECONDS ?= 300
faults: $(BIN)/.installed-tests
	$(BIN)/python -m tests.faults --seed $(SEED) --seconds $(SECONDS) --faults "$(FAULTS)" $(if $(DATABASE),--database $(DATABASE))

# Feeds that fail, are slow or have bad rows, for SECONDS on each database (or on DATABASE=sqlite), beside healthy ones.
chaos: $(BIN)/.installed-tests
	$(BIN)/python -m tests.faults.chaos --seed $(SEED) --seconds $(SECONDS) $(if $(DATABASE),--database $(DATABASE))

# Changes of the code that no test notices: make mutants FILES=realtime/delivery/hub.py SAMPLE=3 (a tenth of them)
mutants: $(BIN)/.installed-mutants
	SAMPLE=$(SAMPLE) $(BIN)/python -m tests.support.mutants $(FILES)

# Whether the heap and the main thread of an open board hold for SECONDS at five changes a second.
steady: $(BIN)/.installed-tests
	$(BIN)/python -m tests.browser.steady --seconds $(SECONDS)

# Render the README's picture again.
picture: $(BIN)/.installed-tests
	PICTURE=1 $(BIN)/python -m pytest tests/browser/test_pages.py -k sideways

clean:
	rm -rf .venv .venv-* var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Tidemark needs Python 3.11 or newer; this is " + sys.version.split()[0] \
	  + ". Name another: make run PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(@D:/bin=)

$(BIN)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(BIN)/.installed-tests: tests/requirements.txt requirements-uvicorn.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@ $(BIN)/.installed

$(BIN)/.installed-mutants: tests/requirements-mutants.txt $(BIN)/.installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-mutants.txt
	@touch $@

$(BIN)/.installed-docs: docs/requirements.txt $(BIN)/.installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

$(BIN)/.installed-browsers: tests/requirements-browsers.txt $(BIN)/.installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-browsers.txt
	@touch $@
