# Probestream's tasks. Everything is installed into .venv; nothing but Python 3.11+ and make is needed.
#   make up ARGS="--config my.yaml"      make test ARGS="tests/unit -x"      make PYTHON=/path/to/python3 install

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) python3)
ARGS ?=
BIN := .venv/bin
LOCKED := pyproject.toml requirements/build.txt requirements/install.py

.DEFAULT_GOAL := help
.PHONY: help install up test lint format bench schema jars lock clean

help:  ## What can be made
	@$(PYTHON) -c 'import re; [print("  make %-8s %s" % m) for m in re.findall(r"^(\w+):.*?## (.*)", open("Makefile").read(), re.M)]'

install: .venv/.installed-run  ## Make .venv with all that running needs

up: .venv/.installed-run  ## Start Kafka and every role on this machine, until Ctrl-C
	@$(BIN)/probestream up $(ARGS)

test: .venv/.installed-dev  ## Run every test, on a real Kafka
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.installed-dev  ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed-dev  ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.installed-run  ## Run every benchmark in its quick form
	@for each in benchmarks/[a-z]*.py; do echo "== $$each"; $(BIN)/python $$each --quick $(ARGS) || exit 1; done

schema: .venv/.installed-run  ## Write the configuration's JSON Schema to docs/
	$(BIN)/probestream schema > docs/probestream.schema.json

jars: .venv/.installed-run  ## Pin the embedded Kafka's jars anew (versions: probestream/broker/pin.py)
	$(BIN)/python -m probestream.broker.pin

lock: .venv/.installed-dev  ## Lock every dependency anew
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q $(UV) requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile -q $(UV) pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q $(UV) --extra postgres pyproject.toml -c requirements/run.txt -o requirements/postgres.txt
	$(BIN)/uv pip compile -q $(UV) --extra dev pyproject.toml -c requirements/run.txt -o requirements/dev.txt

UV := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

clean:  ## Remove .venv and everything that was built; your data stays
	rm -rf .venv build dist test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed-run: $(LOCKED) requirements/run.txt
	@$(PYTHON) requirements/install.py run

.venv/.installed-dev: $(LOCKED) requirements/dev.txt
	@$(PYTHON) requirements/install.py dev
	@touch .venv/.installed-run
