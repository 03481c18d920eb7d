# Two commands matter: `make demo` and `make test`. Both set up their own virtual environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Processes that share the tests, file by file.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
STAMP := $(VENV)/.installed
MODELS_STAMP := $(VENV)/.installed-models
DOCS_STAMP := $(VENV)/.installed-docs

# One thread a process keeps timings and memory of the tests predictable on small machines; no hub is ever asked.
export OMP_NUM_THREADS ?= 1
export HF_HUB_OFFLINE := 1
export HF_DATASETS_OFFLINE := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: install demo test test-slow check format docs docs-pages clean

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(MODELS_STAMP): $(STAMP)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,models,ray]"
	touch $@

$(DOCS_STAMP): $(STAMP)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@

demo: $(STAMP)
	. $(BIN)/activate && OMP_NUM_THREADS=2 mlflow run . -e demo --env-manager local

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-slow: $(MODELS_STAMP)
	$(PYTEST) -m slow --durations=12

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The site, in build/docs: a warning or a broken link is an error.
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx --builder html --nitpicky --fail-on-warning --keep-going --quiet docs build/docs

# Pages that are written from the code; a test holds them against it.
docs-pages: $(STAMP)
	$(BIN)/python -m mlflow_clinsec.docs_pages docs

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
