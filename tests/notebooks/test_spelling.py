"The spelling that `make test` looks at: which texts, and that a slip in each kind of them is found."
import json, subprocess, sys
import pytest
import spelling, test as steps_of_make # tools/
from tests.helpers import NOTEBOOKS, ROOT, cells, name

SLIP = 'seper' + 'ate' # in two parts, or this file would have a misspelt word

@pytest.fixture
def small(tmp_path):
    "A project of three files, without a slip."
    (tmp_path/'nbs').mkdir()
    (tmp_path/'tests').mkdir()
    notebook(tmp_path, 'Two colours.', 'grey = 1')
    (tmp_path/'README.md').write_text('Neighbours of the centre')
    (tmp_path/'tests'/'test_a.py').write_text('# normalised\n')
    return tmp_path

def notebook(project, text, code, printed=''):
    cells = [dict(cell_type='markdown', source=[text]),
             dict(cell_type='code', source=code.splitlines(True), outputs=[dict(output_type='stream', text=[printed])])]
    (project/'nbs'/'01_a.ipynb').write_text(json.dumps(dict(cells=cells)))

def found(project):
    pytest.importorskip('codespell_lib')
    return spelling.misspelt(project)

def test_british_words_are_right(small): assert found(small) == []

def test_slip_in_prose(small):
    notebook(small, f'One.\n\nTwo {SLIP} things.', 'x = 1')
    assert found(small) == [f'nbs/01_a.ipynb/0:3: {SLIP} ==> separate']

@pytest.mark.parametrize('code', ['x = 1 # {}', 'x = "{}"', '{} = 1', 'def f():\n    "A {} thing."'])
def test_slip_in_code(small, code):
    notebook(small, 'One.', code.format(SLIP))
    assert len(found(small)) == 1 and 'nbs/01_a.ipynb/1' in found(small)[0]

def test_what_a_cell_prints_is_left_out(small):
    notebook(small, 'One.', 'x = 1', printed=SLIP)
    assert found(small) == []

@pytest.mark.parametrize('file', ['README.md', 'CONTRIBUTING.md', 'tests/test_a.py', 'tools/b.py', 'tests/faults/c.py',
                                  'settings.ini', 'Makefile', '.github/workflows/test.yml', 'bench/README.md'])
def test_slip_in_a_text(small, file):
    (small/file).parent.mkdir(parents=True, exist_ok=True)
    (small/file).write_text(f'# a\n# {SLIP}\n')
    assert found(small) == [f'{file}:2: {SLIP} ==> separate']

def test_all_notebooks_are_looked_at(tmp_path):
    spelling.collect(ROOT, tmp_path)
    for nb in NOTEBOOKS: assert len(list((tmp_path/name(nb)).iterdir())) == len(cells(nb))

@pytest.mark.parametrize('wish', ['', '--quick', '05'])
def test_is_a_step_of_make_test(wish): assert ['tools/spelling.py'] in list(steps_of_make.steps(wish))

def test_it_ends_with_the_words_and_what_to_do(small, monkeypatch):
    notebook(small, SLIP, 'x = 1')
    pytest.importorskip('codespell_lib')
    monkeypatch.setattr(spelling, 'ROOT', small)
    (small/'.codespellrc').write_text('[codespell]\n')
    with pytest.raises(SystemExit, match='(?s)codespellrc.*nbs/01_a.ipynb/0:1: seper'): spelling.main()

def test_project_is_spelt_right():
    pytest.importorskip('codespell_lib')
    run = subprocess.run([sys.executable, 'tools/spelling.py'], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
