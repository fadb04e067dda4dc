"Questions answered by clicking, in JupyterLab: from the button to the verdict, and to the file of progress."
import json, re
import pytest
from course_lib.questions import questions
from course_lib.cards import PASS
from .conftest import in_lab, run_cells

@pytest.fixture(scope='module')
def lab(browser, tmp_path_factory):
    "A tab with a notebook that asks questions 1 and 9, and the folder where progress is kept."
    folder = tmp_path_factory.mktemp('lab')
    with in_lab(browser, folder, ['from course_lib.questionnaire import ask', 'ask(1)', 'ask(9)']) as tab:
        yield tab, folder/'home'

def words(s): return re.sub(r'\W+', ' ', s).strip()

def test_choices_are_buttons(lab):
    tab, home = lab
    run_cells(tab, 3)
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
    buttons = {words(b.text_content())[2:]: b for b in cell.locator('.jupyter-button').all()}
    assert set(buttons) == set(map(words, [*message, q.right]))
    for text in [*message, q.right]:
        buttons[words(text)].click()
        said = words(message.get(text, q.feedback))
        tab.wait_for_function(FOUND, arg=[n, said])
    kept = json.loads((home/'progress.json').read_text())['questions'][str(n)]
    assert (kept['status'], kept['tries']) == (PASS, len(buttons))
