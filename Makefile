# make demo [ARGS="--customers 2000 --exit"]   everything from nothing: install, move a running shop, report
# make test [ARGS="-k quality"]                install, then all tests (ARGS=tests/stream: the hard cases of the stream alone)
# make test-long [SEED=1] [EXAMPLES=2000]      install, then thousands of random histories instead of two dozen
# make test-kafka                              install, then the tests on Apache Kafka and Kafka Connect (java, mvn)
# make crash-matrix                            install, then every process killed at every point; writes the page of results
# make death-table                             install, then somebody killed at every step of cutover and rollback; writes that page
# make cutover-drill [ARGS="--rounds 2"]       install, then 20 cutovers and rollbacks under the writer; writes the page of gaps and losses
# make mutation [ARGS=envelope] [SINCE=commit] install, then mutants of replay, envelope and merge: what no test notices is printed
# make lint                                    install, then ruff, mypy and the rules of who imports whom
# make clean                                   stop the stack and remove what these targets made

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test test-long test-kafka crash-matrix death-table cutover-drill mutation lint install clean

demo: install
	$(VENV)/bin/shopferry demo $(ARGS)

# What wants PostgreSQL alone goes side by side; whole stacks would be in each other's way, and go one after the other.
test: install
ifdef ARGS
	$(VENV)/bin/pytest $(ARGS)
else
	@failed=0; set -x; \
	  $(VENV)/bin/pytest -n logical --maxprocesses 8 --dist loadscope -m "not stack and not airflow and not kafka" || failed=1; \
	  $(VENV)/bin/pytest -m "stack or airflow or kafka" || failed=1; exit $$failed
endif

test-long: install
	SHOPFERRY_PROFILE=long SHOPFERRY_SEED=$(SEED) SHOPFERRY_EXAMPLES=$(EXAMPLES) \
	  $(VENV)/bin/pytest -s tests/integration/test_properties.py $(ARGS)

test-kafka: install
	@mkdir -p build; if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then \
	  echo "test-kafka: skipped, java or mvn is missing here"; \
	elif ! mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/build/kafka >build/mvn.log 2>&1; then \
	  echo "test-kafka: skipped, mvn cannot resolve the servers here (build/mvn.log says why)"; \
	else SHOPFERRY_KAFKA_JARS=$(CURDIR)/build/kafka $(VENV)/bin/pytest tests/kafka $(ARGS); fi

crash-matrix: install
	rm -f build/crash-matrix.jsonl
	SHOPFERRY_MATRIX=$(CURDIR)/build/crash-matrix.jsonl $(VENV)/bin/pytest tests/crash/test_matrix.py tests/crash/test_scheduler.py $(ARGS); passed=$$?; \
	  $(VENV)/bin/python tests/crash/page.py build/crash-matrix.jsonl > docs/reference/crash-matrix.md && exit $$passed

death-table: install
	rm -f build/death-table.jsonl
	SHOPFERRY_MATRIX=$(CURDIR)/build/death-table.jsonl $(VENV)/bin/pytest tests/crash/test_deaths.py tests/crash/test_deaths_airflow.py $(ARGS); \
	  passed=$$?; $(VENV)/bin/python tests/crash/deaths_page.py build/death-table.jsonl > docs/reference/death-table.md && exit $$passed

cutover-drill: install
	$(VENV)/bin/python benchmarks/cutover.py --page docs/reference/cutover-drill.md $(ARGS)

mutation: install
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	mkdir -p build && tests/mutation/run.sh $(or $(ARGS),envelope replay merge)

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check include dags plugins tests benchmarks
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "shopferry needs Python 3.11 or newer; choose one with: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "this Python has no venv/ensurepip; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,test,lint]'
	@touch $@

clean:
	@if [ -x $(VENV)/bin/shopferry ]; then $(VENV)/bin/python -c 'from shopferry import stack; stack.down(purge=True)'; fi
	rm -rf $(VENV) build include/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache demo-report.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
