# `make help` lists what there is. Each target does its own set-up in .venv; nothing else is touched.

PYTHON ?= python3
BIN := .venv/bin
EXAMPLE ?= profile
DEMO := .demo/acme-reports
SAMPLE := $(DEMO)/src/acme_reports/static/sample.xlsx

.PHONY: help demo dev pictures docs test matrix chaos fuzz bench bench-store bench-streams bench-upload bench-scale lock lint fmt clean
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

demo: .venv/.demo ## bake an app, install it, make a report from a sample, and serve it
	@$(BIN)/cookiecutter . --no-input --default-config --overwrite-if-exists --output-dir .demo >/dev/null
	@$(MAKE) --no-print-directory -C $(DEMO) .venv/.run
	$(DEMO)/.venv/bin/acme-reports process $(SAMPLE) -o .demo/report.xlsx
	@$(MAKE) --no-print-directory -C $(DEMO) run

dev: .venv/.demo ## bake into .dev with links back to the template: make dev EXAMPLE=merge
	@$(BIN)/python tools/link.py .dev $(EXAMPLE)

pictures: dev ## write the screenshots that the README shows
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.dev
	cd .dev/acme-reports && .venv/bin/python -m pytest tests/e2e/test_look.py -k screenshots --screenshots $(CURDIR)/docs

docs: dev ## write what is reference in the app's docs anew, in the template
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.run
	.dev/acme-reports/.venv/bin/python .dev/acme-reports/tools/docs.py '{{cookiecutter.project_slug}}'

test: .venv/.dev lint ## prove everything: the template, its bakes, and a baked app's own tests
	$(BIN)/python -m pytest $(ARGS)

matrix: .venv/.dev ## all tests of an app of every answer, one after the other: make matrix BAKES="2 3"
	$(BIN)/python tests/matrix.py $(BAKES)

fuzz: dev ## calls and files made by chance, for a baked app: make fuzz EXAMPLES=5000 FILES=2000
	@$(MAKE) --no-print-directory -C .dev/acme-reports fuzz

chaos: dev ## kill a baked app at every stage: make chaos KILLS=100 SEED=1 BACKEND=distributed
	@$(MAKE) --no-print-directory -C .dev/acme-reports chaos

bench: .venv/.bench ## ours beside what people would use instead: make bench PEERS="gradio ours" ONLY="jobs"
	PYTHONPATH=benchmarks $(BIN)/python -m compare $(if $(PEERS),--peers $(PEERS)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

bench-store: dev ## the session store beside flask-silo's; needs wrk
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.run
	.dev/acme-reports/.venv/bin/python -m pip install --quiet flask-silo==0.1.6
	.dev/acme-reports/.venv/bin/python benchmarks/store.py $(ARGS)

bench-streams: dev ## live streams of one process: who has news, how late, what else still answers
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.run
	.dev/acme-reports/.venv/bin/python benchmarks/streams.py $(ARGS)

bench-upload: dev ## a large upload, raw and as a form, beside a bare copy
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.run
	.dev/acme-reports/.venv/bin/python benchmarks/upload.py $(ARGS)

bench-scale: dev ## jobs, queue, sessions, uploads and streams with Redis, Celery and a bucket
	@$(MAKE) --no-print-directory -C .dev/acme-reports .venv/.dev
	.dev/acme-reports/.venv/bin/python benchmarks/scale.py $(ARGS)

lock: .venv/.demo ## renew the locks of the generated app; needs the package index
	@rm -rf $(DEMO)
	@$(BIN)/cookiecutter . --no-input --default-config --output-dir .demo >/dev/null
	@$(MAKE) --no-print-directory -C $(DEMO) lock
	cp $(DEMO)/requirements*.lock '{{cookiecutter.project_slug}}'

lint: .venv/.dev ## ruff, format and types of the template's own Python
	$(BIN)/ruff check benchmarks hooks tests tools
	$(BIN)/ruff format --check benchmarks hooks tests tools
	$(BIN)/mypy

fmt: .venv/.dev ## format the template's own Python
	$(BIN)/ruff check --fix benchmarks hooks tests tools
	$(BIN)/ruff format benchmarks hooks tests tools

clean: ## remove all that the targets above made
	rm -rf .venv .demo .dev .bench .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Stamps: the environment is made again only when the list of requirements changes.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo 'This Python cannot make environments. On Debian or Ubuntu: apt install python3-venv'; exit 1; }
	$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.demo: .venv/.made pyproject.toml
	$(BIN)/python -m pip install --quiet .
	@touch $@

.venv/.dev: .venv/.made pyproject.toml
	$(BIN)/python -m pip install --quiet '.[dev]'
	@touch $@ .venv/.demo

# The browser is one that is there; the baked app's tests know how to bring one.
.venv/.bench: .venv/.demo
	$(BIN)/python -m pip install --quiet openpyxl playwright
	@touch $@
