import os, re
from pathlib import Path
import pytest
import notebooks # tools/

os.environ.setdefault('MPLBACKEND', 'agg')

# ------------------------------------------------------------------ make test NB=05

def pytest_addoption(parser):
    parser.addoption('--nb', default='', metavar='NAME', help=(
        'only the tests that concern this notebook (05, losses, lib/core): those with its name, or that of its module, '
        'in their own, and all in files that import the module'))

def module_of(nb):
    "The module that the notebook `nb` exports, such as `losses`; an empty text if it exports none."
    found = re.search(r'#\| default_exp ([\w.]+)', nb.read_text(encoding='utf-8'))
    return found[1] if found else ''

def imports(file, module):
    "Does the test `file` name course_lib's `module` in an import?"
    text = file.read_text(encoding='utf-8')
    one = rf'^ *(from course_lib import .*\b{re.escape(module)}\b|(from|import) course_lib\.{re.escape(module)}\b)'
    return bool(re.search(one, text, re.MULTILINE))

def pytest_collection_modifyitems(config, items):
    if not config.getoption('--nb'): return
    try: nb = notebooks.find(config.getoption('--nb'))
    except SystemExit as e: raise pytest.UsageError(str(e)) from None
    module = module_of(nb)
    files = {i.path for i in items if module and imports(i.path, module)}
    in_name = re.compile(rf'\[.*\b({nb.stem}|{re.escape(module.replace(".", "/") or nb.stem)}\.py)\b')
    kept = [i for i in items if i.path in files or in_name.search(i.name)]
    config.hook.pytest_deselected(items=[i for i in items if i not in kept])
    items[:] = kept

# ------------------------------------------------------------------ fixtures

@pytest.fixture(scope='session')
def root():
    "The folder of the project."
    return Path(__file__).resolve().parent.parent

@pytest.fixture
def home(tmp_path, monkeypatch):
    "An empty folder for data sets, in place of the learner's own."
    monkeypatch.setenv('COURSE_LIB_HOME', str(tmp_path/'home'))
    return tmp_path/'home'
