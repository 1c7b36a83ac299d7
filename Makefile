# Every command of the project; `make` alone lists them. Needs Python 3.11 or newer and make (3.81 or newer).
# Runs as root and as an ordinary user, and installs into .venv only.

VENV := .venv
BIN := $(VENV)/bin
# Errors are shown, progress is not. Modules are compiled when first imported: that is 9 s less of 23 s.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-compile

# The first Python that is new enough and can make a virtual environment; another: make PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; \
	done)

# Hundreds of short processes import the same thousand modules: where this is set, as in many containers, each compiles
# all of them again, and the tests take a third longer.
unexport PYTHONDONTWRITEBYTECODE

# The stamps say that a part is installed; they are younger than what it was installed from.
CREATED := $(VENV)/.created
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
# A virtual environment holds absolute paths: one whose folder was moved or copied, or whose Python is gone, is
# made anew instead of running the code of another place.
ifneq ($(shell test -x $(BIN)/python && cat $(CREATED) 2>/dev/null),$(CURDIR))
.PHONY: $(CREATED)
endif

MIGRATION := supabase/migrations/20251109_post_audit_protocol.sql
# One process for each processor; more than four would mean more than four servers of PostgreSQL. A file stays in one
# process, and files are taken in their order, in which the long ones come early.
TESTS_AT_ONCE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
BENCHES := $(sort $(wildcard bench/*.py))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run serve test test-all test-fast test-n8n faults fuzz
.PHONY: bench lint format migration docs screenshots lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## make .venv with the locked dependencies and the post-audit command
	@echo "Installed: $(BIN)/post-audit"

run: $(RUNTIME) ## run the six steps once and say what was decided and why
	@$(BIN)/post-audit run

serve: $(RUNTIME) ## serve the admin API and pages on port 8000
	@$(BIN)/post-audit serve

test: $(DEVELOPMENT) ## run every test that is not slow (ARGS=... goes to pytest)
	@$(BIN)/python -m pytest $(TESTS_AT_ONCE) -m "not slow" $(ARGS)

test-all: $(DEVELOPMENT) ## run every test over both transports and bindings, with twelve times as many examples
	@$(BIN)/python -m pytest $(TESTS_AT_ONCE) --hypothesis-profile thorough --all-transports --all-bindings $(ARGS)

test-fast: $(DEVELOPMENT) ## run the tests that need no database: unit and architecture
	@$(BIN)/python -m pytest $(TESTS_AT_ONCE) -m "not slow" backend/tests/unit backend/tests/architecture $(ARGS)

fuzz: $(DEVELOPMENT) ## feed broken audit reports to the readers for ten minutes (ARGS="--minutes 60" for longer)
	@$(BIN)/python tools/fuzz_readers.py $(ARGS)

test-n8n: $(DEVELOPMENT) ## run the workflows in a real n8n (installs one into .n8n: 3 GB, some minutes)
	@$(BIN)/python -m pytest --n8n --timeout 2400 backend/tests/n8n $(ARGS)

faults: $(DEVELOPMENT) ## kill and restart everything at random for 45 minutes (ARGS="--kills 20 --restarts 2" for less)
	@PYTHONPATH=backend $(BIN)/python -m tests.faults.campaign $(ARGS)

bench: $(DEVELOPMENT) ## measure every step and the whole (ARGS=--json for machines)
	@for script in $(BENCHES); do $(BIN)/python "$$script" $(ARGS) || exit 1; done

lint: $(DEVELOPMENT) ## check style, types, layers and the migration
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@PYTHONPATH=backend $(BIN)/lint-imports
	@$(BIN)/python -m app.post_audit.db.build_migration --check
	@$(BIN)/python tools/reference.py --check
	@$(BIN)/squawk $(MIGRATION)

format: $(DEVELOPMENT) ## set the layout of the code and repair what can be repaired safely
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

migration: $(RUNTIME) ## build the one migration from supabase/schemas
	@$(BIN)/python -m app.post_audit.db.build_migration

docs: $(RUNTIME) ## write docs/reference from the code
	@$(BIN)/python tools/reference.py

screenshots: $(DEVELOPMENT) ## draw the pictures of the README again (needs chromium)
	@$(BIN)/python tools/screenshots.py

# The second lock holds the first, version by version.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header $(ARGS) pyproject.toml --group build

lock: $(DEVELOPMENT) ## lock the dependencies again (ARGS=--upgrade for newer versions)
	@$(LOCK) --output-file requirements/runtime.txt
	@$(LOCK) --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt

clean: ## remove what make, the tests and the linters left; the embedded server's data stay
	@rm -rf $(VENV) dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find backend bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(CREATED):
	@python="$(PYTHON)"; "$${python:-false}" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$${python:-make} found no Python 3.11 or newer that can make a virtual environment." \
			"Install one (Debian, Ubuntu: apt install python3-venv) or name one: make PYTHON=/path/to/python" >&2; \
		exit 1; }; \
	"$$python" -m venv --clear $(VENV)
	@echo "$(CURDIR)" > $@

$(RUNTIME): $(CREATED) requirements/runtime.txt pyproject.toml
	@echo "Installing into $(VENV) ..." >&2
	@$(PIP) --require-hashes --requirement requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements/dev.txt
	@echo "Installing the tools of development ..." >&2
	@$(PIP) --require-hashes --requirement requirements/dev.txt
	@touch $@
