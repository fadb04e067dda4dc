"Every question: what is asked, what passes, what does not, and what is said to each mistake."
import ast, copy, dataclasses, functools, json, random, re
from collections import Counter
import pytest
from course_lib.sandbox import Outcome, agree, compile_answer, run_own
from course_lib.cards import PASS, SELF_ASSESSED, TRY_AGAIN, UNANSWERED
from course_lib.quiz import Progress, Quiz
from course_lib.questions import questions

BY_N = {q.n: q for q in questions}
NUMBERED = [q for q in questions if isinstance(q.n, int)]
CODE = [q for q in questions if q.kind == 'code']
CHOICES = [q for q in questions if q.kind == 'choice']
each_question = pytest.mark.parametrize('q', questions, ids=lambda q: str(q.n))
each_code = pytest.mark.parametrize('q', CODE, ids=lambda q: str(q.n))

def quiz(seed=7, learner='course'): return Quiz(questions, Progress(on=False), learner, seed)
def unshrunk(q): return dataclasses.replace(q, smaller=None) if q.kind == 'code' else q # a search for the smallest input takes a while, and has tests of its own
FAST = Quiz([unshrunk(q) for q in questions], Progress(on=False), 'course', seed=5)

def right(q):
    return {'code': lambda: q.reference, 'choice': lambda: q.right, 'predict': lambda: q.truth, 'words': lambda: range(1, len(q.points)+1)}[q.kind]()
def given(q, w): return tuple(w.answer.get(i, t) for i,t in enumerate(q.truth)) if q.kind == 'predict' else w.answer

def test_there_are_17_of_the_kinds_that_the_course_promises():
    assert [q.n for q in NUMBERED] == list(range(1, 18))
    assert {q.n for q in CODE} == {2, 3, 4, 8, 12, 13, 15, 17}
    assert {q.n for q in questions if q.kind == 'predict'} == {5, 6, 7, 10, 11, 14, 16}
    assert {q.n for q in CHOICES} == {1, 9}
    assert {q.n for q in questions if q.kind == 'words'} == {'A', 'B'}, 'only projects are self-assessed'

@each_question
def test_untouched_starter_does_not_pass(q):
    seen = []
    exec(q.starter, {'check': lambda n, answer: seen.append((n, answer))})
    (n, answer), = seen
    assert n == q.n
    card = quiz().check(n, answer if q.kind != 'words' else ...)
    assert card.status == UNANSWERED and not card.passed
    assert 'no answer yet' in card.text()

def test_starters_are_those_of_the_notebook(root):
    cells = [''.join(c['source']) for c in json.loads((root/'nbs'/'13_questionnaire.ipynb').read_text(encoding='utf-8'))['cells']]
    for q in NUMBERED:
        assert q.starter in cells, f'question {q.n}'
        assert f'ask({q.n})' in cells

@pytest.mark.parametrize('seed', [1, 2])
@each_question
def test_references_pass(q, seed):
    for answer in [right(q), *getattr(q, 'also', ())]:
        card = quiz(seed).check(q.n, answer)
        assert card.status == (SELF_ASSESSED if q.kind == 'words' else PASS), (answer, card.text())
        assert card.after == q.explanation

WRONGS = [(q, w) for q in questions for w in q.wrong]
@pytest.mark.parametrize('q,w', WRONGS, ids=[f'{q.n}-{w.name}' for q,w in WRONGS])
def test_named_mistake_gets_its_own_message(q, w):
    card = FAST.check(q.n, given(q, w))
    assert card.status == TRY_AGAIN and card.mistake == w.name, card.text()
    assert card.body == w.message

@each_question
def test_mistakes_are_at_least_three_and_told_apart(q):
    if q.kind != 'words': assert len(q.wrong) >= 3
    assert not [m for m,k in Counter(w.message for w in q.wrong).items() if k > 1]
    assert not [m for m,k in Counter(w.name for w in q.wrong).items() if k > 1]
    assert all(len(w.message) > 30 for w in q.wrong)

# ---------------------------------------------------------------- choices

def place(q, learner): return list(quiz(learner=learner) and q.options(learner).values()).index(q.right)

def test_position_of_the_right_choice_varies():
    learners = [f'learner {i}' for i in range(60)]
    for learner in learners: assert len({place(q, learner) for q in CHOICES}) == len(CHOICES), 'never the same place twice'
    for q in CHOICES:
        counts = Counter(place(q, o) for o in learners)
        assert len(counts) == 4 and max(counts.values()) < 30, counts

def test_order_of_choices_is_the_learners_own_and_stays():
    for q in CHOICES:
        assert q.options('a') == q.options('a')
        assert len({tuple(q.options(f'{i}').values()) for i in range(20)}) > 5

@pytest.mark.parametrize('q', CHOICES, ids=lambda q: str(q.n))
def test_letters_in_any_form(q):
    z = quiz()
    letter = next(k for k,v in q.options('course').items() if v == q.right)
    for answer in letter, letter.upper(), f' {letter})', f'({letter}).': assert z.check(q.n, answer).passed
    for answer in 'z', '', 3, 'because', None, [letter]: assert not z.check(q.n, answer).passed
    assert sum(z.check(q.n, k).passed for k in q.options('course')) == 1

# ---------------------------------------------------------------- predictions

@pytest.mark.parametrize('q', [q for q in questions if q.kind == 'predict'], ids=lambda q: str(q.n))
def test_predictions_in_any_form(q):
    import torch
    z, as_lists = quiz(), json.loads(json.dumps(q.truth))
    assert z.check(q.n, as_lists).passed
    assert z.check(q.n, tuple(torch.tensor(v) if isinstance(v, (float, list)) and not isinstance(v, str) and _numeric(v) else v for v in as_lists)).passed
    for answer in (), q.truth[:-1], q.truth + (1,), 5, 'a', None, {}, tuple('x' for _ in q.truth): assert not z.check(q.n, answer).passed
    assert z.check(q.n, (..., *q.truth[1:])).status == UNANSWERED

def _numeric(v): return isinstance(v, float) or (isinstance(v, list) and v and all(isinstance(o, (int, float)) for o in v))

def test_a_wrong_prediction_is_not_told_the_truth():
    for q in questions:
        if q.kind != 'predict': continue
        for i in range(len(q.places)):
            said = tuple(123456 if j == i else t for j,t in enumerate(q.truth))
            text = quiz().check(q.n, said).text()
            assert q.places[i] in text
            assert not re.search(rf'{re.escape(q.places[i])} +->  {re.escape(repr(q.truth[i]))}', text)

# ---------------------------------------------------------------- hints and solutions

def spans(text): return re.findall(r'`([^`]+)`', text)

@each_question
def test_hints_never_hold_the_answer(q):
    assert len(q.hints) >= 2
    text = '\n'.join(q.hints)
    if q.kind == 'code':
        for source in [q.reference, *q.also]:
            for node in ast.walk(ast.parse(source.strip())):
                if isinstance(node, (ast.Return, ast.Lambda, ast.Expr)):
                    value = node.body if isinstance(node, ast.Lambda) else node.value
                    code = ast.unparse(value)
                    assert len(code) < 10 or code not in text
        for span in spans(text): assert not quiz().check(q.n, span).passed, f'`{span}` is an answer'
    if q.kind == 'choice': assert q.right not in text
    if q.kind == 'predict': assert not all(re.search(rf'(?<![\w.]){re.escape(str(v))}(?![\w.])', text) for v in q.truth)

@each_question
def test_hints_are_a_ladder_that_ends(q):
    z = quiz()
    bodies = [z.hint(q.n).body for _ in range(len(q.hints) + 2)]
    assert bodies == [*q.hints, q.hints[-1], q.hints[-1]]
    assert 'last hint' in z.hint(q.n).text()

@each_question
def test_solution_passes_and_says_why(q):
    card = quiz().solution(q.n)
    assert q.explanation and q.explanation in card.body
    if q.kind == 'code': assert quiz().check(q.n, re.search(r'```\n(.*?)\n```', card.body, re.S)[1]).passed

@each_question
def test_what_to_read_exists(q, root):
    assert q.read
    for chapter,section in q.read:
        files = list((root/'nbs').glob(f'{chapter[:2]}_*.ipynb'))
        if not files: continue # a chapter to come
        cells = json.loads(files[0].read_text(encoding='utf-8'))['cells']
        headings = {m.strip() for c in cells if c['cell_type'] == 'markdown' for m in re.findall(r'^#+ (.*)$', ''.join(c['source']), re.M)}
        assert section in headings, f'{files[0].name} has no section {section!r}; it has {sorted(headings)}'

# ---------------------------------------------------------------- inputs

@each_code
def test_inputs_are_fresh_and_the_reference_leaves_them_alone(q):
    a, b = (repr(list(q.cases(random.Random(s)))) for s in (1, 2))
    assert a != b
    ref = compile_answer(q.reference, q.params)
    for args in q.cases(random.Random(3)):
        before = repr(args)
        ref(*args)
        assert repr(args) == before

@each_code
def test_simpler_inputs_are_valid_and_end(q):
    ref = compile_answer(q.reference, q.params)
    for args in list(q.cases(random.Random(4)))[:8]:
        for _ in range(60):
            less = next(iter(q.smaller(*args)), None)
            if less is None: break
            ref(*less)
            args = less

SMALLEST = [(2, 'first only', "'cat', 'dog'|'dog', 'cat'"), (2, 'letters', "'catfish'"), (4, 'table', ''), (12, 'clipped', 'tensor([[120.]])|tensor([[-120.]])'),
            (13, 'at least', 'inp = tensor([[0.]])|inp = tensor([[0.5000]])'), (15, 'no offset', 'x = tensor([0.])|x = tensor(0.)')]
@pytest.mark.parametrize('n,name,text', SMALLEST, ids=[f'{n}-{name}' for n,name,_ in SMALLEST])
def test_the_example_shown_is_small(n, name, text):
    w = next(w for w in BY_N[n].wrong if w.name == name)
    card = quiz().check(n, w.answer)
    example = dict(card.evidence)['The smallest input on which it goes wrong']
    assert any(t in example for t in text.split('|')), example
    assert {'It gave', 'Expected'} <= set(dict(card.evidence))

# ---------------------------------------------------------------- mutants of the references

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Gt: ast.GtE,
         ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.In: ast.NotIn, ast.NotIn: ast.In}
NAMES = {'iloc': 'loc', 'loc': 'iloc', 'logsigmoid': 'softplus', 'softplus': 'logsigmoid', 'sigmoid': 'tanh', 'tanh': 'sigmoid', 'mean': 'sum', 'sum': 'mean',
         'exp': 'log', 'log': 'exp', 'abs': 'neg', 'gt': 'lt', 'zeros': 'ones', 'ones': 'zeros', 'columns': 'index', 'float': 'int', 'labels': 'fname'}

def changes(node, params):
    "Nodes that may stand in the place of `node`."
    def other(**kw): return [ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **kw}), node)]
    match node:
        case ast.BinOp(left=a, op=op, right=b):
            return (other(op=SWAPS[type(op)]()) if type(op) in SWAPS else []) + [a, b] + (other(left=b, right=a) if isinstance(op, (ast.Sub, ast.Div)) else [])
        case ast.Compare(ops=[op]) if type(op) in SWAPS: return other(ops=[SWAPS[type(op)]()])
        case ast.Constant(value=bool(v)): return other(value=not v)
        case ast.Constant(value=int(v) | float(v)): return other(value=v + 1) + (other(value=-v) if v else other(value=v - 1))
        case ast.Constant(value=str(v)): return other(value=v + 'x') + (other(value='') if v else [])
        case ast.UnaryOp(operand=a): return [a]
        case ast.IfExp(test=t, body=a, orelse=b): return [a, b, *other(body=b, orelse=a)]
        case ast.Call(func=f, args=args, keywords=kws):
            dropped = [f.value] if isinstance(f, ast.Attribute) and not (isinstance(f.value, ast.Name) and f.value.id in ('torch', 'F', 'nn')) else args[:1]
            return dropped + (other(args=[args[1], args[0], *args[2:]]) if len(args) > 1 else []) + (other(args=args[:-1]) if len(args) > 1 else []) + (other(keywords=kws[:-1]) if kws else [])
        case ast.Tuple(elts=[a, b]): return other(elts=[b, a])
        case ast.List(elts=[a, b]): return other(elts=[b, a])
        case ast.Attribute(attr=a) if a in NAMES: return other(attr=NAMES[a])
        case ast.Name(id=i, ctx=ast.Load()) if i in params: return [o for p in params if p != i for o in other(id=p)]
        case ast.Name(id=i, ctx=ast.Load()) if i in NAMES: return other(id=NAMES[i])
        case ast.comprehension(ifs=[t]): return other(ifs=[])
        case ast.If(test=t, body=body): return other(test=ast.UnaryOp(ast.Not(), t)) + other(body=[ast.Pass()])
        case ast.Assign() | ast.AugAssign(): return [ast.Pass()]
    return []

def mutants(source, params):
    "Every source that differs from `source` by one change."
    tree = ast.parse(source.strip())
    original, seen = ast.unparse(tree), set()
    for at,node in enumerate(ast.walk(tree)):
        for k in range(len(changes(node, params))):
            copied = copy.deepcopy(tree)
            target = next(n for i,n in enumerate(ast.walk(copied)) if i == at)
            new = changes(target, params)[k]
            for parent in ast.walk(copied):
                for name,value in ast.iter_fields(parent):
                    if value is target: setattr(parent, name, new)
                    elif isinstance(value, list): setattr(parent, name, [new if o is target else o for o in value])
            text = ast.unparse(ast.fix_missing_locations(copied))
            if text != original and text not in seen: seen.add(text); yield text

def same_on_many_inputs(q, source, seeds=40):
    "Does `source` do what the reference does, on a few hundred inputs that the check has not seen? Then it is no mistake."
    f, ref = compile_answer(source, q.params), compile_answer(q.reference, q.params)
    for seed in range(1000, 1000 + seeds):
        for args in q.cases(random.Random(seed)):
            mine = copy.deepcopy(args)
            try: out = Outcome('value', f(*mine))
            except Exception as e: out = Outcome('raised', e)
            if repr(mine) != repr(args) or not agree(out, run_own(ref, args)): return False
    return True

def all_mutants():
    return [(q, m) for q in CODE for source in [q.reference, *q.also]
            for m in mutants(source, [p.split('=')[0].strip() for p in q.params.split(',')])]

def test_mutants_of_the_references_are_caught():
    everything = all_mutants()
    random.Random(0).shuffle(everything)
    caught, equivalent, missed, fast = Counter(), [], [], {q.n: dataclasses.replace(q, smaller=None, wrong=[]) for q in CODE}
    z = Quiz(list(fast.values()), Progress(on=False), 'course', seed=11)
    for q,source in everything:
        if sum(caught.values()) >= 240: break
        if not z.check(q.n, source).passed: caught[q.n] += 1
        elif same_on_many_inputs(q, source): equivalent.append((q.n, source))
        else: missed.append((q.n, source))
    print(f'{len(everything)} mutants; caught {dict(sorted(caught.items()))}; {len(equivalent)} do the same as the reference')
    for n,source in equivalent: print(n, '|', source)
    assert not missed, '\n\n'.join(f'question {n}:\n{s}' for n,s in missed)
    assert sum(caught.values()) >= 200 and set(caught) == {q.n for q in CODE}
    assert len(equivalent) < .2*sum(caught.values()), 'too many changes make no difference: are the inputs too tame?'
