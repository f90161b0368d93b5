# Needs make, Python 3.11 or later with venv, and on Linux libcurl.so.4; `make setup` looks first and names what to
# install. Another Python: make setup PYTHON=python3.13

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
LABEL_STUDIO := .label-studio
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON = $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$each && break; done)

.PHONY: help setup demo test lint docs walk compat label-studio app

help:
	@echo "make demo   set up, then the main job on embedded images"
	@echo "make test   set up, then all tests"
	@echo "make lint   set up, then ruff, mypy and the import rules"
	@echo "make docs   set up, then the documents as pages in site/, the reference included"
	@echo "make walk   a walk through the demo in a browser, which takes the documents' pictures; needs Chromium; ten minutes"
	@echo "make compat a quick set of tests with other versions of Python, FiftyOne and MongoDB; takes an hour and 30 GB"
	@echo "make label-studio  a Label Studio of its own in $(LABEL_STUDIO), which the tests of that connection need"
	@echo "make app    the review panel's bundle, app/dist, from app/src (needs Node 18 or later; only who changes it does)"
	@echo "make setup  only the environment in $(VENV); nothing to do when it is up to date"

setup: $(STAMP)

demo: setup
	$(BIN)/winnow demo

# Two processes, each with a database, a home and a thread of its own: more threads than cores wait for each other. A
# file's tests stay together.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# mypy finds the package `winnow` through a link, since the folder is not called so.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p .types && ln -sfn .. .types/winnow
	$(BIN)/mypy
	$(BIN)/lint-imports

# Not part of CI: four environments of 7 GB each, in .compat.
compat:
	"$(PYTHON)" tests/compat/matrix.py --write docs/compatibility.md

# Warnings are errors: a link or an anchor that leads nowhere is one.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Not part of CI, whose tests walk the same ways on smaller datasets.
walk: setup label-studio
	OMP_NUM_THREADS=1 $(BIN)/python -m docs.walk docs/images

# The bundle is committed, since FiftyOne downloads plugins as they lie in the repository.
app:
	cd app && npm ci --no-audit --no-fund && npm run build

# In an environment of its own: it pins many packages, and Winnow must get along with other versions of them.
label-studio: $(LABEL_STUDIO)/.set-up

$(LABEL_STUDIO)/.set-up:
	"$(PYTHON)" -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip install 'label-studio>=1.23.2'
	touch $@

$(STAMP): pyproject.toml requirements.txt
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(IS_NEW_ENOUGH)'; then \
		echo "Python 3.11 or later is missing. On Debian or Ubuntu: apt-get install -y python3 python3-venv"; \
		echo "(where that is older: python3.11 python3.11-venv). On macOS: brew install python@3.13"; exit 1; fi
	@if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Python's venv is missing. Run: apt-get install -y python$$version-venv"; exit 1; fi
	@if [ "$$(uname -s)" = Linux ] && [ -z "$$FIFTYONE_DATABASE_URI" ] && \
		! "$(PYTHON)" -c 'import ctypes; ctypes.CDLL("libcurl.so.4")' 2>/dev/null; then \
		echo "libcurl.so.4 is missing; FiftyOne's MongoDB needs it. Run: apt-get install -y libcurl4"; exit 1; fi
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[dev,docs]'
	$(BIN)/winnow doctor --fix
	touch $(STAMP)
