"""How the code reads: docments, names, and the signs that a chapter has become the listing of a library.

Line length and unused names are ruff's (`ruff.toml`)."""
import ast, builtins, dis, json, statistics, tokenize, types
from collections import defaultdict
from importlib import import_module
from pathlib import Path
import pytest
from tests.helpers import CHAPTERS, MODULES, NOTEBOOKS, code, imports, module, name, ours, tree, trees

# Still to do, by test. Take a notebook out when it is done.
TODO = {}

def each(paths, test):
    "Parameters for a test; what is to be done yet is expected to fail."
    not_yet = pytest.mark.xfail(reason='still to do', strict=True) # who is done is taken from the list
    todo = TODO.get(test, '').split()
    return [pytest.param(p, id=name(p), marks=[not_yet] if name(p) in todo else []) for p in paths]

# ------------------------------------------------------------------ docments

def signatures(py):
    "(function, {line: comment}, lines of its signature) for each function in `py`."
    with open(py, 'rb') as f: tokens = [t for t in tokenize.tokenize(f.readline) if t.type == tokenize.COMMENT]
    comments = {t.start[0]: t.string for t in tokens}
    for node in ast.walk(tree(py)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)): continue
        end = node.body[0].lineno if node.body[0].lineno == node.lineno else node.body[0].lineno - 1
        yield node, {n: comments[n] for n in range(node.lineno, end + 1) if n in comments}

@pytest.mark.parametrize('py', each(MODULES, 'arrows'))
def test_what_a_function_returns_is_an_annotation(py):
    "nbdev gives a comment in a signature to the parameter before it: `# -> Tensor` would describe that one."
    arrows = [f'{f.name}: {c}' for f,comments in signatures(py) for c in comments.values() if '->' in c]
    assert arrows == []

@pytest.mark.parametrize('py', each(MODULES, 'one_a_line'))
def test_a_parameter_with_a_comment_has_its_own_line(py):
    "nbdev gives a comment to the last parameter on its line, whatever it is about."
    shared = []
    for f,comments in signatures(py):
        given = [*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs, f.args.vararg, f.args.kwarg]
        lines = [a.lineno for a in given if a and a.arg not in ('self', 'cls')]
        if not f.name.startswith('_'): shared += [f'{f.name}: {c}' for n,c in comments.items() if lines.count(n) > 1]
    assert shared == []

# ------------------------------------------------------------------ names

@pytest.mark.parametrize('py', each(MODULES, 'underscores'))
def test_no_underscored_name_crosses_modules(py):
    assert [(m, o) for m,o in imports(py) if ours(m) and o and o.startswith('_')] == []

def globals_used(code):
    "Names that the functions in `code` will look up in their module."
    yield from (o.argval for o in dis.get_instructions(code) if o.opname == 'LOAD_GLOBAL')
    for o in code.co_consts:
        if isinstance(o, types.CodeType): yield from globals_used(o)

@pytest.mark.parametrize('py', each(MODULES, 'unknown'))
def test_every_name_is_known(py):
    "After a move, `import *` no longer brings some name; without this one would know when its line runs."
    used = set(globals_used(compile(py.read_text(encoding='utf-8'), py, 'exec')))
    known = vars(import_module(f'course_lib.{module(py)}'))
    assert sorted(o for o in used if o not in known and not hasattr(builtins, o)) == []

def public(m): return import_module(f'course_lib.{m}').__all__

def test_no_name_is_public_in_two_modules():
    where = defaultdict(list)
    for m in map(module, MODULES):
        for o in public(m) if m != 'all' else []: where[o].append(m)
    assert {o: ms for o,ms in where.items() if len(ms) > 1 and o not in TODO.get('public_twice', '').split()} == {}

def test_no_underscored_name_is_public():
    assert [(m, o) for m in map(module, MODULES) for o in public(m) if o.startswith('_')] == []

def test_no_public_name_is_lost():
    "What `from course_lib.all import *` once brought, it brings: notebooks out in the world rely on it."
    once = json.loads((Path(__file__).parent/'names.json').read_text())
    assert [o for o in once if o not in public('all')] == []

# ------------------------------------------------------------------ signs of a listing

def learned(nb):
    "The cells that are to be read: neither plumbing, nor folded away."
    return [c for c in code(nb) if c.lines and not c.is_plumbing and not c.is_folded]

@pytest.mark.parametrize('nb', each(CHAPTERS, 'cell'))
def test_no_cell_is_a_page(nb):
    assert {c.lines[0]: len(c.lines) for c in learned(nb) if len(c.lines) > 20} == {}

@pytest.mark.parametrize('nb', each(CHAPTERS, 'median'))
def test_most_cells_are_short(nb):
    assert statistics.median(len(c.lines) for c in learned(nb)) <= 4

@pytest.mark.parametrize('nb', each(CHAPTERS, 'share'))
def test_less_than_half_of_the_code_is_exported(nb):
    "The steps that lead to an exported class or function take more room than it."
    lines = {kind: sum(len(c.lines) for c in learned(nb) if c.is_exported == kind) for kind in (True, False)}
    assert lines[True] <= lines[False]

@pytest.mark.parametrize('nb', each(CHAPTERS, 'raises'))
def test_a_cell_raises_once(nb):
    "What validates at length lives in `checks`, under a name that says what it does."
    raising = [[ast.unparse(o) for o in ast.walk(t) if isinstance(o, ast.Raise)] for t in trees(nb)]
    assert [rs for rs in raising if len(rs) > 1] == []

@pytest.mark.parametrize('nb', each(NOTEBOOKS, 'function'))
def test_a_function_fits_on_a_screen(nb):
    found = [o for t in trees(nb) for o in ast.walk(t) if isinstance(o, ast.FunctionDef)]
    assert {o.name: n for o in found if (n := o.end_lineno - o.lineno + 1) > 35} == {}
