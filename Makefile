# Two commands on a fresh machine with Python ≥ 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test quick check docs assets clean

demo: $(VENV)/.demo
	$(BIN)/python fixtures/demo.py demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

quick: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow and not browser and not cluster"

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/.test
	$(BIN)/python docs/generate.py

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[test]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo
