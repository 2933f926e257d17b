# make demo    a real submission becomes a preserved package, on the file system and in S3
# make demo-s3 the same in a bucket alone
# make test    the tests
# make lint    ruff, mypy, the floors of the design
# make bench   ratios against cp, the usual pipeline, boto3, a bare loop of hashlib, and oaipmh's server

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo

# Of requirements-dev.lock, what the demo's S3 server needs.
S3_SERVER := moto flask flask-cors werkzeug jinja2 itsdangerous blinker cryptography cffi pycparser xmltodict responses \
	pyyaml py-partiql-parser

.PHONY: demo demo-s3 test lint bench lock clean

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py $(DEMO)

demo-s3: $(VENV)/.demo
	@$(BIN)/python examples/demo.py $(DEMO)-s3 --bucket-alone

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python bench/ingest.py
	$(BIN)/python bench/store.py
	$(BIN)/python bench/audit.py
	$(BIN)/python bench/oai.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lantai needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# What is installed is what the lock files say, hash by hash, this year and next.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing lantai into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Without it the demo goes on, and says what it does not show; the next run tries again.
$(VENV)/.demo: requirements-dev.lock Makefile $(VENV)/.run
	@echo "Installing the demo's S3 server into $(VENV) ..."
	@awk -v names=" $(S3_SERVER) " '/^[^ #]/ { split($$1, word, "=="); keep = index(names, " " word[1] " ") } keep' \
		requirements-dev.lock > $(VENV)/demo.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/demo.lock \
		&& touch $@ || echo "It cannot be installed; the demo goes on without it."

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# Needs uv. Only when a dependency is to change. The tests' lock comes first, since it asks for more: a judge of theirs
# bears with some versions of botocore only, and what users install is what was tested.
lock:
	uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --output-file requirements-dev.lock --extra dev pyproject.toml
	uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --output-file requirements.lock --constraint requirements-dev.lock pyproject.toml build.in

clean:
	rm -rf $(VENV) $(DEMO) $(DEMO)-s3 build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
