"Right and wrong answers to each question of code: the verdict, the name of the mistake, and what is said."
import copy, dataclasses, functools, itertools, random, re, threading, time
from collections import Counter
import pytest, torch
from course_lib.cards import PASS, TRY_AGAIN
from course_lib.questions import questions
from course_lib.quiz import with_gradient
from course_lib.sandbox import Guarded, Outcome, agree, compile_answer, difference, run_limited, run_own
from course_lib.worker import can_run_apart, travelled
from tests.exercises.verdicts import RIGHT, WRONG
from tests.helpers import for_each, quiz

CODE = [q for q in questions if q.kind == 'code']
FAST = quiz(seed=9, questions=[dataclasses.replace(q, smaller=None) for q in CODE]) # examples are not made smaller

@pytest.fixture
def z(): return quiz(seed=3)

def test_there_are_answers_to_each_question_of_code():
    assert set(RIGHT) == set(WRONG) == {q.n for q in CODE}
    assert all(len(RIGHT[n]) >= 8 and len(WRONG[n]) >= 30 for n in RIGHT)

@for_each(CODE)
def test_right_answers_pass(q):
    for answer in RIGHT[q.n]:
        card = FAST.check(q.n, answer)
        assert card.status == PASS, f'{answer}\n{card.text()}'

@for_each(CODE)
def test_wrong_answers_get_the_name_of_their_mistake(q):
    for answer,name in WRONG[q.n]:
        card = FAST.check(q.n, answer)
        assert (card.status, card.mistake) == (TRY_AGAIN, name), f'{answer}\n{card.text()}'

@for_each(CODE)
def test_other_forms_of_a_mistake_get_its_name(q):
    forms = [(w.name, answer) for w in q.wrong for answer in w.also]
    for name,answer in random.Random(2).sample(forms, 12): assert FAST.check(q.n, answer).mistake == name, answer

def test_most_wrong_answers_have_a_name():
    named = Counter({n: sum(bool(name) for _,name in WRONG[n]) for n in WRONG})
    for n in WRONG:
        print(f'question {n}: {named[n]} of {len(WRONG[n])} wrong answers named; {len(RIGHT[n])} right ones accepted')
    assert named.total() >= .7*sum(map(len, WRONG.values()))

# ---------------------------------------------------------------- other inputs, same verdict

def verdict(q, f, seed):
    "Is `f` right on all inputs of this seed? Without a process, for speed."
    for args in q.cases(random.Random(seed)):
        mine = copy.deepcopy(args)
        try: out = Outcome('value', travelled(f(*mine)))
        except (Exception, RecursionError): return TRY_AGAIN
        if difference(mine, args, exact=True) or not q._is_right(args, out): return TRY_AGAIN
    return PASS

def compiled(q, answer):
    try: return q._own(answer)
    except Exception: return None

def by_inputs(q):
    "The wrong answers that can be told by what they do with an input."
    others = 'calls itself', 'def', 'not the same twice'
    return [answer for answer,name in WRONG[q.n] if name not in others and compiled(q, answer)]

@pytest.mark.slow
@for_each(CODE)
def test_a_hundred_seeds_give_one_verdict(q):
    for answer in random.Random(1).sample(by_inputs(q), 12):
        assert {verdict(q, compiled(q, answer), seed) for seed in range(100, 200)} == {TRY_AGAIN}, answer
    right = RIGHT[q.n][0]
    assert {verdict(q, compiled(q, right), seed) for seed in range(100, 200)} == {PASS}, right

@for_each(CODE)
def test_the_cases_that_decide_come_first(q):
    "A wrong answer fails on one of the inputs whose shapes and names do not depend on the seed."
    def shape(args): return [tuple(o.shape) if hasattr(o, 'shape') else repr(o) for o in args]
    def shapes(seed): return [shape(args) for args in q.cases(random.Random(seed))]
    same = len(list(itertools.takewhile(lambda o: o[0] == o[1], zip(shapes(1), shapes(2)))))
    first = dataclasses.replace(q, cases=lambda rng: itertools.islice(q.cases(rng), same))
    for answer in by_inputs(q): assert verdict(first, compiled(q, answer), 4) == TRY_AGAIN, answer

# ---------------------------------------------------------------- what is said is true

def test_a_random_answer_is_told_so(z):
    def flip(image, points, do):
        return (image.flip(-1), points*torch.tensor([-1., 1.])) if random.random() < .5 else (image, points)
    card = z.check(17, flip)
    assert card.mistake == 'not the same twice' and {'It gave', 'And then'} <= set(dict(card.evidence))

def test_an_answer_that_remembers_is_told_so(z):
    calls = []
    def counts(labels, vocab):
        calls.append(1)
        return torch.tensor([float(v in labels) for v in vocab]) + (len(calls) > 40)
    def once(x, low, high, seen=[]): # noqa: B006
        seen.append(0)
        return torch.sigmoid(x)*(high - low) + low if len(seen) < 5 else x
    for n,f in (2, counts), (15, once):
        card = z.check(n, f)
        assert card.passed or card.mistake == 'not the same twice', card.text()
        assert 'None' not in card.body

def test_the_same_object_each_time_is_no_change(z):
    for answer in 'lambda *args: (o for o in args)', 'lambda *args: object()', 'lambda *args: nn.Linear(1, 1)':
        assert z.check(15, answer).mistake == ''

@pytest.mark.parametrize('apart', [True, False])
def test_endless_recursion_is_named(z, apart):
    lock = threading.Lock()
    def squeeze(x, low, high): return squeeze(x, low, high) + (0 if apart else lock.locked())
    card = z.check(15, squeeze)
    assert card.mistake == 'calls itself' and 'ArgumentError' not in card.text() and 'RecursionError' in card.text()

def test_text_with_a_name_for_the_function(z):
    right = 'torch.sigmoid(x)*(high - low) + low'
    for text in (f'f = lambda x, low, high: {right}', f'def f(x, low, high):\n    return {right}\ng = f',
                 f'def f(a):\n    return a\ng = lambda x, low, high: {right}',
                 f'f: object = lambda x, low, high: {right}',
                 f'def g(a):\n    return a\ndef f(x, low, high): return {right}'):
        assert z.check(15, text).passed, text
    assert z.check(15, 'a = 3').body.startswith('There is no function in this text')
    assert 'not Python' in z.check(15, 'f = lambda x:').body

def test_nothing_returned_is_true_of_a_lambda_too(z):
    for answer in (lambda r: None), (lambda r: print(r)), 'lambda r: None':
        card = z.check(8, answer)
        assert card.mistake == 'nothing returned' and 'nothing was returned' in card.body

def test_what_is_no_lambda_is_not_called_a_def(z):
    for answer in functools.partial(str.split, sep=' '), str.split, len:
        assert z.check(8, answer).mistake == 'no lambda'

def test_swapped_parameters_are_seen_by_what_they_do(z):
    def flip(points, do, image): return (image.flip(-1), points*torch.tensor([-1., 1.])) if do else (image, points)
    card = z.check(17, flip)
    assert card.mistake == 'order of arguments' and '`flip(image, points, do)`' in card.body
    assert z.check(17, lambda b, c, a: flip(b, c, a)).mistake == 'order of arguments'
    assert z.check(15, lambda x, high, low: torch.sigmoid(x)*(high - low) + low).mistake == 'order of arguments'
    assert z.check(15, lambda x, a, b: torch.sigmoid(x)*(a - b) + b).mistake == 'ends exchanged'

def test_a_name_needs_three_quarters_of_all_inputs(z):
    "An answer that makes a known mistake now and then makes another one."
    rare = 'torch.sigmoid(x)*high + low if x.ndim == 1 and len(x) == 5 else torch.sigmoid(x)*(high - low) + low'
    often = 'torch.sigmoid(x)*(high if x.ndim < 2 else high - low) + low*(x.ndim < 2)'
    assert z.check(15, rare).mistake in ('', 'too long') and z.check(15, often).mistake == 'too long'
    mixed = 'torch.sigmoid(x)*high + low if low < 0 else torch.sigmoid(x)*(high - low)'
    assert z.check(15, mixed).mistake == ''

# ---------------------------------------------------------------- gradients

def test_with_gradient():
    f = with_gradient(lambda x, t: (x*t).sum())
    t = torch.tensor([2., 3.])
    assert f(torch.ones(2), t) == 5
    out = f(torch.ones(2, requires_grad=True), t)
    assert out['loss'] == 5 and torch.equal(out['gradient'], t)
    assert with_gradient(lambda x: torch.tensor(1.))(torch.ones(2, requires_grad=True))['gradient'] == 'none'
    assert with_gradient(lambda x: 5)(torch.ones(2, requires_grad=True)) == 5

def test_right_losses_have_the_reference_gradient_everywhere():
    "A right answer has to be right at every activation that a check may try."
    q = next(q for q in CODE if q.n == 12)
    for answer in [*q.also, *RIGHT[12]]:
        for seed in range(5): assert verdict(q, compiled(q, answer), seed) == PASS, answer

@pytest.mark.parametrize('n,word', [(12, 'gradient of'), (12, 'numbers or bools'), (12, '-10 000'),
                                    (13, 'between 0 and 1'), (15, 'with a sigmoid'), (15, 'any shape'),
                                    (17, 'tensors of floats'), (4, 'truth values'), (2, 'a part of another')])
def test_the_prompt_says_what_is_tried(n, word): assert word in next(q for q in CODE if q.n == n).prompt

@for_each(CODE)
def test_what_a_prompt_does_not_say_is_not_tried(q):
    "No empty batches, and no other floats than the usual ones."
    for seed in range(20):
        for t in (o for args in q.cases(random.Random(seed)) for o in args if isinstance(o, torch.Tensor)):
            assert t.numel() and t.dtype in (torch.float32, torch.int64, torch.bool)
            if q.n in (15, 17): assert t.dtype == torch.float32

# ---------------------------------------------------------------- machinery

def test_a_right_answer_after_one_that_could_not_be_stopped():
    held = threading.Lock()
    held.acquire()
    def sleeps(): time.sleep(20)
    def waits(): held.acquire()
    def work(): return sum(i*i for i in range(20_000))
    try:
        for stuck in sleeps, waits:
            assert run_limited(stuck, (), limit=.1).stuck
            start = time.monotonic()
            assert run_limited(work, ()).kind == 'value' and time.monotonic() - start < 1
    finally: held.release()

def test_the_guard_judges_as_the_process_does():
    q = next(q for q in CODE if q.n == 15)
    with Guarded('torch.sigmoid(x)*(high - low) + low', lambda o: compile_answer(o, q.params)) as run:
        assert all(agree(run(args), run_own(q._reference, args)) for args in q.cases(random.Random(1)))

@pytest.mark.skipif(not can_run_apart(), reason='this system cannot run answers in a process of their own')
def test_warnings_of_known_mistakes_are_not_seen(z, recwarn):
    z.check(12, 'nn.BCELoss(inputs, targets)')
    z.check(4, 'df.filter(like=name)')
    assert not [w for w in recwarn if re.search('size_average|match groups', str(w.message))]
