"The form of a chapter, and its exercises: each solution passes the check in its cell; a wrong answer and none do not."
import json, os, re, subprocess, sys, types
from functools import partial
from pathlib import Path
import pytest
from course_lib.assign import folded_solution, solution_code
from course_lib.questionnaire import check
from tests.helpers import CHAPTERS, ROOT, cells, code, numbered, prose

def section(nb, title):
    "The text below a heading, up to the next one."
    found = re.search(rf'^## {title}\n(.*?)(?=^## |\Z)', prose(nb), re.DOTALL | re.MULTILINE)
    assert found, f'there is no section {title!r}'
    return found[1]

each_chapter = pytest.mark.parametrize('nb', CHAPTERS, ids=lambda p: p.stem)

# Form

@each_chapter
def test_promises_three_to_five_abilities(nb):
    assert 3 <= len(re.findall(r'^- \w', section(nb, 'What you will be able to do'), re.MULTILINE)) <= 5

@each_chapter
def test_says_how_long_it_runs_and_which_questions_it_answers(nb):
    head = section(nb, 'What you will be able to do')
    found = re.search(r'^\*Runs in (.*?)\.? on two cores(.*)\*$', head, re.MULTILINE)
    assert found and re.search(r'second|minute', found[1]) and 'question' in found[2]
    without_chapters = re.sub(r'chapters? \d+( and \d+)?', '', found[2])
    assert all(1 <= int(n) <= len(numbered()) for n in re.findall(r'\b\d+\b', without_chapters))

@each_chapter
def test_recap_is_a_table_of_names(nb):
    lines = [line for line in section(nb, 'Recap').splitlines() if line.startswith('|')]
    rows = [[o.strip() for o in re.split(r'(?<!\\)\|', line)[1:-1]] for line in lines]
    assert len(rows) >= 5 and rows[0][0] in ('name', 'step')
    assert all(len(r) == len(rows[0]) and r[0] and r[1] for r in rows)

@each_chapter
def test_every_figure_has_a_caption(nb):
    cs = cells(nb)
    def caption(i): return 0 <= i < len(cs) and not cs[i].is_code and '*Figure' in cs[i].text
    assert [c.text[:80] for i,c in enumerate(cs) if c.draws and not (caption(i-1) or caption(i+1))] == []

# Exercises

PLACE = re.compile(r'^(?!\s*(if|#(?! your))\b).*\.\.\.|# your|# change this') # where the answer goes

class Exercise:
    "A starter cell in two halves, up to the place of the answer and after it, and the code of its solution, if any."
    def __init__(self, starter, solution):
        lines = starter.splitlines()
        at = max((i for i,line in enumerate(lines) if PLACE.search(line)), default=None)
        assert at is not None, f'this starter has no place for an answer:\n{starter}'
        self.head, rest = '\n'.join(lines[:at+1]), lines[at+1:]
        self.check = '\n'.join(re.sub(r'^# ?', '', line) for line in rest)
        self.solution = solution_code(solution)

    @property
    def wrong(self):
        "The starter, with a wrong answer in its place."
        returning = re.sub(r'^((?:def|class) .*:) \.\.\.', r"\1 return 'wrong'", self.head, flags=re.MULTILINE)
        return re.sub(r'\.\.\.', "'wrong'", returning)

def exercises(nb):
    "Pairs of the position of a starter cell and its `Exercise`: a code cell before a text with a folded solution."
    cs = cells(nb)
    for i,c in enumerate(cs):
        folded = folded_solution(c.text)
        if not c.is_code and folded and i and cs[i-1].is_code: yield i-1, Exercise(cs[i-1].text, folded)

TEACHING = [p for p in CHAPTERS if p.stem != '13_questionnaire']
each_teaching = pytest.mark.parametrize('nb', TEACHING, ids=lambda p: p.stem)

def asked(nb):
    "The numbers of the questions that `nb` asks and checks in its exercises."
    asks = [int(n) for c in code(nb) for n in re.findall(r'^ask\((\d+)\)$', c.text, re.MULTILINE)]
    checks = [int(n) for c in code(nb) for n in re.findall(r'^check\((\d+), ', c.text, re.MULTILINE)]
    assert asks == checks and len(set(asks)) == len(asks)
    return asks

# An exercise stands after the section that it belongs to: a heading, a task, a folded check, a starter, a solution

HEAD = re.compile(r'^### Exercise (\d\d\.\d+)(?: · question (\d+))? · (●●●|●●○|●○○) · (\d+) minutes?$', re.MULTILINE)
HINTED = re.compile(r"^#\| code-fold: true\n@exercise\('(\d\d\.\d+)'", re.MULTILINE)

def parts(nb):
    "For each exercise of a chapter: what its heading says, and the texts of its cells, as pairs of kind and text."
    found = []
    for c in cells(nb):
        head = None if c.is_code else HEAD.search(c.text)
        if head: found.append((head, []))
        elif not c.is_code and re.search(r'^#{2,3} ', c.text, re.MULTILINE): found.append((None, []))
        if found: found[-1][1].append((c.is_code, c.text))
    return [o for o in found if o[0]]

@each_teaching
def test_exercises_stand_where_their_section_ends(nb):
    heads = [head for head,_ in parts(nb)]
    assert len(re.findall(r'^#+ +Exercise', prose(nb), re.MULTILINE)) == len(heads), 'a heading of another form'
    assert [h[1] for h in heads] == [f'{nb.stem[:2]}.{k}' for k in range(1, len(heads) + 1)] and len(heads) >= 2
    sections = re.split(r'^## ', prose(nb), flags=re.MULTILINE)
    assert sum(bool(HEAD.search(o)) for o in sections) >= 2, 'all in one section'

def test_chapters_have_three_exercises_on_average():
    counts = {nb.stem: len(parts(nb)) for nb in TEACHING}
    assert sum(counts.values()) >= 3*len(TEACHING), counts

@each_teaching
def test_every_exercise_is_checked_and_has_hints_and_a_folded_solution(nb):
    for head,body in parts(nb):
        code_cells, text = [t for is_code,t in body if is_code], '\n'.join(t for is_code,t in body if not is_code)
        if head[2]:
            assert any(t.startswith(f'ask({head[2]})') for t in code_cells), head[0]
            continue
        assert [m[1] for t in code_cells if (m := HINTED.match(t))] == [head[1]], f'{head[0]}: one folded check'
        starters = [t for t in code_cells if t.splitlines()[-1].startswith(f"check('{head[1]}', ")]
        assert len(starters) == 1 and PLACE.search(starters[0]), f'{head[0]}: one starter, with the check at its end'
        assert text.count('<details><summary>Solution</summary>') == text.count('</details>') == 1, head[0]

@each_teaching
def test_questions_are_asked_where_they_are_taught(nb):
    here = [q.n for q in numbered() if q.asked_in == nb.stem[:2]]
    if not here: return # chapter 12 asks again what it teaches in full
    assert sorted(asked(nb)) == here, (f'{nb.name} asks the questions {asked(nb)}, '
                               f'but by their `asked_in` in nbs/lib/questions.ipynb it asks {here}')
    head = section(nb, 'What you will be able to do')
    for n in here: assert re.search(rf'\b{n}\b', head), f'the head does not name question {n}'

def test_no_check_needs_a_later_chapter():
    read = {q.n: q.read for q in numbered()}
    for nb in TEACHING:
        for n in asked(nb): assert min(chapter[:2] for chapter,_ in read[n]) <= nb.stem[:2], (nb.stem, n)

def test_asked_in_is_a_chapter():
    chapters = {nb.stem[:2] for nb in TEACHING} | {''}
    assert {q.n: q.asked_in for q in numbered() if q.asked_in not in chapters} == {}

def fails(code, scope):
    try: exec(code, {**scope})
    except Exception: return True
    return False

SKIP = 'nbdev_export()', 'eval: false', 'matplotlib_inline' # the last one would start an IPython of its own

def problems_of(e, scope):
    "What is wrong with an exercise, where the names of `scope` are known."
    scope = {**scope, 'check': partial(scope.get('check', check), strict=True)} # an answer that does not pass raises
    if e.solution:
        try: exec('\n'.join([e.head, e.solution, e.check]), {**scope})
        except Exception as err: yield f'the solution fails: {type(err).__name__}: {err}'
    for kind,given in ('a wrong answer', e.wrong), ('the starter', e.head):
        if e.check.strip() and not fails(f'{given}\n{e.check}', scope): yield f'the check also passes {kind}'

def verify(nb):
    "Run a chapter up to each exercise. Returns what is wrong with them, and how many solutions were run."
    import matplotlib
    matplotlib.use('agg')
    os.chdir(nb.parent)
    sys.modules['__main__'] = main = types.ModuleType('__main__') # where pickle looks for what the notebook defines
    scope, todo, problems, n = main.__dict__, dict(exercises(nb)), [], 0
    scope['display'] = lambda *o: None
    for i,c in enumerate(cells(nb)):
        if e := todo.pop(i, None):
            n += bool(e.solution)
            problems += [f'{nb.stem}, {e.head!r}: {o}' for o in problems_of(e, scope)]
        if not todo: break
        if c.is_code and not any(o in c.text for o in SKIP): exec(compile(c.text, f'{nb.stem}[{i}]', 'exec'), scope)
    return problems, n

QUICK = '01_pandas 02_dataloaders 03_datablock 04_vision 05_losses 06_metrics 11_augment'.split() # the others train

@pytest.mark.slow
@pytest.mark.parametrize('nb', [p for p in CHAPTERS if p.stem in QUICK], ids=lambda p: p.stem)
def test_solutions_pass_their_checks_and_starters_do_not(nb):
    command = [sys.executable, '-m', 'tests.notebooks.test_chapters', nb] # a process of its own: chapters patch classes
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    problems, n = json.loads(run.stdout.splitlines()[-1])
    assert problems == [] and n >= 1

if __name__ == '__main__': print('\n' + json.dumps(verify(Path(sys.argv[1]).resolve())))
