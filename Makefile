# Two commands: `make compare` shows the main job, `make test` checks everything. Each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROWSER := $(VENV)/.browser
UV := uv==0.13.8

.PHONY: compare test test-all check format docs lock bench bench-keep results clean

compare: $(READY)  ## train four candidates × three seeds on the embedded digits, and name the report
	$(BIN)/foveate compare --data digits --backbone cifar_resnet20 --attention none,se,cbam,dmsca --seeds 3 --jobs 2

TEST := $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test: check $(BROWSER)  ## format, lint, types and the test suite, with a cover of each large product of cases
	$(TEST)

test-all: check $(BROWSER)  ## the same with every case of every product, and more examples of each property
	$(TEST) -m "" --hypothesis-profile full

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## the documentation as a site in site/; a broken link or an unknown name is an error
	$(BIN)/mkdocs build --strict

results: $(READY)  ## README.md's results and results/README.md, from the records that are kept in results/
	$(BIN)/python results/write.py

BENCHED := build/bench
bench: $(READY)  ## what attention costs, into docs/performance.md; fits and corruptions; fails where a figure became worse
	mkdir -p $(BENCHED)
	rm -f $(BENCHED)/*.json
	$(BIN)/python benchmarks/attention_price.py --write docs/performance.md --json $(BENCHED)/attention_price.json
	$(BIN)/python benchmarks/compiled_price.py --write docs/performance.md --json $(BENCHED)/compiled_price.json
	$(BIN)/python benchmarks/training_price.py --json $(BENCHED)/training_price.json
	$(BIN)/python benchmarks/fit_throughput.py --json $(BENCHED)/fit_throughput.json
	$(BIN)/python benchmarks/dense_throughput.py --json $(BENCHED)/dense_throughput.json
	$(BIN)/python benchmarks/corruption_price.py --json $(BENCHED)/corruption_price.json
	$(BIN)/python benchmarks/committed.py check $(BENCHED)

bench-keep: $(READY)  ## keep the figures of the last `make bench` as those that later runs are compared with
	$(BIN)/python benchmarks/committed.py keep $(BENCHED)

lock: $(READY)  ## resolve pyproject.toml anew
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --no-header --no-annotate --upgrade pyproject.toml -o requirements.lock

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "foveate needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Setting up $(VENV): 15 s with a warm cache of packages; a first download fetches some GB …"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

# Chromium for the tests that open pages, where it may be installed. Tried once; without it these tests are skipped.
$(BROWSER): $(READY)
	-@$(BIN)/python tests/chromium.py
	@touch $(BROWSER)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist site
