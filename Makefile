# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
# Everything runs in .venv, which the first command makes (.ci/setup) and the next ones find ready.

PY := .venv/bin/python
# Many small factorizations: BLAS threads would only wait for one another, and pytest already uses all cores.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types doctest docs bench bench-growth bench-peers clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile | expand -t 24

.venv/ready: pyproject.toml setup.cfg .ci/setup
	@bash .ci/setup
	@touch $@

.venv/ready-docs: .venv/ready
	@bash .ci/setup docs
	@touch $@

demo: .venv/ready ## fit 73 421 instructor evaluations and draw a caterpillar plot
	@mkdir -p demo && cd demo && ../$(PY) ../examples/instructor_evaluations.py

test: .venv/ready ## run the tests
	@$(ONE_THREAD) $(PY) -m pytest -q -n auto

lint: .venv/ready ## check style, format and docstrings
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) docs/check_docstrings.py

format: .venv/ready ## rewrite the code in the house's format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: .venv/ready ## check types (strictly in the numerical room)
	@$(PY) -m mypy

# marginaleffects is not installed here: tox -e neighbours tries it.
doctest: .venv/ready ## run the examples in the docstrings
	@$(ONE_THREAD) $(PY) -m pytest -q -n auto --doctest-modules --ignore=interlace/tests \
	    --ignore=interlace/neighbours/marginaleffects.py interlace

docs: .venv/ready-docs ## build the documentation; a warning is an error
	@$(ONE_THREAD) $(PY) -m sphinx -W --keep-going -q -E -j auto -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/ready ## time linear and generalised models on every engine present, one thread: benchmarks/results/*.md
	@$(ONE_THREAD) $(PY) benchmarks/run.py
	@$(ONE_THREAD) $(PY) benchmarks/run.py --generalised
	@$(ONE_THREAD) $(PY) benchmarks/floor.py

bench-growth: .venv/ready ## time and memory against rows and levels, as plots in benchmarks/results
	@$(ONE_THREAD) $(PY) benchmarks/growth.py --timeout 20

bench-peers: .venv/ready ## install R's lme4 and the Python peers into environments of their own, for bench
	@PYTHON=$(abspath $(PY)) bash benchmarks/make-peers.sh

clean: ## remove what the other commands made
	@rm -rf .venv demo benchmarks/cache benchmarks/peers docs/_build docs/reference/generated \
	    build dist .coverage htmlcov *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .tox
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
