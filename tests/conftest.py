import ast, os, re, shutil, signal, sys
from pathlib import Path
import pytest
import notebooks # tools/
from course_lib.cores import wait_briefly
from tests.helpers import LIB

# Tests press Ctrl-C in programs that they start. Where pytest runs in the background of a shell, SIGINT is ignored,
# and such programs would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN: signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault('MPLBACKEND', 'agg')
wait_briefly() # also in what tests start

@pytest.fixture(autouse=True)
def same_draws():
    "A test that draws without a seed of its own draws the same numbers in each run."
    if 'torch' in sys.modules:
        from course_lib.core import set_seed
        set_seed(1)

# ------------------------------------------------------------------ make test NB=05

def pytest_addoption(parser):
    parser.addoption('--nb', default='', metavar='NAME', help=(
        'only the tests that concern this notebook (05, losses, lib/core): those that name it, or its module, and '
        'those in the files that use the names of its module most'))

def module_of(nb):
    "The module that the notebook `nb` exports, such as `losses`; an empty text if it exports none."
    found = re.search(r'#\| default_exp ([\w.]+)', nb.read_text(encoding='utf-8'))
    return found[1] if found else ''

def files_about(module, files):
    "The test `files` that use the public names of `module` most: at least half as often as the first of them."
    if not module: return set()
    text = (LIB/f'{module.replace(".", "/")}.py').read_text(encoding='utf-8')
    public = {*ast.literal_eval(re.search(r'^__all__ = (\[.*?\])', text, re.DOTALL | re.MULTILINE)[1])}
    files = [f for f in files if f.parent.name != 'notebooks'] # those are about all modules alike
    times = {f: sum(o in public for o in re.findall(r'\w+', f.read_text(encoding='utf-8'))) for f in files}
    return {f for f,n in times.items() if n and n >= max(times.values())/2}

def pytest_collection_modifyitems(config, items):
    if not config.getoption('--nb'): return
    try: nb = notebooks.find(config.getoption('--nb'))
    except SystemExit as e: raise pytest.UsageError(str(e)) from None
    module = module_of(nb)
    files = files_about(module, {i.path for i in items})
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

# ------------------------------------------------------------------ a browser

IN_BROWSER = 'tests/browser/', 'tests/site/'
BROWSERS = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'

@pytest.fixture(scope='session')
def browser():
    "A headless Chromium. Where there is none, the tests that need it skip and say so."
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed: pip install playwright')
    exe = next(filter(None, map(shutil.which, BROWSERS)), None)
    if exe is None: pytest.skip(f'there is no browser here ({", ".join(BROWSERS)}): install the package chromium')
    root = hasattr(os, 'geteuid') and os.geteuid() == 0 # Chromium refuses its sandbox to root
    with api.sync_playwright() as p:
        try: chromium = p.chromium.launch(executable_path=exe, args=['--no-sandbox'] if root else [])
        except api.Error as e: pytest.skip(f'the browser {exe} does not start: {str(e).splitlines()[0]}')
        yield chromium
        chromium.close()

def pytest_terminal_summary(terminalreporter):
    "Why these tests were skipped is said also with `-q`."
    skipped = [r for r in terminalreporter.stats.get('skipped', []) if r.nodeid.startswith(IN_BROWSER)]
    for why in sorted({r.longrepr[2] for r in skipped}): terminalreporter.write_line(f'not tested: {why}')
