# The two commands: `make shop` and `make test`. Both need nothing but Python 3.11 and make.

PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help shop test quick lint types tests wheel coverage bench bench-quick format clean

help: ## show this list
	@sed -n 's/^\([a-z -]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

shop: .venv/shop ## run the example shop on http://127.0.0.1:8080 (PORT=... for another)
	@$(BIN)/uvicorn examples.shop.app:app --port $(PORT)

test: .venv/dev ## everything CI runs, in under fifteen minutes: lint, types, wheel, quick benchmarks, tests
	scripts/lint
	scripts/types
	scripts/wheel
	scripts/bench
	scripts/tests

quick: .venv/dev ## what a change must pass before anybody looks at it, in under five minutes: lint, types, fast tests
	scripts/lint
	scripts/types
	scripts/tests -m "not slow"

lint types tests wheel: .venv/dev ## one part of `make test`
	@scripts/$@

coverage: .venv/dev ## branches of core/ that none of its own tests reaches
	@$(BIN)/coverage run -m pytest -q tests/core
	@$(BIN)/coverage report --skip-covered

bench: .venv/bench ## how fast it is, beside what the disk allows and its peers: half an hour, needs npm
	@scripts/bench --scale full
	@$(BIN)/python -m benchmarks.charts

bench-quick: .venv/dev ## how fast it is, beside what the disk allows: two minutes
	@scripts/bench

format: .venv/dev ## let ruff mend what it can
	@scripts/lint --fix

clean: ## remove the virtual environments and all caches
	rm -rf .venv .peers .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

# The stamps: made again when pyproject.toml changes, so that a second run starts at once.
.venv/shop: pyproject.toml | $(BIN)/python
	@echo "Installing the shop's dependencies into .venv ..."
	@$(BIN)/python -m pip install --quiet --editable '.[server,client]'
	@touch $@

.venv/dev: pyproject.toml | $(BIN)/python
	@echo "Installing the development tools into .venv ..."
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' # knows dependency groups
	@$(BIN)/python -m pip install --quiet --editable '.[server,client]' --group dev
	@touch $@

.venv/bench: pyproject.toml | $(BIN)/python
	@echo "Installing what the benchmarks need into .venv ..."
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --editable '.[server,client]' --group bench
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("durable needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
