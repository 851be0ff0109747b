# One verb, one command. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
OUT ?= out
STAGE ?= sync
FLAVOUR ?= cpu
BACKEND ?= embedded
GPU ?=
SETUP := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help setup weights demo test test-stage test-engines image images sif sifs lint format typecheck check render bench lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.ready-$(if $(GPU),gpu,run)  ## Make the environment in .venv from the hashed lock; with torch for CUDA: make setup GPU=1
$(VENV)/.ready-run: requirements/run.txt pyproject.toml
	$(PYTHON) tools/setup_environment.py $(VENV) run
	@touch $@
$(VENV)/.ready-gpu: requirements/gpu.txt pyproject.toml
	$(PYTHON) tools/setup_environment.py $(VENV) gpu
	@touch $@ $(VENV)/.ready-run
$(SETUP): requirements/dev.txt requirements/torch-cpu.txt pyproject.toml
	$(PYTHON) tools/setup_environment.py $(VENV) dev
	@touch $@ $(VENV)/.ready-run

weights: $(VENV)/.ready-run  ## Fetch and verify the models of a backend: make weights BACKEND=embedded
	$(RUN) -m workflows weights fetch --backend $(BACKEND)

demo: weights  ## Fetch two real 4-camera scenes and run the whole pipeline on them
	$(RUN) -m benchmarks.demo_data --out $(OUT)/demo-data
	$(RUN) -m workflows run $(OUT)/demo-data $(OUT)/demo

test: $(SETUP)  ## All tests; those of real models run once `make demo` has fetched models and recordings
	$(RUN) -m pytest -n 2 -rs -m "not engines"

test-stage: $(SETUP)  ## The tests of one stage: make test-stage STAGE=sync
	$(RUN) -m pytest tests/stages/$(STAGE) -m "not models"

test-engines: $(SETUP)  ## The same scene through Docker, Apptainer, SLURM, S3 and Kubernetes; says SKIPPED where one is missing
	$(RUN) -m pytest tests/engines -m engines -rs -s

image: $(VENV)/.ready-run  ## The container image of one stage: make image STAGE=sync FLAVOUR=cpu
	$(RUN) tools/build_images.py $(STAGE) --flavour $(FLAVOUR)

images: $(VENV)/.ready-run  ## The images of all stages, and ghost-cli; with FLAVOUR=gpu those that have a use for a GPU
	$(RUN) tools/build_images.py --all --flavour $(FLAVOUR)

sif: $(VENV)/.ready-run  ## The Apptainer image of one stage, from its container image: make sif STAGE=sync FLAVOUR=cpu
	$(RUN) tools/build_sif.py $(STAGE) --flavour $(FLAVOUR)

sifs: $(VENV)/.ready-run  ## The Apptainer images of the same
	$(RUN) tools/build_sif.py --all --flavour $(FLAVOUR)

lint: $(SETUP)  ## Style of Python, Dockerfile and shell; that what is rendered is what the declarations say
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/hadolint docker/Dockerfile
	$(VENV)/bin/shellcheck apptainer/ghost.sbatch .ci/run
	$(RUN) tools/render_workflows.py --check
	$(RUN) tools/render_readme.py --check

format: $(SETUP)  ## Put the code into the one format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

typecheck: $(SETUP)  ## mypy, strict
	$(VENV)/bin/mypy

check: lint typecheck test  ## All of the above

render: $(SETUP)  ## Write anew what is generated: workflows/*.yaml, apptainer/ghost.sbatch, tables of README.md
	$(RUN) tools/render_workflows.py
	$(RUN) tools/render_readme.py

bench: $(SETUP) weights  ## The figures that the README quotes, measured here (two hours)
	$(RUN) -m benchmarks.demo
	$(RUN) -m benchmarks.sync
	$(RUN) -m benchmarks.pipeline --long
	$(RUN) -m benchmarks.storage
	$(RUN) -m benchmarks.segment
	$(RUN) -m benchmarks.gpu

lock: $(SETUP)  ## Write requirements/ anew from pyproject.toml and the code's imports
	$(RUN) tools/lock_requirements.py

clean:  ## Remove the environment and the results of demo and benchmarks, not the weights
	rm -rf $(VENV) $(OUT)/demo $(OUT)/demo-data $(OUT)/demo-reference $(OUT)/sync-cuts
