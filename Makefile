# The targets below print themselves: `make help`.
PYTHON ?= python3
TORCH ?= cpu
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CONSTRAINTS := $(if $(filter cpu,$(TORCH)),-c constraints/cpu.txt,)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
PINNED := $(shell grep -oE '^(torch|torchvision)==.*' constraints/cpu.txt)

.DEFAULT_GOAL := help
.PHONY: help demo test check format setup bench clean world-models

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo ## set up, then ask the built-in model about the sample video and write a report
	$(BIN)/videre ask "$$($(BIN)/videre world sample)" "$$($(BIN)/videre world sample --question)" -o demo

test: .venv/.dev ## set up, then run every check and every test
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest

check: .venv/.dev ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/.dev ## make .venv with all that development needs (TORCH=any: let pip choose the build of torch)

bench: .venv/.dev ## the quick form of every benchmark
	for file in benchmarks/*.py; do $(BIN)/python $$file --quick || exit 1; done

world-models: .venv/.dev ## train the small models of the generated world; each is kept, and read the next time
	for model in clip llm qformer detector; do $(BIN)/python recipes/world_$$model.py || exit 1; done

clean: ## remove the environment and what the demo wrote
	rm -rf .venv demo

# The pinned torch is a CPU build: from pip's own sources where they have it, else from PyTorch's CPU index.
.venv/.torch: constraints/cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "videre needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv || { echo "no venv: apt-get install python3-venv"; exit 1; }
ifeq ($(TORCH),cpu)
	$(PIP) $(PINNED) 2>/dev/null || $(PIP) --index-url $(TORCH_CPU_INDEX) $(PINNED)
endif
	touch $@

.venv/.demo: .venv/.torch pyproject.toml
	$(PIP) $(CONSTRAINTS) -e '.[hf]'
	touch $@

.venv/.dev: .venv/.torch pyproject.toml
	$(PIP) $(CONSTRAINTS) -e '.[dev]'
	touch $@ .venv/.demo
