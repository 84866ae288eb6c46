# gradwire: `make demo` shows the main job, `make test` proves it. Everything lives in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pytest's own arguments, as in: make test ARGS="tests/hw -k adder"
ARGS ?=

.PHONY: help demo test test-all bench docs rtl lint format lock clean check

help:
	@echo "make demo       set up, then run the main job from generation to place and route"
	@echo "make test       set up, check the style, run the tests"
	@echo "make test-all   the same with the slow proofs"
	@echo "make bench      measure speeds, beside other software's"
	@echo "make docs       build the documentation site into build/docs, for a browser"
	@echo "make rtl        generate the committed Verilog and figures again, after a change of hw/"
	@echo "make lint       ruff: lint and format"
	@echo "make format     rewrite the sources as ruff formats them"
	@echo "make lock       pin the newest versions that pyproject.toml allows"
	@echo "make clean      remove the virtual environment and the caches in this folder"

demo: $(READY)
	$(BIN)/gradwire demo

test: lint
	$(BIN)/pytest -n auto $(ARGS)

test-all: lint
	$(BIN)/pytest -n auto -m "" $(ARGS)

# One thread for the libraries that would take more.
bench: export OMP_NUM_THREADS = 1
bench: export OPENBLAS_NUM_THREADS = 1
bench: $(READY)
	$(BIN)/python tests/sim/benchmark_golden.py
	$(BIN)/python -m sim.bench.speed

# A warning, such as of a link that leads nowhere, is an error, as in tests/docs/test_site.py.
docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

# What tests/gradwire/test_rtl_out.py compares byte for byte.
rtl: $(READY)
	$(BIN)/gradwire generate 3-3-3-1 -o rtl_out
	$(BIN)/python -m gradwire.gantt 3-3-3-1 docs/iteration.svg
	$(BIN)/python -m docs.figures

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamp is newer than the lock as long as the environment holds what the lock says.
$(READY): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory check
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation -e .
	@touch $@

check:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo "gradwire needs Python 3.11 or later, and there is no $(PYTHON):" \
			"name one with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gradwire needs Python 3.11 or later; $(PYTHON) is" \
			"$$($(PYTHON) -V 2>&1): name another with make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "gradwire needs Python's venv module (Debian: apt install python3-venv)"; exit 1; }
	@for compiler in $${CXX:-g++ c++ clang++}; do \
		command -v "$$compiler" >/dev/null 2>&1 && exit 0; done; \
		echo "gradwire needs a C++ compiler for the simulator, and there is no $${CXX:-g++}" \
			"(Debian: apt install g++)"; exit 1

lock: $(READY)
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --extra dev --allow-unsafe --strip-extras \
		--no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--no-emit-options --annotation-style=line -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
