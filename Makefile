# The two commands of the README, and what they stand on. `make help` lists them.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(RUN)/uv)
READY := $(VENV)/.installed

.PHONY: help demo test lint format docs lock clean

help: ## Lists these commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## The whole main job on the embedded digits: python train.py schedule=cosine
	$(RUN)/python train.py schedule=cosine

test: $(READY) ## The whole test suite
	$(RUN)/python -m pytest

lint: $(READY) ## Style, types and layers
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

format: $(READY) ## Fixes what can be fixed automatically
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

docs: $(READY) ## The documentation as a site in site/; a broken link, anchor or docstring is an error
	NO_MKDOCS_2_WARNING=1 $(RUN)/python -m mkdocs build --quiet --strict

lock: $(READY) ## Writes the newest versions that pyproject.toml allows to requirements.txt
	$(UV) pip compile -q --upgrade --universal --extra dev --extra huggingface --no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.txt

clean: ## Removes the environment; outputs/ stays
	rm -rf $(VENV)

# uv is used if it is there, and brought into the environment if it is not.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or later is needed: name one with make PYTHON=python3.12"; exit 2; }
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	test -x "$(UV)" || $(RUN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --compile-bytecode --python $(RUN)/python --requirement requirements.txt
	$(UV) pip install --quiet --python $(RUN)/python --no-deps --editable .
	touch $(READY)
