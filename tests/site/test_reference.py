"The reference has every public name, and says of it what its source says."
import ast, re, sys
from importlib import import_module
import pytest
from tests.helpers import LIB, MODULES, ROOT, module

sys.path.append(str(ROOT/'website'))
import api, pages as made

NAMES = [m for m in map(module, MODULES) if m != 'all']

@pytest.fixture(scope='module')
def texts(tmp_path_factory):
    "{name of a page: its text}, without the website."
    return {p.stem: p.read_text(encoding='utf-8') for p in api.write(tmp_path_factory.mktemp('api'))}

def test_every_public_name_is_on_the_page_of_its_module(pages):
    "It has an anchor there, which search and links lead to."
    missing = [(m, name) for m in NAMES for name in import_module(f'course_lib.{m}').__all__
               if not {f'course_lib.{m}.{name}', name} & pages[f'api/{m}.html'].anchors]
    assert missing == []

def test_every_page_of_a_module_is_in_the_list(pages):
    led = {*pages['api/index.html'].leads_to}
    assert [m for m in NAMES if f'{m}.html' not in led] == []

def signature(text, name):
    "What stands after a name where it is described."
    return re.search(rf'^`+\{{py:\w+\}} {re.escape(name)}(\(.*)?$', text, re.MULTILINE)[1]

def test_a_function_with_its_parameters(texts):
    text = texts['datablock']
    assert signature(text, 'RandomSplitter') == '(valid_pct: float=0.2, seed: int=None)'
    assert '| `valid_pct` | `float` | `0.2` | The share that goes to validation |' in text
    assert '../03_datablock.html#cell-' in text and 'Taught in <a' in text

def test_methods_stand_with_their_class_wherever_they_are_written(texts):
    learner, tta = texts['learner'], texts['tta']
    assert learner.index('{py:class} Learner(') < learner.index('{py:method} tta(')
    assert 'added by <a href="tta.html">tta</a>' in learner and '`Learner.tta <course_lib.learner.Learner.tta>`' in tta
    assert '{py:method} tta(' not in tta

def test_a_class_is_called_as_its_init_or_as_that_of_its_base():
    things = api.reference().things
    assert things['DataBlock'].args.startswith('(blocks')
    heir = next(t for t in things.values() if t.kind == 'class' and '__init__' not in t.members and t.params)
    assert heir.args.startswith('(')

def test_what_comes_back(texts):
    assert '*Gives* `' in ''.join(texts.values())

@pytest.mark.parametrize('m', NAMES)
def test_each_name_has_a_source(m):
    "The cell of a notebook that exists, and in it the name."
    for t in api.reference().public(m):
        notebook, cell = t.cell
        source = next(''.join(c['source']) for c in api.cells(notebook) if c['id'] == cell)
        assert re.search(rf'\b{t.name}\b', source), t.name

def test_parameters_are_those_of_the_function():
    "Compared with what Python itself says."
    import inspect
    wrong = {}
    for m in 'losses', 'metrics', 'datablock', 'vision':
        loaded = import_module(f'course_lib.{m}')
        for t in api.reference().public(m):
            f = getattr(loaded, t.name)
            if t.kind != 'function' or not inspect.isfunction(f) or hasattr(f, '__wrapped__'): continue
            if [p.name.lstrip('*') for p in t.params] != list(inspect.signature(f).parameters): wrong[t.name] = t.args
    assert wrong == {}

@pytest.mark.parametrize('text, want', [('a `b|c` d', 'a `b|c` d'), ('*args and _x_', r'\*args and \_x\_'),
                                        ('a[0] < $b', r'a\[0\] \< \$b')])
def test_plain_text_stays_what_it_is(text, want): assert api.escaped(text) == want

def test_a_comment_belongs_to_the_last_parameter_of_its_line():
    text = 'def f(a, b=1, # of b\n    *c,\n    d:int=2, # of d\n) -> str: # of what comes\n    "x"\n'
    node, comments = ast.parse(text).body[0], api.comments_of(text)
    assert [(p.name, p.comment) for p in api.params_of(node, comments)] == [
        ('a', ''), ('b', 'of b'), ('*c', ''), ('d', 'of d')]
    assert api.returns_of(node, comments).comment == 'of what comes'

# ------------------------------------------------------------------ the other pages

def test_each_term_of_the_index_is_in_the_glossary(pages):
    assert len(made.terms()) > 40
    anchors = [f'term-{re.sub(r"[^A-Za-z0-9]+", "-", term).strip("-")}' for term,*_ in made.terms()]
    assert [o for o in anchors if o not in pages['glossary.html'].ids] == []

def test_each_difference_of_chapter_17_is_listed():
    "As many as its sections say, each with what fastai does; and no sentence that announces code which is not there."
    text = made.differences(dict(git_url='https://example.org/x', branch='main'))
    chapter = '\n'.join(o for o in made.texts(made.DIFFERENCES) if o)
    headings = re.findall(r'^### (?!Exercise)(.+)$', chapter, re.MULTILINE)
    assert len(headings) > 20 and [h for h in headings if f'### {h}' not in text] == []
    assert f'{len(headings)} things differ' in text
    assert [o for o in text.split('\n\n') if o.endswith(':')] == []

def test_the_last_figures_come_first():
    text = made.speed(dict(git_url='https://example.org/x', branch='main'))
    heads = re.findall(r'^## (.+)$', text, re.MULTILINE)
    assert heads[0] == 'Last figures' and len(heads) == len(set(heads)) > 3
    assert re.search(r'\| +\|\n\|---', text) is None # each column has a head
    assert '| measurement |' in text and LIB.name in text
