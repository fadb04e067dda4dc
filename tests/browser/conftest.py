"JupyterLab, and the page of chapter 15. Where one of them is missing, these tests skip and say which."
import os, signal, subprocess, sys, time, urllib.request
from contextlib import contextmanager
from pathlib import Path
import nbformat, pytest
from tests.helpers import free_port

HERE = Path(__file__).resolve().parent

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

FOLDERS = 'JUPYTER_CONFIG_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTERLAB_SETTINGS_DIR', 'JUPYTERLAB_WORKSPACES_DIR'

def write_notebook(file, cells):
    kernel = dict(name='python3', display_name='Python 3', language='python')
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata=dict(kernelspec=kernel))
    nbformat.write(nb, file)

@contextmanager
def in_lab(browser, folder, cells):
    """A tab of JupyterLab with a notebook of `cells`, which are not run yet. Progress is kept in `folder/'home'`.

    The page has its own JupyterLab as `jupyterapp`."""
    work = folder/'work'
    work.mkdir()
    write_notebook(work/'asked.ipynb', cells)
    root_user = hasattr(os, 'geteuid') and os.geteuid() == 0
    args = ['-m', 'jupyterlab', '--no-browser', '--port={port}', f'--ServerApp.root_dir={work}',
            '--expose-app-in-browser', '--IdentityProvider.token=', *(['--allow-root'] if root_user else [])]
    env = {k: str(folder/k) for k in FOLDERS}
    with pytest.MonkeyPatch.context() as m: # the kernel must not think that it is in a test
        for o in 'PYTEST_CURRENT_TEST', 'IN_TEST': m.delenv(o, raising=False)
        with served(args, folder/'log', COURSE_LIB_HOME=str(folder/'home'), COURSE_PROGRESS='on', **env) as address:
            tab = browser.new_page(viewport=dict(width=1100, height=1600))
            tab.set_default_timeout(60_000)
            tab.goto(f'{address}doc/tree/asked.ipynb')
            yield tab
            tab.close()

def run_cells(tab, n):
    "Run the first `n` cells."
    tab.get_by_text('| Idle').wait_for() # the kernel is there; what is run before is lost
    tab.locator('.jp-CodeCell .cm-content').first.click()
    for _ in range(n): tab.keyboard.press('Shift+Enter')

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
