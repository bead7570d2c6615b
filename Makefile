# merbench: each target sets up what it needs. Variables: METHOD ON PRESET SEEDS WORKERS ARGS PYTHON
.DEFAULT_GOAL := help
.PHONY: help bench test lint fix check torture clean
BIN := .venv/bin

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/.ready: requirements.lock pyproject.toml .ci/setup
	@PYTHON="$(PYTHON)" sh .ci/setup

bench: .venv/.ready  ## train and score METHOD by leave-one-subject-out: make bench METHOD=ststnet ON=smic+casme2
	@test -n "$(METHOD)" || { echo "which method? make bench METHOD=svm_flow; all of them: $(BIN)/merbench methods" >&2; exit 2; }
	@$(BIN)/merbench bench $(METHOD) $(if $(ON),--on $(ON)) $(if $(PRESET),--preset $(PRESET)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

test: .venv/.ready  ## run the tests; on Linux also in Chromium
	@sh .ci/chromium
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/.ready  ## check format, style, types and the floors of the house
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: .venv/.ready  ## format, and mend what can be mended by itself
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

check: lint test  ## lint and test

torture: .venv/.ready  ## the slow proofs: many kills in the middle of runs
	@$(BIN)/python -m pytest -m torture

clean:  ## remove .venv and caches; runs and prepared data are kept
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +
