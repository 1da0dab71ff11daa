# Every target sets up what it needs; the second time that takes no time.
# `make demo` runs everything once on this machine, `make test` proves it.

STAGE ?= dev
# CDK asks before it widens rights; where no one can answer: CDK_OPTIONS="--require-approval never".
CDK_OPTIONS ?=
VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements-dev.txt
SETUP := $(VENV)/.set-up
SPARK := $(VENV)/.spark
PEERS := $(VENV)/.peers
ENGINE := $(VENV)/jsonata
# Two workers; a file's tests share one, because they share what takes long to make.
WORKERS := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Each worker has one core; more threads would wait for each other.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS)
SHELL := /bin/bash
# CDK and jsii find node in the venv first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo spark test test-fast coverage check docs synth deploy bench bench-batch bench-spark bench-scale bench-quality bench-training bench-joins bench-probation bench-drift bench-estimates bench-judgement bench-texts bench-load bench-files bench-cost soak rights fuzz fuzz-api openapi lock clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(SETUP): $(REQUIREMENTS) Makefile
	@python="$$(for found in python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
	  /opt/*/bin/python3.13 /usr/local/bin/python3.13 python3 python; do \
	    "$$found" -c 'import sys; sys.version_info[:2] == (3, 13) or sys.exit(1); print(sys._base_executable)' \
	      2>/dev/null && break; done)"; \
	if [ -z "$$python" ]; then \
	  echo "Noria needs Python 3.13 and found none: install it (pyenv install 3.13)" >&2; exit 1; fi; \
	echo "setting up $(VENV) with $$python (about a minute, once)"; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m infra.bundling training_runtime serving_runtime report_runtime batch_runtime
	@touch $@

# Spark (450 MB) is for Glue jobs on this machine and their tests; without Java they skip.
# The layers of MLflow and of word vectors are for stages that use them, and for tests; layers of both
# architectures are for the test of their size, the second JSONata engine for state machines.
$(SPARK): $(SETUP) requirements-spark.txt tests/statemachines/engine/package-lock.json
	@rm -rf $(ENGINE) && cp -r tests/statemachines/engine $(ENGINE) && npm ci --prefix $(ENGINE) --silent
	@$(BIN)/python -m infra.bundling --architecture arm64 --architecture x86_64 \
	  training_runtime serving_runtime report_runtime batch_runtime tracking_runtime embedding_runtime
	@if command -v java >/dev/null; then \
	  echo "installing Spark (half a minute, once)"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.txt; \
	else echo "no java: tests of Spark will be skipped (apt-get install openjdk-17-jre-headless)"; fi
	@touch $@

$(PEERS): $(SETUP) requirements-bench.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

demo: $(SETUP) ## Start the emulator, deploy, train all four projects, predict
	@$(BIN)/noria demo $(PROJECT)

spark: $(SPARK) ## Install Spark, for `noria analyze --spark` and backend = "glue" on this machine

test: $(SPARK) ## Run all tests, offline
	@rm -rf build/rights
	@$(PYTEST)

test-fast: $(SETUP) ## Run what needs neither trained models nor the emulator: about two minutes
	@$(PYTEST) tests/unit tests/architecture tests/statemachines tests/infra/test_stacks.py

check: $(SETUP) ## Format, lint (bandit's rules too), types, direction of imports, secrets
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
	@git ls-files -z -- ':!*requirements*.txt' ':!*.svg' ':!*.png' ':!*/recorded.json' | xargs -0 $(BIN)/detect-secrets-hook

coverage: $(SPARK) ## Branch coverage of the domain: build/coverage, at least 95 %
	@$(PYTEST) tests/unit tests/training --cov=noria --cov-branch \
	  --cov-fail-under=95 --cov-report=term --cov-report=html:build/coverage

docs: $(SETUP) ## Write the reference pages and build the documentation site: build/site
	@$(BIN)/python -m cli.reference && NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict

synth: $(SETUP) ## Write the CloudFormation templates to cdk.out; needs no account
	@$(BIN)/noria check && $(BIN)/cdk synth --quiet -c noria:stage=$(STAGE)

deploy: $(SETUP) ## Deploy to the AWS account of the environment (STAGE=dev)
	@$(BIN)/noria check && $(BIN)/cdk deploy --all -c noria:stage=$(STAGE) $(CDK_OPTIONS)

bench: $(SETUP) ## Measure serving against scikit-learn + pandas + joblib: build/bench.json
	@$(BIN)/python -m tests.benchmarks.serving

bench-quality: $(SETUP) ## Score the real sets of ../shared/data against their baselines: build/quality.json
	@$(BIN)/python -m tests.benchmarks.quality $(SETS)

bench-training: $(SETUP) ## Measure a full search against refitting everything: build/training.json
	@$(BIN)/python -m tests.benchmarks.training

bench-drift: $(SETUP) ## Drift: real pairs, false alarms, delay, ten million rows: build/drift.json
	@$(BIN)/python -m tests.benchmarks.drift

bench-judgement: $(PEERS) ## Noria's decisions on real, shifting data, block by block: build/judgement.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.judgement $(SETS)

bench-estimates: $(SETUP) ## Performance estimated without labels beside the labels: build/estimates.json
	@$(BIN)/python -m tests.benchmarks.estimates

bench-batch: $(PEERS) ## Whole files beside pandas + scikit-learn, file to file: build/batch.json
	@$(BIN)/python -m tests.benchmarks.batch

bench-spark: $(SPARK) ## Profile and drift of ten million rows in a 2 GB driver: build/spark.json
	@$(BIN)/python -m tests.benchmarks.spark

bench-scale: $(SETUP) ## On paper: a day's rows in hours and dollars on each path
	@$(BIN)/python -m tests.benchmarks.scale

bench-texts: $(SETUP) ## The longest texts, made to be slow, through all text features: build/texts.json
	@$(BIN)/python -m tests.benchmarks.texts

bench-cost: $(SETUP) ## What each kind of work uses, metered on the emulator: prices/work.json
	@$(BIN)/python -m tests.benchmarks.cost

soak: $(SETUP) ## A million predictions through the handler: answers, log, memory: build/soak.json
	@$(BIN)/python -m tests.benchmarks.soak

bench-load: $(SETUP) ## Sixteen clients at the local stack: answers, log, memory: build/load.json
	@$(BIN)/python -m tests.benchmarks.load

bench-files: $(SETUP) ## A bank's campaigns as files, month by month, with the loop and without: build/files.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.file_loop

bench-joins: $(SETUP) ## Join a million reviews in bounded memory: build/joins.json
	@$(BIN)/python -m tests.benchmarks.joins

bench-probation: $(SETUP) ## New champions that are worse or not: taken back, and how soon: build/probation.json
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.probation

rights: $(SETUP) ## What roles grant and the integration tests of the last run never used
	@$(BIN)/python -m tests.support.rights

fuzz: $(SETUP) ## Hostile events, bundles, files, schedules of the registry: build/fuzz.json
	@$(BIN)/python -m tests.fuzz

fuzz-api: $(SETUP) ## Ten thousand requests made from the OpenAPI document, to a stage: build/fuzz-api.json
	@$(BIN)/python -m tests.fuzz.api

openapi: $(SETUP) ## Write the OpenAPI document of the shipped projects: docs/openapi.json
	@$(BIN)/python -m cli.reference

lock: $(SETUP) ## Turn the *.in files into hashed requirements (needs uv)
	@lock() { uv pip compile --quiet --python $(BIN)/python --generate-hashes --no-header --no-annotate "$$@"; }; \
	lock requirements.in -o requirements.txt; \
	for layer in training serving report batch tracking embedding; do lock -c requirements.txt layers/$${layer}_runtime/requirements.in \
	  -o layers/$${layer}_runtime/requirements.txt; done; \
	lock -c requirements.txt -c layers/training_runtime/requirements.txt requirements-dev.in -o $(REQUIREMENTS); \
	lock requirements-spark.in -o requirements-spark.txt; \
	lock -c $(REQUIREMENTS) requirements-bench.in -o requirements-bench.txt

clean: ## Stop the emulator; remove its state, builds and caches
	@if [ -x $(BIN)/noria ]; then $(BIN)/noria down; fi
	@rm -rf .noria build cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
