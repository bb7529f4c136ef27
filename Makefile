# A fresh machine needs Python >= 3.11, git and make; everything else is set up here, in .venv.
# The first interpreter that is new enough and really runs (a version manager's shim may not).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 4

.DEFAULT_GOAL := help
.PHONY: help demo test far check bench soak clean

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "btkite needs Python 3.11 or newer (with venv); found none"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## one strategy on history, on paper and live, on the built-in exchange
	@$(BIN)/btkite demo

test: $(STAMP)  ## all tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

far: $(STAMP)  ## all tests, on other days and in another time zone (fewer made-up strategies)
	@for day in 2027-03-01 2031-01-15; do \
		echo "$$day, New York"; \
		BTKITE_CLOCK=$$day BTKITE_EXAMPLES=15 TZ=America/New_York $(BIN)/python -m pytest -n $(JOBS) || exit 1; done

check: $(STAMP)  ## lint, types and the import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

bench: $(STAMP)  ## paired timings, ratios printed
	@for b in benchmarks/[a-z]*.py; do case $$b in */paired.py) ;; *) $(BIN)/python $$b || exit 1 ;; esac; done

soak: $(STAMP)  ## thousands of made-up strategies through the three modes, with new seeds; a day killed everywhere
	@BTKITE_SOAK=1 $(BIN)/python -m pytest tests/parity/test_parity.py tests/market/test_matching.py -n $(JOBS)
	@BTKITE_SOAK=1 $(BIN)/python -m pytest tests/fast/test_pairs.py -n $(JOBS)
	@BTKITE_SOAK=1 $(BIN)/python -m pytest tests/checks -s
	@BTKITE_SOAK=1 $(BIN)/python -m pytest tests/faults/test_placement.py tests/faults/test_scenario_15.py
	@BTKITE_SOAK=1 $(BIN)/python -m pytest tests/faults/test_scenario_03.py tests/faults/test_scenario_05.py tests/faults/test_scenario_06.py tests/faults/test_scenario_07.py tests/faults/test_scenario_12.py

clean:  ## forget the environment and what was built
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .ruff_cache
