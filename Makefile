# Every target does its own set-up: a virtual environment in .venv, installed from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export LITELLM_LOCAL_MODEL_COST_MAP ?= True

.PHONY: demo test test-browser lint bench prices clean

.venv/installed: constraints.txt requirements-dev.txt pyproject.toml $(wildcard */pyproject.toml plugins/*/pyproject.toml contrib/*/pyproject.toml)
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements-dev.txt
	touch $@

demo: .venv/installed
	$(BIN)/python -m jurist_demo

# Two at a time, as on the two cores that suffice; each takes 1 GB, and what it starts as much again.
test: .venv/installed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not browser"
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow and not browser"

test-browser: .venv/installed
	$(BIN)/python -m pytest -q -m browser plugins/review/tests

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard */src */*/src contrib/*.py)
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python benchmarks/labeling.py
	$(BIN)/python benchmarks/local_judge.py
	$(BIN)/python benchmarks/soft_labels.py
	$(BIN)/python benchmarks/ppo.py
	$(BIN)/python benchmarks/review_app.py

prices: .venv/installed
	$(BIN)/python contrib/refresh_prices.py

clean:
	rm -rf .venv
