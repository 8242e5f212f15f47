# make demo   runs the closed loop on a year of real flights and says what happened
# make test   runs every test
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Compiling every module at each start of a process would double the time of the demo and the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up down status test test-clients chaos soak-log lint bench bench-speed bench-serving bench-quality build clean
help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

$(STAMP): requirements.lock pyproject.toml .ci/install
	@PYTHON=$(PYTHON) bash .ci/install
	@touch $@

demo: $(STAMP) ## run the closed loop on a year of real flights (about 10 minutes)
	@$(BIN)/trimtab demo

up: $(STAMP) ## start the same stack to stay
	@$(BIN)/trimtab up

down: $(STAMP) ## stop it
	@$(BIN)/trimtab down

status: $(STAMP) ## show what runs and how the models are
	@$(BIN)/trimtab status

test: $(STAMP) ## run every test
	@# Two workers on two cores: threads that wait for each other by spinning would only take turns.
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not e2e and not chaos" --numprocesses 2 --dist loadfile
	@$(BIN)/python -m pytest -m "e2e and not chaos"

test-clients: $(STAMP) ## ask a model server by KServe's own client, in an environment of its own (1 minute)
	@$(BIN)/python bench/peers/environments.py kserve
	@$(BIN)/python -m pytest tests/service/serving/test_serving_kserve.py

chaos: $(STAMP) ## kill every part of a running rollout, and promote ten versions in a row (20 minutes)
	@$(BIN)/python -m pytest --capture=no tests/chaos
	@$(BIN)/python -m pytest -m "chaos and not e2e" tests/service
	@$(BIN)/python -m pytest -m "e2e and chaos"

soak-log: $(STAMP) ## kill the model server 100 times under load and look for lost answers (3 minutes)
	@TRIMTAB_KILLS=100 $(BIN)/python -m pytest --capture=no tests/service/serving/test_serving_kill.py

lint: $(STAMP) ## ruff, mypy --strict, the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/trimtab validate models

bench: $(STAMP) ## measure what the monitors cost in a replay
	@$(BIN)/python bench/speed/monitors_replay.py

bench-speed: $(STAMP) ## time the drift engine beside its peers, each in an environment of its own (15 minutes)
	@$(BIN)/python bench/speed/drift.py

bench-serving: $(STAMP) ## time the model server beside MLServer, MLflow's and a FastAPI app (8 minutes)
	@$(BIN)/python bench/speed/serving.py

bench-quality: $(STAMP) ## count false alarms, delays, errors and right decisions beside the same peers (hours)
	@$(BIN)/python bench/quality/false_alarms.py
	@$(BIN)/python bench/quality/delay.py
	@$(BIN)/python bench/quality/model_year.py
	@$(BIN)/python bench/quality/estimates.py
	@$(BIN)/python bench/quality/concept.py
	@$(BIN)/python bench/quality/triage.py
	@$(BIN)/python bench/quality/optimize.py
	@$(BIN)/python bench/quality/optimize.py --flights
	@$(BIN)/python bench/quality/rollout.py
	@$(BIN)/python bench/quality/rollout_worlds.py
	@$(BIN)/python bench/quality/contrast.py

build: $(STAMP) ## refresh the dashboards and the chart's copies of them and of the rules
	@$(BIN)/python -m dashboards refresh

clean: ## remove the state folder and the environment
	@if [ -x $(BIN)/trimtab ] && [ -d .trimtab ]; then $(BIN)/trimtab down || true; fi
	@rm -rf .trimtab .venv *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
