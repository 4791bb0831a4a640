# Every target that needs it sets up the environment first; when nothing changed that takes no time.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# JupyterLab refuses to run as root (in a container, say) unless it is told that this is meant; -y ends it at one Ctrl-C.
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest
# What checks record goes to a folder of its own, not to the user's.
NBVAL := TEACHKIT_DATA_DIR=$$(mktemp -d) $(PYTEST) --nbval-current-env -n $(WORKERS) --dist loadscope -q

.DEFAULT_GOAL := help
.PHONY: help setup lab tour test lint test-python test-notebooks test-gpu test-avx512 notebooks bench coverage pins check-pins clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv and install the pinned packages (every target below does this first)
	@command -v $(PYTHON) >/dev/null || { echo "Set-up stopped. There is no $(PYTHON) here: install Python 3.11, 3.12 or 3.13, or say where it is with 'make setup PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) tools/setup_env.py --venv $(VENV)

lab: setup ## open JupyterLab on the first lesson
	@$(BIN)/jupyter lab -y $(ROOT_FLAG) --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

tour: setup ## run kernels of the lessons here in the terminal and print their table
	@$(BIN)/teachkit tour

test: lint test-python test-notebooks ## everything that CI runs: lint, types, tests, notebooks, browser

lint: setup ## ruff (lint, format, imports) and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

# No CUDA device is used here even where there is one, so that every machine runs the same rows.
test-python: setup ## the tests in tests/, the browser's among them
	@CUDA_VISIBLE_DEVICES= $(PYTEST) -p no:nbval -n $(WORKERS) --dist loadscope -q

test-notebooks: setup ## run lectures against their committed outputs; exercises and solutions for errors
	@CUDA_VISIBLE_DEVICES= $(NBVAL) --nbval notebooks
	@CUDA_VISIBLE_DEVICES= $(NBVAL) --nbval-lax exercises solutions

test-gpu: setup ## the GPU rows and the same notebooks on a CUDA device
	@if $(BIN)/python -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then \
		$(PYTEST) -q -m gpu && $(NBVAL) --nbval notebooks && $(NBVAL) --nbval-lax exercises solutions; \
	else \
		echo "No CUDA device here, so nothing was tested. 'make test' covers the rest."; \
	fi

# Left out: two files whose code runs in other processes or past the engine, and blocks that spin for a long time.
test-avx512: setup ## the emulator's tests on AVX-512; a processor in software runs it where the real one has none
	@TEACHKIT_CPU=x86-64-v4 $(PYTEST) -p no:nbval -n $(WORKERS) --dist loadscope -q tests/emulator -m "not gpu" \
		--ignore tests/emulator/engine/test_ir.py --ignore tests/emulator/engine/test_cache_on_disk.py \
		--ignore tests/emulator/engine/test_waiting_blocks.py

notebooks: setup ## rebuild every notebook from notebooks/src
	@$(BIN)/teachkit notebooks

bench: setup ## run every benchmark but coverage and print its table (some minutes)
	@for script in $(filter-out benchmarks/coverage.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

coverage: setup ## run other projects' programs and write benchmarks/coverage.md (hours; --only in the script chooses)
	@MAMBA_SKIP_CUDA_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE $(BIN)/python -m pip install -q --upgrade --no-deps --no-build-isolation --target $(VENV)/coverage-packages -r benchmarks/coverage/requirements.txt
	@PYTHONPATH=$(VENV)/coverage-packages $(BIN)/python benchmarks/coverage.py --jobs $$(nproc)

pins: setup ## resolve constraints.txt anew from the versions in tools/pins.py
	@$(BIN)/python tools/pins.py update

check-pins: setup ## prove that the pins resolve on every supported Python, without downloading packages
	@$(BIN)/python tools/pins.py check

clean: ## remove caches and test artefacts (the environment stays: delete .venv by hand)
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist test-artifacts
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
