# On a fresh machine with Python 3.11 or newer: `make serve`, `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
HOST = $(or $(DANDELION_HOST),127.0.0.1)
PORT = $(or $(DANDELION_PORT),8000)
WORKERS = $(or $(DANDELION_WORKERS),1)
# Where pip finds torch. On Linux, https://download.pytorch.org/whl/cpu saves gigabytes of CUDA.
TORCH_INDEX ?=
# What `make tune` searches, and for how long at most.
MODEL ?= spam
VARIANT ?= $(if $(filter spam,$(MODEL)),squared_hinge-wide)
MINUTES ?= 15
# What `make transfer` measures, one after another.
MODELS ?= abuse spam cyberbullying
# What it measures on, apart from what is downloaded for training.
MEASURED := stormfront youtube_spam davidson civil_comments wikipedia_talk wikipedia_context convabuse mishra_soni

# The page /docs; `make swagger-ui` vendors it again.
SWAGGER_UI := 5.35.0
SWAGGER_UI_SHA256 := 1b8e891893404ea4c3558b6a87e2a3e494e7eedba41168c2ece5800a391a6ea6
SWAGGER_UI_FILES := LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css

# The page at /; `make page-libraries` vendors them again. Preact is in the bundle of htm, which
# has no copy of its licence.
PAGE_LIBRARIES := htm@3.1.1 preact@10.5.14 uplot@1.6.32 papaparse@5.7.1
PAGE_VENDOR := app/static/page/vendor

SBOM := dist/dandelion-text.cdx.json

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet
TORCH := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
MINUTES_OF_TORCH := one to five minutes with the CPU build, longer with CUDA

.DEFAULT_GOAL := help
.PHONY: help serve test test-slow coverage instructions install-training train-all report notebook promises transfer robustness cards tune bench soak wheel sbom swagger-ui page-libraries screenshots dashboard docs lint format types clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

serve: $(VENV)/.service ## Start the service; install it first if need be (HOST=, PORT=, WORKERS=)
	DANDELION_HOST=$(HOST) DANDELION_PORT=$(PORT) DANDELION_WORKERS=$(WORKERS) exec $(BIN)/python -m app

PYTEST := $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal

test: $(VENV)/.dev ## Run the tests, except those that take long (PYTEST_ARGS=)
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.dev ## Run the tests that build, train, measure, start a cluster or drive a browser
	$(PYTEST) -m slow $(PYTEST_ARGS)

coverage: $(VENV)/.dev ## Run all tests and show their coverage
	$(PYTEST) --cov --cov-report=term $(PYTEST_ARGS)

instructions: $(VENV)/.service ## Fail where a text costs 25 % more instructions than accepted (ACCEPT=1)
	$(BIN)/python -m benchmarks.instructions $(if $(ACCEPT),--accept)

install-training: $(VENV)/.training ## Install what `dandelion train` and `python -m training` need

train-all: $(VENV)/.training ## Download the data sets if need be; train configs/ into artifacts/
	$(BIN)/python -m training download
	$(BIN)/python -m training train-all

report: $(VENV)/.study ## Run every reported seed; write docs/results/ and the README's tables (QUICK=1)
	$(BIN)/python -m study report $(if $(QUICK),--quick)

notebook: $(VENV)/.study ## Run notebooks/table-1.ipynb, the paper's Table 1; minutes (QUICK=1)
	$(BIN)/python -m training download --model spam
	$(if $(QUICK),,$(BIN)/python -m training download --model cyberbullying)
	$(BIN)/python -m study notebook $(if $(QUICK),--quick --output build/table-1.ipynb)

transfer: $(VENV)/.study $(VENV)-profanity/.profanity ## Leave each source out and read it, next to the baselines; write docs/results/transfer.md (MODELS=)
	$(BIN)/python -m training download
	@for source in $(MEASURED); do $(BIN)/python -m training download --source $$source || exit 1; done
	@for model in $(MODELS); do $(BIN)/python -m study transfer --model $$model || exit 1; done

robustness: $(VENV)/.study ## Change texts, vary their length, name groups; write docs/results/robustness.md
	$(BIN)/python -m training download
	$(BIN)/python -m study robustness

promises: $(VENV)/.study ## Compare promised with kept over every seed, and calibration by loss; one to two hours
	$(BIN)/python -m training download
	$(BIN)/python -m study promises --baselines
	$(BIN)/python -m study calibration

cards: $(VENV)/.study ## Write MODEL_CARD.md and evaluation.json of every served artifact, from docs/results/
	$(BIN)/python -m study cards

tune: $(VENV)/.training ## Search a variant's hyper-parameters on validation (MODEL=, VARIANT=, MINUTES=)
	$(BIN)/python -m training tune --model $(MODEL) $(if $(VARIANT),--variant $(VARIANT)) --minutes $(MINUTES)

bench: $(VENV)/.study $(VENV)-baselines/.baselines ## Measure speed next to the baselines; write docs/benchmarks.md (QUICK=1, BENCH_ARGS=)
	@command -v wrk > /dev/null || { echo 'On Debian: apt-get install wrk'; exit 1; }
	$(BIN)/python -m training download
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(BENCH_ARGS)

soak: $(VENV)/.dev ## Send hostile and excessive requests to the service; write docs/reliability.md (QUICK=1, SOAK_ARGS=)
	$(BIN)/python -m benchmarks.soak $(if $(QUICK),--quick) $(SOAK_ARGS)

wheel: | $(BIN)/python ## Build a wheel with the served models into dist/
	@test -f artifacts/serving.toml || { echo 'artifacts/serving.toml is missing, so the wheel would contain no models.'; exit 1; }
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

sbom: $(VENV)/.dev ## Write a software bill of materials of the service, in CycloneDX, into dist/
	@echo 'Installing the service alone into build/sbom: half a minute ...'
	rm -rf build/sbom
	$(BIN)/python -m venv --without-pip build/sbom
	$(BIN)/python -m pip --python build/sbom/bin/python install --quiet .
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $(SBOM) build/sbom/bin/python

swagger-ui: ## Vendor Swagger UI again, from its npm package (after a new SWAGGER_UI and its NOTICE)
	rm -rf build/swagger-ui && mkdir -p build/swagger-ui
	cd build/swagger-ui && npm pack --silent swagger-ui-dist@$(SWAGGER_UI)
	cd build/swagger-ui && echo '$(SWAGGER_UI_SHA256)  swagger-ui-dist-$(SWAGGER_UI).tgz' | sha256sum --check
	cd build/swagger-ui && tar -xzf swagger-ui-dist-$(SWAGGER_UI).tgz
	rm -f app/static/swagger-ui/*
	cd build/swagger-ui/package && install -m 644 $(SWAGGER_UI_FILES) $(CURDIR)/app/static/swagger-ui/
	cd app/static/swagger-ui && sha256sum $(SWAGGER_UI_FILES) > SHA256SUMS

page-libraries: ## Vendor the libraries of the page again, from npm (after a new PAGE_LIBRARIES and their NOTICE)
	rm -rf build/page && mkdir -p build/page
	cd build/page && npm pack --silent $(PAGE_LIBRARIES) > /dev/null
	cd build/page && sha256sum --check $(CURDIR)/$(PAGE_VENDOR)/PACKAGES
	cd build/page && for name in htm preact uplot papaparse; do \
		mkdir $$name && tar -xzf $$name-*.tgz -C $$name --strip-components 1; done
	rm -f $(PAGE_VENDOR)/*.js $(PAGE_VENDOR)/*.css $(PAGE_VENDOR)/LICENSE.* $(PAGE_VENDOR)/SHA256SUMS
	cd build/page && install -m 644 htm/preact/standalone.module.js $(CURDIR)/$(PAGE_VENDOR)/htm-preact.js
	cd build/page && install -m 644 uplot/dist/uPlot.iife.min.js uplot/dist/uPlot.min.css \
		papaparse/papaparse.min.js $(CURDIR)/$(PAGE_VENDOR)/
	cd build/page && for name in htm preact uplot papaparse; do \
		install -m 644 $$name/LICENSE $(CURDIR)/$(PAGE_VENDOR)/LICENSE.$$name; done
	cd $(PAGE_VENDOR) && sha256sum *.js *.css LICENSE.* > SHA256SUMS

screenshots: $(VENV)/.dev ## Take the README's picture of the page, docs/images/page.png (needs Chromium)
	$(BIN)/python -m tests.app.page.screenshots

dashboard: $(VENV)/.dev ## Write the dashboard of Grafana, deploy/grafana/dashboards/
	$(BIN)/python deploy/grafana/dashboard.py

docs: $(VENV)/.dev ## Build the documentation as a site, into site/: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

lint: $(VENV)/.dev ## Check style, security, which module imports which, and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app dandelion training
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy -p dandelion -p app -p training -p study -p benchmarks
	$(BIN)/mypy hatch_build.py hatch_alias.py deploy/grafana/dashboard.py docs/hooks/*.py

clean: ## Remove the virtual environment and every cache
	rm -rf $(VENV) $(VENV)-baselines $(VENV)-profanity .cache .coverage* .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache build dist site dandelion/engines/_kernel*.so *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each stage: nothing is installed, nor the compiled engine built, until these change.
# Edited Python modules need no new installation.
INSTALLED_FROM := pyproject.toml hatch_build.py hatch_alias.py dandelion/engines/kernel.c
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'On Debian: apt-get install python3-venv'; exit 1; }

$(VENV)/.service: $(INSTALLED_FROM) | $(BIN)/python
	@echo 'Installing the service into $(VENV): about half a minute ...'
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.training: $(INSTALLED_FROM) | $(BIN)/python
	@echo 'Installing training into $(VENV), torch included: $(MINUTES_OF_TORCH) ...'
	$(PIP_INSTALL) $(TORCH) --editable '.[training]'
	touch $@ $(VENV)/.service

$(VENV)/.study: $(INSTALLED_FROM) | $(BIN)/python
	@echo 'Installing training and study into $(VENV), torch included: $(MINUTES_OF_TORCH) ...'
	$(PIP_INSTALL) $(TORCH) --editable '.[study]'
	touch $@ $(VENV)/.training $(VENV)/.service

$(VENV)/.dev: $(INSTALLED_FROM) | $(BIN)/python
	@echo 'Installing everything into $(VENV), torch included: $(MINUTES_OF_TORCH) ...'
	$(PIP_INSTALL) $(TORCH) --editable '.[training,study,dev]'
	touch $@ $(VENV)/.study $(VENV)/.training $(VENV)/.service

# The baselines have an environment of their own: their dependencies never mix with ours.
$(VENV)-baselines/.baselines: benchmarks/baselines.txt | $(BIN)/python
	@echo 'Installing the baselines into $(VENV)-baselines: about a minute ...'
	$(PYTHON) -m venv $(VENV)-baselines
	$(VENV)-baselines/bin/python -m pip install --quiet --requirement $<
	touch $@

# It needs one exact version of scikit-learn.
$(VENV)-profanity/.profanity: study/baselines/profanity.txt | $(BIN)/python
	@echo 'Installing alt-profanity-check into $(VENV)-profanity: about a minute ...'
	$(PYTHON) -m venv $(VENV)-profanity
	$(VENV)-profanity/bin/python -m pip install --quiet --requirement $<
	touch $@
