"""The exercises of the chapters that train, without the training: each solution passes its check, a wrong answer does not.

Of the cells above an exercise only those are run whose names it needs, directly or by way of others."""
import ast, json, os, subprocess, sys, types
from pathlib import Path
import pytest
from tests.helpers import NBS, ROOT, cells
from tests.notebooks.test_chapters import SKIP, exercises, problems_of

CHAPTERS = '07_learner', '08_schedules', '12_regression', '16_scale', '17_coming_from_fastai'

def made_and_used(code):
    "The names that the top level of `code` makes, and all names that it uses. A `@patch` makes its class anew."
    made, used = set(), set()
    for node in ast.parse(code).body:
        loads = {o.id for o in ast.walk(node) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Load)}
        used |= loads
        made |= {o.id for o in own_nodes(node) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}
        if isinstance(node, (ast.Import, ast.ImportFrom)): made |= {o.asname or o.name.split('.')[0] for o in node.names}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): made |= patched(node) or {node.name}
    return made, used

def own_nodes(node):
    "The nodes of a statement that are run with it: not those in a function or class."
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.GeneratorExp, ast.DictComp)): return
    yield node
    for o in ast.iter_child_nodes(node): yield from own_nodes(o)

def patched(node):
    if not any('patch' in ast.unparse(o) for o in node.decorator_list): return set()
    return {node.args.args[0].annotation.id}

def needed(nb, ends):
    "The positions of the cells that the exercises at `ends` need."
    cs, wanted, found = cells(nb), set(), set()
    for i in reversed(range(max(ends) + 1)):
        c = cs[i]
        if not c.is_code or c.is_exported or any(o in c.text for o in SKIP): continue
        if i in ends or '@exercise(' in c.text:
            text = '\n'.join([c.text, *ends[i].solution.splitlines()] if i in ends and ends[i].solution else [c.text])
            wanted |= made_and_used(text)[1]
            if '@exercise(' in c.text: found.add(i)
            continue
        made, used = made_and_used(c.text)
        if made & wanted or c.text.lstrip().startswith(('import ', 'from ')):
            found.add(i)
            wanted |= used
    return found

def verify(nb):
    "What is wrong with the exercises of `nb`, how many solutions were run, and how many cells."
    import matplotlib
    matplotlib.use('agg')
    os.chdir(nb.parent)
    todo, problems = dict(exercises(nb)), []
    sys.modules['__main__'] = main = types.ModuleType('__main__')
    scope = main.__dict__
    exec('from course_lib.all import *\nfrom fastcore.test import *', scope)
    scope['display'] = lambda *o: None
    run = needed(nb, todo)
    for i,c in enumerate(cells(nb)):
        if i in run: exec(compile(c.text, f'{nb.stem}[{i}]', 'exec'), scope)
        if i in todo: problems += [f'{nb.stem}, {todo[i].head!r}: {o}' for o in problems_of(todo[i], scope)]
    return problems, sum(bool(e.solution) for e in todo.values()), len(run)

@pytest.mark.parametrize('chapter', CHAPTERS)
def test_solutions_pass_their_checks_and_starters_do_not(chapter):
    command = [sys.executable, '-m', 'tests.exercises.test_solutions_without_training', NBS/f'{chapter}.ipynb']
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    problems, n, _ = json.loads(run.stdout.splitlines()[-1])
    assert problems == [] and n >= 3

if __name__ == '__main__': print('\n' + json.dumps(verify(Path(sys.argv[1]).resolve())))
