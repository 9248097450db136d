# make lists the targets. Each is one plain python line, which the README names as well.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
BIN    := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PY     := $(BIN)/python

# Two BLAS threads stall on a busy machine, and small matrices gain nothing from them.
test gradcheck same: export OPENBLAS_NUM_THREADS = 1

.PHONY: help train test lint gradcheck same bench read draw learn accuracy clean

help:          ## list the targets
	@awk -F ':.*## *' '/^[a-z]+:.*##/ { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: .venv/run    ## install, train both networks for 2 epochs, print a table
	$(PY) benchmarks/accuracy.py --seeds 1 --epochs 2

test: .venv/dev    ## run all tests
	$(PY) -m pytest -n 2

lint: .venv/dev    ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

gradcheck: .venv/run    ## compare every gradient with finite differences
	$(PY) -m gradcheck

same: .venv/run    ## train one network in all three implementations and compare the weights
	$(PY) benchmarks/same.py

bench: .venv/run    ## time our networks beside every peer that is installed
	$(PY) benchmarks/bench.py --write

read: .venv/run    ## write docs/side_by_side.html: the three implementations beside each other
	$(PY) docs/side_by_side.py

draw: .venv/run    ## write docs/draw.html: a page to draw a digit on, with a network that learns it
	$(PY) docs/draw.py

learn: .venv/run    ## write the first exercise, my_functional_net.py
	$(PY) -m gradcheck learn functional

accuracy: .venv/run    ## five seeds of each command: the README's table
	$(PY) benchmarks/accuracy.py --write

clean:         ## remove the environment and caches
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet .
	@touch $@

.venv/dev: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet ".[dev]"
	@touch $@ .venv/run
