# Needs make and Python 3.11+ (with venv); everything else is installed into .venv from the lock files.
# Нужны make и Python 3.11+ (с venv); остальное ставится в .venv из файлов *.lock.

# The first Python that is new enough; `make PYTHON=…` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
UV ?= .venv/bin/uv
# What the tests run on: file or lake.
ENGINE ?= file
BIN := .venv/bin
MESSAGE ?=
# make bench: QUICK=1 for a part of the data, TO=FILE for the closing table as Markdown, ONLY="crm publish" for some.
QUICK ?=
TO ?=
ONLY ?=
# Compiled modules are kept: a process of ours starts in half the time.
unexport PYTHONDONTWRITEBYTECODE
COMPILE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	-q --extra build

.PHONY: demo test campaign bench audit clean docs lock migration initial-migration python help

help:
	@echo 'make demo    a demo company, loaded and computed / демо-компания: загрузка и показатели'
	@echo 'make test    lint, types, tests / проверки и тесты'
	@echo 'make campaign  kills and faults by the hundred / сотни обрывов и сбоев'
	@echo 'make bench   the budgets, beside other tools; QUICK=1 in minutes / замеры скорости и памяти; QUICK=1 — за минуты'
	@echo 'make clean   removes .venv, .venv-bench, caches, demo-company / удаляет .venv, .venv-bench, кэши, demo-company'

demo: python
	@$(PYTHON) scripts/setup.py run
	@$(BIN)/voronka demo

# ENGINE=lake runs the tests on a lake, with a PostgreSQL of their own.
test: python
	@$(PYTHON) scripts/setup.py test lake
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	VORONKA_ENGINE=$(ENGINE) $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

# Kills by the hundred over a whole company, each in its own weather: an hour of a quiet machine.
campaign: python
	@$(PYTHON) scripts/setup.py test
	$(BIN)/python -m tests.campaign

# In an environment of its own: the tools it compares with bring dozens of packages.
bench: python
	@$(PYTHON) scripts/setup.py bench
	.venv-bench/bin/python -m benchmarks $(ONLY) $(if $(QUICK),--quick) $(if $(TO),--to '$(TO)')

clean: python
	@$(PYTHON) scripts/setup.py clean

# For developers, after `make test` once.

# After changing models/, metrics/sql or metrics/flags: writes what is made from them.
docs:
	$(BIN)/python -m scripts.docs
	$(BIN)/python -m scripts.schema

# After changing models/: writes a migration for each file whose models changed.
migration:
	@test -n '$(MESSAGE)' || { echo 'make migration MESSAGE="what changes"'; exit 2; }
	$(BIN)/python -m scripts.migration revision '$(MESSAGE)'

# Known vulnerabilities of everything locked. Needs the network, so it is no part of `make test`; a service that can't be
# reached fails it, and so does a package that can't be looked up (scripts/audit.py). Needs uv: `make audit UV=uv`.
audit: python
	@$(PYTHON) scripts/setup.py run
	$(BIN)/python -m scripts.audit $(UV) requirements-bench.lock

# Before the first release only: starts both histories anew from the models.
initial-migration:
	$(BIN)/python -m scripts.migration initial

# Needs uv: `make lock UV=uv`. The larger sets keep the versions of the smaller ones.
lock:
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --extra dev --extra bench pyproject.toml -c requirements-dev.lock -o requirements-bench.lock
	$(COMPILE) --extra lake pyproject.toml -c requirements.lock -o requirements-lake.lock

python:
	@test -n '$(PYTHON)' || { \
		echo 'Не найден Python 3.11 или новее. Установите его или укажите: make PYTHON=/path/to/python3.11 …'; \
		echo 'No Python 3.11 or newer was found. Install one, or say where it is: make PYTHON=/path/to/python3.11 …'; \
		exit 1; } >&2
