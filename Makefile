# Two commands on a fresh machine with Python ≥ 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
NET := fixtures/squeezenet1_1.onnx
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Two files at a time, one thread each: the numbers do not change, the time halves.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: demo test quick lint check docs page clean

demo: $(VENV)/.demo
	mkdir -p demo
	$(BIN)/inspector summarize $(NET) --depth 1
	$(BIN)/inspector draw $(NET) -o demo/structure.svg
	$(BIN)/inspector export-weights $(NET) -o demo/weights
	$(BIN)/inspector predict $(NET) --input fixtures/coffee.png
	$(BIN)/inspector kernels $(NET) -o demo/kernels.png
	$(BIN)/inspector features $(NET) --input fixtures/coffee.png -o demo/features --values relu
	$(BIN)/inspector attribute $(NET) --input fixtures/coffee.png --method grad-cam -o demo/heat.png
	@echo "Done. Look into demo/: structure.svg, weights/, kernels.png, features/index.html, heat.png"

test: $(VENV)/.test $(VENV)/.browser
	$(PYTEST)

quick: $(VENV)/.test
	$(PYTEST) -m "not slow and not browser and not cluster"

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

check: lint
	$(BIN)/pyright
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/.test
	$(BIN)/python docs/generate.py

# Needs Node.js; what it writes to inspector/workbench/dist is committed, so that nobody else does.
page:
	cd inspector/workbench/source && npm ci --no-audit && npm run build

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[test]"
	touch $@ $(VENV)/.demo

# A Chromium for the browser tests: the system's, Debian's package where we may install it, else Playwright's own.
# Where none can be had, those tests are skipped and say so.
$(VENV)/.browser: $(VENV)/.test
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get && timeout 120 apt-get update -qq && timeout 300 apt-get install -qq -y chromium; then :; \
	elif PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT=10000 $(BIN)/python -m playwright install chromium; then :; \
	else echo "No Chromium could be installed; the browser tests will be skipped."; exit 0; fi && touch $@

clean:
	rm -rf $(VENV) demo
