# One verb, one command. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
OUT ?= out
STAGE ?= sync
SETUP := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help setup weights demo test test-models test-stage test-engines lint format typecheck check render bench lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready-run  ## Make the environment in .venv from the hashed lock
$(VENV)/.ready-run: requirements/run.txt pyproject.toml
	$(PYTHON) tools/setup_environment.py $(VENV) requirements/run.txt
	@touch $@
$(SETUP): requirements/dev.txt pyproject.toml
	$(PYTHON) tools/setup_environment.py $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.ready-run

weights: $(VENV)/.ready-run  ## Fetch and verify the models of the default backend
	$(RUN) -m workflows weights fetch --backend embedded

demo: weights  ## Fetch two real 4-camera scenes and run the whole pipeline on them
	$(RUN) -m benchmarks.demo_data --out $(OUT)/demo-data
	$(RUN) -m workflows run $(OUT)/demo-data $(OUT)/demo

test: $(SETUP)  ## Everything that needs no container engine and no download
	$(RUN) -m pytest -n 2 -m "not engines"

test-stage: $(SETUP)  ## The tests of one stage: make test-stage STAGE=sync
	$(RUN) -m pytest tests/stages/$(STAGE) -m "not engines and not models"

test-engines: $(SETUP)  ## Real Docker, Apptainer, SLURM, S3 and Kubernetes, where they can be had
	$(RUN) -m pytest tests/engines -m engines

lint: $(SETUP)  ## Style, and the arrows between the folders
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(SETUP)  ## Put the code into the one format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

typecheck: $(SETUP)  ## mypy, strict
	$(VENV)/bin/mypy

check: lint typecheck test  ## All of the above

render: $(SETUP)  ## Write the generated parts of README.md anew
	$(RUN) tools/render_readme.py

bench: $(SETUP) weights  ## Every figure that the README quotes, measured here
	$(RUN) -m benchmarks.demo
	$(RUN) -m benchmarks.pipeline

lock: $(SETUP)  ## Write requirements/*.txt anew from pyproject.toml
	$(RUN) tools/lock_requirements.py

clean:  ## Remove what make made, not the weights
	rm -rf $(VENV) $(OUT)
