"A headless Chromium, and the page of chapter 15. Where one of them is missing, these tests skip and say which."
import os, shutil, signal, subprocess, sys, time, urllib.request
from contextlib import contextmanager
from pathlib import Path
import pytest
from tests.helpers import free_port

HERE = Path(__file__).resolve().parent
BROWSERS = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'

@pytest.fixture(scope='session')
def browser():
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
    skipped = [r for r in terminalreporter.stats.get('skipped', []) if 'tests/browser/' in r.nodeid]
    for why in sorted({r.longrepr[2] for r in skipped}): terminalreporter.write_line(f'tests/browser: {why}')

@contextmanager
def served(args, log, **env):
    """Run a program until it answers on the address that it prints first; yields the address.

    `{port}` in `args` is a free port."""
    port = free_port()
    command = [sys.executable, *(str(o).replace('{port}', str(port)) for o in args)]
    with open(log, 'w') as f: program = subprocess.Popen(command, stdout=f, stderr=f, env={**os.environ, **env})
    try:
        address, opener = f'http://127.0.0.1:{port}/', urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(300):
            if address in log.read_text() or program.poll() is not None: break
            time.sleep(.2)
        assert address in log.read_text(), log.read_text()
        assert opener.open(address, timeout=30).status == 200
        yield address
    finally:
        program.send_signal(signal.SIGINT)
        try: program.wait(15)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()

def need_gradio(): pytest.importorskip('gradio', reason='gradio is not installed: pip install "course_lib[app]"')

@pytest.fixture(scope='session')
def stand_in(browser, tmp_path_factory):
    "Address of the page with a stand-in for a model, and its folder."
    need_gradio()
    folder = tmp_path_factory.mktemp('page')
    with served([HERE/'page.py', '{port}', folder], folder/'log') as address: yield address, folder

@pytest.fixture
def page(browser, stand_in):
    "The page, freshly opened. It must not ask for anything outside of this machine, nor log an error."
    tab = browser.new_page()
    tab.set_default_timeout(20_000)
    asked, errors = [], []
    tab.on('request', lambda r: asked.append(r.url))
    tab.on('pageerror', lambda e: errors.append(str(e)))
    tab.goto(stand_in[0])
    tab.get_by_text('No picture yet').wait_for()
    yield tab
    tab.close()
    assert [u for u in asked if not u.startswith((stand_in[0], 'data:', 'blob:'))] == []
    assert errors == []
