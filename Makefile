# Every target sets up what it needs: system packages (apt), then .venv with the locked dependencies.
# PYTHON=/path/to/python3 chooses the interpreter that .venv is made with.

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-bench demo check test test-all fuzz bench clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadgroup

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the command offhook in it
	@bash scripts/setup.sh demo

setup-test:
	@bash scripts/setup.sh test

setup-bench: setup-test
	@bash scripts/setup.sh bench

demo: setup ## the console on a demo carrier on this machine, with a sample queue
	@$(BIN)/offhook demo

check: setup ## ruff, mypy and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: setup-test check ## check, then the fast tests (what CI runs)
	@$(PYTEST) -m "not slow"

test-all: setup-test check ## check, then every test: soak, fuzz and corpora too
	@$(PYTEST)

SECONDS := 60
fuzz: setup-test ## fuzz what reads the network's messages, a minute or SECONDS=n
	@$(BIN)/python tests/fuzz/fuzz_message.py $(SECONDS)

bench: setup-bench ## the benchmarks in tests/bench, about a quarter of an hour
	@$(BIN)/python tests/bench

clean: ## remove .venv, caches and build results
	rm -rf .venv .setup.lock build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	  .import_linter_cache snapshot_report.html
	find engine tui themes tests -name __pycache__ -type d -prune -exec rm -rf {} +
