# `make demo` and `make test` are all a newcomer needs: every target makes its own virtual environment when it is missing.
# Another interpreter: `make PYTHON=python3.12 test`. Options of pip: its environment variables (PIP_INDEX_URL, ...).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check style bench bench-conversion bench-memory bench-sawtooth clean

help:
	@echo "make demo    ask the small checkpoint about the page in examples/"
	@echo "make test    run the tests (pytest arguments: make test ARGS='-k pyramid')"
	@echo "make check   ruff and mlinter, zero findings"
	@echo "make style   let ruff correct what it can"
	@echo "make bench   measure the figures of benchmarks/speed"
	@echo "make bench-conversion   measure what converting a checkpoint of 4.4 GB takes (14 GB of disk)"
	@echo "make bench-sawtooth     let the small checkpoint read over tile borders (about an hour)"
	@echo "make bench-memory       compute what the published checkpoints take, docs/checkpoints.md"
	@echo "make clean   remove the virtual environment and all caches"

# Torch comes first: it is by far the largest download, and a failure there should be seen before anything else.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/ask.py examples/page.png "Read the text." --keep-ratio 0.75

test: $(STAMP)
	$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mlinter --no-progress --no-cache modeling_minimonkey processing_minimonkey

style: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed.run

bench-conversion: $(STAMP)
	$(BIN)/python -m benchmarks.conversion.run

# What is in benchmarks/sawtooth/results already is not read again; remove a file to read it anew.
bench-sawtooth: $(STAMP)
	$(BIN)/python -m benchmarks.sawtooth.geometry
	$(BIN)/python -m benchmarks.sawtooth.sweep checkpoints/minimonkey-tiny
	$(BIN)/python -m benchmarks.sawtooth.page checkpoints/minimonkey-tiny
	$(BIN)/python -m benchmarks.sawtooth.compression checkpoints/minimonkey-tiny
	$(BIN)/python -m benchmarks.sawtooth.report

bench-memory: $(STAMP)
	$(BIN)/python -m benchmarks.memory.run

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
