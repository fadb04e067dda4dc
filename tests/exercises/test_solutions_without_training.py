"""Exercises of chapters that train, without the training: each solution passes its check, a wrong answer does not.

Of the cells above an exercise only those are run whose names it needs, directly or by way of others."""
import ast, json, os, subprocess, symtable, sys, types
from pathlib import Path
import pytest
from tests.helpers import NBS, ROOT, cells
from tests.notebooks.test_chapters import SKIP, exercises, problems_of

CHAPTERS = '07_learner', '08_schedules', '12_regression', '16_scale', '17_coming_from_fastai'

def made_and_used(code):
    "The names that the top level of `code` makes, and those that it uses. A `@patch` makes its class anew."
    table, tree, made = symtable.symtable(code, '', 'exec'), ast.parse(code), set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef): made |= patched(node) or {node.name}
    classes = {name for o in tree.body for name in patched(o)}
    made |= {o.get_name() for o in table.get_symbols() if o.is_assigned() or o.is_imported()}
    return made, classes | {o.get_name() for t in tables(table) for o in t.get_symbols() if is_read(t, o)}

def tables(table):
    yield table
    for o in table.get_children(): yield from tables(o)

def is_read(table, symbol): return symbol.is_referenced() and (table.get_type() == 'module' or symbol.is_global())

def patched(node):
    if not any('patch' in ast.unparse(o) for o in getattr(node, 'decorator_list', [])): return set()
    return {node.args.args[0].annotation.id}

def needed(nb, ends):
    "The positions of the cells that the exercises at `ends` need: of each name where it was last made."
    cs, uses, makers, found = cells(nb)[:max(ends) + 1], {}, {}, set()
    for i,c in enumerate(cs):
        if not c.is_code or c.is_exported or any(o in c.text for o in SKIP): continue
        made, uses[i] = made_and_used(c.text + '\n' + (ends[i].solution or '' if i in ends else ''))
        if i in ends: continue
        for name in made: makers.setdefault(name, []).append(i)
        if '@exercise(' in c.text or c.text.lstrip().startswith(('import ', 'from ')): found.add(i)
    todo = [*found, *ends]
    while todo:
        i = todo.pop()
        for name in uses[i] & makers.keys():
            last = max((j for j in makers[name] if j < i), default=i)
            if last not in found and last not in ends: todo.append(last)
            found.add(last)
    return found

def verify(nb):
    "What is wrong with the exercises of `nb`, how many solutions were run, and how many cells."
    import matplotlib
    matplotlib.use('agg')
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
def test_solutions_pass_their_checks_and_starters_do_not(chapter, tmp_path):
    command = [sys.executable, __file__, NBS/f'{chapter}.ipynb']
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT/'tools')])}
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    problems, n, _ = json.loads(run.stdout.splitlines()[-1])
    assert problems == [] and n >= 3

if __name__ == '__main__': print('\n' + json.dumps(verify(Path(sys.argv[1]).resolve())))
