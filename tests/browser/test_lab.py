"Questions answered by clicking, in JupyterLab: from the button to the verdict, and to the file of progress."
import json, os, re
import nbformat, pytest
from course_lib.questions import questions
from course_lib.cards import PASS
from .conftest import served

FOLDERS = 'JUPYTER_CONFIG_DIR', 'JUPYTER_RUNTIME_DIR', 'JUPYTERLAB_SETTINGS_DIR', 'JUPYTERLAB_WORKSPACES_DIR'

def write_notebook(file, cells):
    kernel = dict(name='python3', display_name='Python 3', language='python')
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata=dict(kernelspec=kernel))
    nbformat.write(nb, file)

@pytest.fixture(scope='module')
def lab(browser, tmp_path_factory):
    """A tab with a notebook that asks questions 1 and 9, and the folder where progress is kept.

    The cells are not run yet."""
    folder = tmp_path_factory.mktemp('lab')
    home, work = folder/'home', folder/'work'
    work.mkdir()
    write_notebook(work/'asked.ipynb', ['from course_lib.questionnaire import ask', 'ask(1)', 'ask(9)'])
    root_user = hasattr(os, 'geteuid') and os.geteuid() == 0
    args = ['-m', 'jupyterlab', '--no-browser', '--port={port}', f'--ServerApp.root_dir={work}',
            '--IdentityProvider.token=', *(['--allow-root'] if root_user else [])]
    env = {k: str(folder/k) for k in FOLDERS}
    with pytest.MonkeyPatch.context() as m: # the kernel must not think that it is in a test
        for o in 'PYTEST_CURRENT_TEST', 'IN_TEST': m.delenv(o, raising=False)
        with served(args, folder/'log', COURSE_LIB_HOME=str(home), COURSE_PROGRESS='on', **env) as address:
            tab = browser.new_page(viewport=dict(width=1100, height=1600))
            tab.set_default_timeout(60_000)
            tab.goto(f'{address}doc/tree/asked.ipynb')
            yield tab, home
            tab.close()

def words(s): return re.sub(r'\W+', ' ', s).strip()

def test_choices_are_buttons(lab):
    tab, home = lab
    tab.get_by_text('| Idle').wait_for() # the kernel is there; what is run before is lost
    tab.locator('.jp-CodeCell .cm-content').first.click()
    for _ in range(3): tab.keyboard.press('Shift+Enter')
    tab.get_by_text('Your choice:').nth(1).wait_for()
    assert not (home/'progress.json').exists() # asking is not answering

# Is there a cell that asks question `n` and holds the words `said`? Punctuation and spaces do not count.
FOUND = """([n, said]) => [...document.querySelectorAll('.jp-CodeCell')].some(cell =>
    cell.innerText.includes(`ask(${n})`) &&
    cell.innerText.replace(/[^\\p{L}\\p{N}_]+/gu, ' ').includes(said))"""

@pytest.mark.parametrize('n', [1, 9])
def test_each_choice_has_its_answer(lab, n):
    "Wrong ones first, then the right one; each says what it means, and all of them count as tries."
    tab, home = lab
    q = next(q for q in questions if q.n == n)
    message = {w.answer: w.message for w in q.wrong}
    cell = tab.locator('.jp-CodeCell', has_text=f'ask({n})')
    buttons = {b.get_attribute('title'): b for b in cell.locator('.jupyter-button').all()}
    assert set(buttons) == {*message, q.right}
    for text in [*message, q.right]:
        buttons[text].click()
        said = words(message.get(text, q.feedback))
        tab.wait_for_function(FOUND, arg=[n, said])
    kept = json.loads((home/'progress.json').read_text())['questions'][str(n)]
    assert kept == dict(status=PASS, tries=len(buttons))
