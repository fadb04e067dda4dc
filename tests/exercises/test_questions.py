"Every question: what is asked, what passes, what does not, and what is said to each mistake."
import ast, copy, dataclasses, json, random, re
from collections import Counter
import pytest
from course_lib.cards import PASS, SELF_ASSESSED, TRY_AGAIN, UNANSWERED
from course_lib.questions import questions
from course_lib.sandbox import Outcome, agree, compile_answer, run_own
from tests.helpers import NBS, NOTEBOOKS, cells, for_each, numbered, printed, prose, quiz

def of_kind(kind): return [q for q in questions if q.kind == kind]

BY_N = {q.n: q for q in questions}
CODE, CHOICES, PREDICTIONS = of_kind('code'), of_kind('choice'), of_kind('predict')
each_question, each_code = for_each(questions), for_each(CODE)

def unshrunk(q, **kw):
    "A search for the smallest input takes a while, and has tests of its own."
    return dataclasses.replace(q, smaller=None, **kw) if q.kind == 'code' else q
FAST = quiz(seed=5, questions=[unshrunk(q) for q in questions])

# ---------------------------------------------------------------- one entry in the registry is enough

def numbers(qs): return {q.n for q in qs}

def test_kinds_that_the_course_promises():
    assert [q.n for q in numbered()] == list(range(1, len(numbered()) + 1))
    assert {2, 3, 4, 8, 12, 13, 15, 17} <= numbers(CODE)
    assert {5, 6, 7, 10, 11, 14, 16} <= numbers(PREDICTIONS)
    assert {1, 9} <= numbers(CHOICES)
    assert numbers(of_kind('words')) == numbers(questions) - numbers(numbered()), 'only projects are self-assessed'

CHAPTER = NBS/'13_questionnaire.ipynb'

def to_add(q):
    "What chapter 13 must hold of the question `q`: cells, as pairs of a kind and a text."
    return [('markdown', f'### {q.n}. {q.title}'), ('code', f'ask({q.n!r})'), ('code', q.starter)]

def missing(q, cs):
    "Those of `to_add` that are not among the cells `cs`."
    headings = [line for c in cs if not c.is_code for line in c.text.splitlines()]
    have = {'markdown': headings, 'code': [c.text for c in cs if c.is_code]}
    return [f'a {kind} cell:\n{text}' for kind,text in to_add(q) if text not in have[kind]]

@for_each(numbered())
def test_chapter_13_asks_the_question(q):
    lacks = '\n\n'.join(missing(q, cells(CHAPTER)))
    if lacks: pytest.fail(f'{CHAPTER.name} lacks, after question {q.n - 1},\n\n{lacks}\n', pytrace=False)

def test_chapter_13_asks_no_other_question():
    asked = re.findall(r"^ask\('?(\w+)'?\)$", '\n'.join(c.text for c in cells(CHAPTER) if c.is_code), re.MULTILINE)
    entered = [str(q.n) for q in questions]
    assert [n for n in asked if n not in entered] == []
    if set(asked) == set(entered): assert asked == entered, 'not in the order of the registry'

WORDS = dict(zip('fifteen sixteen seventeen eighteen nineteen twenty'.split(), range(15, 21)))
COUNTS = re.compile(rf'(?i)\b(\d\d+|{"|".join(WORDS)}) questions\b|\bquestions 1 to (\d+)')

COUNTING = [nb for nb in NOTEBOOKS if nb.stem != '06_metrics'] # there a picture has 20 questions, one for each class

@pytest.mark.parametrize('nb', COUNTING, ids=lambda nb: nb.stem)
def test_prose_counts_the_questions(nb):
    "Where a notebook says how many there are, it is as many. (README.md is made from index.ipynb.)"
    for found in COUNTS.finditer(prose(nb)):
        said = (found[1] or found[2]).lower()
        n = WORDS.get(said) or int(said)
        if n != len(numbered()): pytest.fail(f'{nb.name} says "{found[0]}"; there are {len(numbered())}', pytrace=False)

def test_outputs_of_chapter_13_are_those_of_a_beginner():
    "Run it with COURSE_PROGRESS=off before it is committed, and again when a question has been added."
    said = [o for o in printed(CHAPTER) if ' passed. ' in o]
    assert said and all(f'0 of {len(numbered())} passed' in o for o in said)

def test_some_notebook_counts_them():
    assert {nb.stem for nb in COUNTING if COUNTS.search(prose(nb))} >= {'index', '13_questionnaire', 'questions'}

# ---------------------------------------------------------------- answers

@each_question
def test_untouched_starter_does_not_pass(q):
    seen = []
    exec(q.starter, {'check': lambda n, answer: seen.append((n, answer))})
    (n, answer), = seen
    assert n == q.n
    card = quiz().check(n, answer if q.kind != 'words' else ...)
    assert card.status == UNANSWERED and not card.passed
    assert 'no answer yet' in card.text()

@pytest.mark.parametrize('seed', [1, 2])
@each_question
def test_references_pass(q, seed):
    for answer in [q.right_answer(), *getattr(q, 'also', ())]:
        card = quiz(seed).check(q.n, answer)
        assert card.status == (SELF_ASSESSED if q.kind == 'words' else PASS), (answer, card.text())
        assert card.after == q.explanation

WRONGS = [(q, w) for q in questions for w in q.wrong]
@pytest.mark.parametrize('q,w', WRONGS, ids=[f'{q.n}-{w.name}' for q,w in WRONGS])
def test_named_mistake_gets_its_own_message(q, w):
    card = FAST.check(q.n, q.wrong_answer(w))
    assert card.status == TRY_AGAIN and card.mistake == w.name, card.text()
    assert card.body == w.message

@each_question
def test_mistakes_are_at_least_three_and_told_apart(q):
    if q.kind != 'words': assert len(q.wrong) >= 3
    assert not [m for m,k in Counter(w.message for w in q.wrong).items() if k > 1]
    assert not [m for m,k in Counter(w.name for w in q.wrong).items() if k > 1]
    assert all(len(w.message) > 30 for w in q.wrong)

# ---------------------------------------------------------------- choices

def place(q, learner): return list(q.options(learner).values()).index(q.right)

def test_position_of_the_right_choice_varies():
    learners = [f'learner {i}' for i in range(60)]
    for learner in learners:
        places = {place(q, learner) for q in CHOICES}
        assert len(places) == min(len(CHOICES), 4), 'never the same place twice, as long as there are others'
    for q in CHOICES:
        counts = Counter(place(q, o) for o in learners)
        assert len(counts) == 4 and max(counts.values()) < 30, counts

def test_order_of_choices_is_the_learners_own_and_stays():
    for q in CHOICES:
        assert q.options('a') == q.options('a')
        assert len({tuple(q.options(f'{i}').values()) for i in range(20)}) > 5

@for_each(CHOICES)
def test_letters_in_any_form(q):
    z = quiz()
    letter = next(k for k,v in q.options('course').items() if v == q.right)
    for answer in letter, letter.upper(), f' {letter})', f'({letter}).': assert z.check(q.n, answer).passed
    for answer in 'z', '', 3, 'because', None, [letter]: assert not z.check(q.n, answer).passed
    assert sum(z.check(q.n, k).passed for k in q.options('course')) == 1

# ---------------------------------------------------------------- predictions

@for_each(PREDICTIONS)
def test_predictions_in_any_form(q):
    import torch
    z, as_lists = quiz(), json.loads(json.dumps(q.truth))
    assert z.check(q.n, as_lists).passed
    assert z.check(q.n, tuple(torch.tensor(v) if _numeric(v) else v for v in as_lists)).passed
    for answer in (), q.truth[:-1], q.truth + (1,), 5, 'a', None, {}, tuple('x' for _ in q.truth):
        assert not z.check(q.n, answer).passed
    assert z.check(q.n, (..., *q.truth[1:])).status == UNANSWERED

def _numeric(v):
    if isinstance(v, list): return bool(v) and all(isinstance(o, (int, float)) for o in v)
    return isinstance(v, float)

def test_a_wrong_prediction_is_not_told_the_truth():
    for q in PREDICTIONS:
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
    if q.kind == 'predict':
        assert not all(re.search(rf'(?<![\w.]){re.escape(str(v))}(?![\w.])', text) for v in q.truth)

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
def test_what_to_read_exists(q):
    assert q.read
    for chapter,section in q.read:
        nb, = NBS.glob(f'{chapter[:2]}_*.ipynb')
        headings = {o.strip() for o in re.findall(r'^#+ (.*)$', prose(nb), re.MULTILINE)}
        assert section in headings, f'{nb.name} has no section {section!r}; it has {sorted(headings)}'

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

SMALLEST = [(2, 'first only', "'cat', 'dog'|'dog', 'cat'"), (2, 'letters', "'catfish'"), (4, 'table', ''),
            (12, 'clipped', 'tensor([[120.]])|tensor([[-120.]])'),
            (13, 'at least', 'inp = tensor([[0.]])|inp = tensor([[0.5000]])'),
            (15, 'no offset', 'x = tensor([0.])|x = tensor(0.)')]
@pytest.mark.parametrize('n,name,text', SMALLEST, ids=[f'{n}-{name}' for n,name,_ in SMALLEST])
def test_the_example_shown_is_small(n, name, text):
    w = next(w for w in BY_N[n].wrong if w.name == name)
    card = quiz().check(n, w.answer)
    example = dict(card.evidence)['The smallest input on which it goes wrong']
    assert any(t in example for t in text.split('|')), example
    assert {'It gave', 'Expected'} <= set(dict(card.evidence))

# ---------------------------------------------------------------- mutants of the references

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Eq: ast.NotEq,
         ast.NotEq: ast.Eq, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.In: ast.NotIn, ast.NotIn: ast.In}
NAMES = {'iloc': 'loc', 'loc': 'iloc', 'logsigmoid': 'softplus', 'softplus': 'logsigmoid', 'sigmoid': 'tanh',
         'tanh': 'sigmoid', 'mean': 'sum', 'sum': 'mean', 'exp': 'log', 'log': 'exp', 'abs': 'neg', 'gt': 'lt',
         'zeros': 'ones', 'ones': 'zeros', 'columns': 'index', 'float': 'int', 'labels': 'fname'}

def with_other(node, **kw):
    "`node` with some of its fields changed."
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), **kw}), node)

def changed_operation(node):
    a, b, op = node.left, node.right, type(node.op)
    swapped = [with_other(node, op=SWAPS[op]())] if op in SWAPS else []
    exchanged = [with_other(node, left=b, right=a)] if op in (ast.Sub, ast.Div) else []
    return swapped + [a, b] + exchanged

def changed_call(node):
    f, args = node.func, node.args
    of_module = isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id in ('torch', 'F', 'nn')
    new = [f.value] if isinstance(f, ast.Attribute) and not of_module else args[:1]
    if len(args) > 1: new += [with_other(node, args=[args[1], args[0], *args[2:]]), with_other(node, args=args[:-1])]
    if node.keywords: new.append(with_other(node, keywords=node.keywords[:-1]))
    return new

def changes(node, params):
    "Nodes that may stand in the place of `node`."
    def other(**kw): return [with_other(node, **kw)]
    match node:
        case ast.BinOp(): return changed_operation(node)
        case ast.Call(): return changed_call(node)
        case ast.Compare(ops=[op]) if type(op) in SWAPS: return other(ops=[SWAPS[type(op)]()])
        case ast.Constant(value=bool(v)): return other(value=not v)
        case ast.Constant(value=int(v) | float(v)):
            return other(value=v + 1) + (other(value=-v) if v else other(value=v - 1))
        case ast.Constant(value=str(v)): return other(value=v + 'x') + (other(value='') if v else [])
        case ast.UnaryOp(operand=a): return [a]
        case ast.IfExp(body=a, orelse=b): return [a, b, *other(body=b, orelse=a)]
        case ast.Tuple(elts=[a, b]) | ast.List(elts=[a, b]): return other(elts=[b, a])
        case ast.Attribute(attr=a) if a in NAMES: return other(attr=NAMES[a])
        case ast.Name(id=i, ctx=ast.Load()) if i in params: return [o for p in params if p != i for o in other(id=p)]
        case ast.Name(id=i, ctx=ast.Load()) if i in NAMES: return other(id=NAMES[i])
        case ast.comprehension(ifs=[_]): return other(ifs=[])
        case ast.If(test=t): return other(test=ast.UnaryOp(ast.Not(), t)) + other(body=[ast.Pass()])
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
    "Does `source` as the reference does, on a few hundred inputs that no check has seen? Then it is no mistake."
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
    caught, equivalent, missed = Counter(), [], []
    z = quiz(seed=11, questions=[unshrunk(q, wrong=[]) for q in CODE])
    for q,source in everything:
        if sum(caught.values()) >= 240: break
        if not z.check(q.n, source).passed: caught[q.n] += 1
        elif same_on_many_inputs(q, source): equivalent.append((q.n, source))
        else: missed.append((q.n, source))
    print(f'{len(everything)} mutants; caught {dict(sorted(caught.items()))}; '
          f'{len(equivalent)} do the same as the reference')
    for n,source in equivalent: print(n, '|', source)
    assert not missed, '\n\n'.join(f'question {n}:\n{s}' for n,s in missed)
    assert sum(caught.values()) >= 200 and set(caught) == numbers(CODE)
    assert len(equivalent) < .2*sum(caught.values()), 'too many changes make no difference: are the inputs too tame?'
