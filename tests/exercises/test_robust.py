"Whatever is handed in, and whatever stands in the progress file: a card, and never a traceback."
import json
import numpy as np, pandas as pd
import pytest, torch
from course_lib import quiz as engine
from course_lib.cards import DONE, NOTED, PASS, TRY_AGAIN
from course_lib.questions import questions
from course_lib.quiz import Progress, Quiz
from tests.helpers import for_each, numbered, quiz

# ---------------------------------------------------------------- answers

def holds_itself():
    xs = [1.]
    xs.append(xs)
    return xs

class Silent(Exception):
    def __repr__(self): raise ValueError('no')
    __str__ = __repr__

class Hostile:
    "Raises whatever is done with it."
    def __getattribute__(self, name): raise Silent
    __len__ = __iter__ = __eq__ = __hash__ = __bool__ = __repr__ = lambda self: (_ for _ in ()).throw(Silent())

ODD = dict(array=np.zeros(3), series=pd.Series(['a']), frame=pd.DataFrame({'a': [1]}), na=pd.NA, nat=pd.NaT,
           itself=holds_itself(), huge=10**400, unprintable=10**5000,
           sparse=torch.eye(3).to_sparse(), meta=torch.zeros(3, device='meta'),
           silent=Silent(), hostile=Hostile(), many=torch.zeros(2_000_000), long=[0]*2_000_000, inf=float('inf'),
           deep=eval('['*80 + ']'*80), nested=torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)]))

@pytest.mark.parametrize('name', ODD)
@for_each(questions)
def test_an_odd_answer_gets_a_card(q, name):
    z = quiz()
    for answer in (ODD[name], *([(ODD[name],)*len(q.places)] if q.kind == 'predict' else [])):
        card = z.check(q.n, answer)
        assert card.status == TRY_AGAIN and card.text() and card.html() and len(card.text()) < 6000
        assert 'Traceback' not in card.text()

def test_what_judging_raises_is_a_card_and_counts_as_a_try():
    z = quiz()
    def broken(*args): raise Silent
    z[1].judge = broken
    try: card = z.check(1, 'a')
    finally: del z[1].judge
    assert card.status == TRY_AGAIN and 'could not be judged' in card.body and 'Silent' in card.text()
    assert z.kept.read()['1']['tries'] == 1

def test_an_answer_whose_error_cannot_be_shown():
    def f(x, low, high): raise Silent
    assert 'stopped with an error' in quiz().check(15, f).body

def test_stop_is_passed_on():
    z = quiz()
    def pressed(*args): raise KeyboardInterrupt
    z[1].judge = pressed
    try:
        with pytest.raises(KeyboardInterrupt): z.check(1, 'a')
    finally: del z[1].judge

# ---------------------------------------------------------------- forgotten brackets

def test_loose_values_are_the_tuple():
    z = quiz()
    for q in questions:
        if q.kind == 'predict': assert z.check(q.n, *q.truth).passed and not z.check(q.n, *q.truth, 1).passed
    assert z.check('A', 1, 2, 3, 4, 5).status in DONE and z.check('A', 1, 2).status == NOTED
    assert not z.check(1, 'a', 'b').passed
    assert z.check(16, answer=z[16].truth).passed, 'still an argument with a name'

def test_loose_values_in_the_notebook():
    from course_lib.questionnaire import check
    assert check(16, *quiz()[16].truth).passed
    with pytest.raises(engine.TryAgain): check(16, 1., 2., 3., strict=True)

# ---------------------------------------------------------------- ticks

TICKS = [([1, 2], 2), ((3,), 1), (4, 1), ('1, 5', 2), ({1, 2, 3}, 3), (torch.tensor([1, 2]), 2), ([], 0)]
@pytest.mark.parametrize('ticks,k', TICKS)
def test_a_part_of_the_points_is_noted(ticks, k):
    z = quiz()
    card = z.check('A', ticks)
    assert card.status == NOTED and not card.passed
    assert f'{k} of 5' in card.body and 'not as a checked answer' in card.body
    assert {n: state for n,_,state,_ in z.rows()}['A'] == f'noted, {k} of 5'

@pytest.mark.parametrize('ticks', [[0], [6], [1.5], 'all', float('nan'), float('inf'), [[1]], {'a': 1}])
def test_ticks_that_are_none(ticks):
    card = quiz().check('A', ticks)
    assert card.status == TRY_AGAIN and 'numbers of the points' in card.body

# ---------------------------------------------------------------- predictions

def test_error_is_understood_in_any_form():
    z = quiz()
    first, _, last = z[11].truth
    for said in 'Error', ' error ', 'ERROR.', 'RuntimeError', RuntimeError, RuntimeError('no'), '"error"':
        assert z.check(11, (first, said, last)).passed, said
    for said in 'none', 0, None, int, 'errors': assert not z.check(11, (first, said, last)).passed

def test_rounding_as_it_is_asked():
    z = quiz()
    for said in 1.33, 4/3, 1.333, torch.tensor(4/3): assert z.check(16, (1, 100, said)).passed
    for said in 1.3, 1.34, 1.32, 1: assert not z.check(16, (1, 100, said)).passed
    assert 'two decimals' in z.ask(16).text()

def test_none_is_not_called_a_missing_return():
    for q in questions:
        if q.kind == 'predict': assert 'return' not in quiz().check(q.n, (None, *q.truth[1:])).body

# ---------------------------------------------------------------- hints follow the wrong entry

def one_wrong(q, i): return tuple(123456 if j == i else v for j,v in enumerate(q.truth))

@for_each([q for q in questions if q.kind == 'predict'])
def test_hints_are_about_the_place_that_is_wrong(q):
    assert len(q.about) == len(q.hints), 'each hint says what it is about'
    for i in range(len(q.places)):
        z = quiz()
        z.check(q.n, one_wrong(q, i))
        about = [h for h,a in zip(q.hints, q.about) if a is None or i in a]
        assert about, f'no hint about `{q.places[i]}`'
        assert [z.hint(q.n).body for _ in about] == about
        assert z.hint(q.n).body == about[-1]

def test_hints_go_to_another_place_with_the_answer():
    z = quiz()
    z.check(16, one_wrong(z[16], 0)); first = z.hint(16).body
    z.check(16, one_wrong(z[16], 2)); third = z.hint(16).body
    assert 'mean goes over' in first and 'column' in third
    z.check(16, z[16].truth)
    assert z.hint(16).head.endswith(f'of {len(z[16].hints)}')

# ---------------------------------------------------------------- the progress file

@pytest.fixture
def kept(tmp_path):
    (tmp_path/'home').mkdir()
    return Progress(tmp_path/'home'/'progress.json', on=True)

def entry(**kw): return {'questions': {'1': {'status': PASS, 'tries': 1, **kw}, '2': {'status': PASS, 'tries': 1}}}

ODD_NUMBERS = [f'"tries": {o}' for o in ('1e400', '-1e400', 'NaN', '-3', '2.7', '1'*4000, 'true', '"2"')] + [
    '"when": 3', '"when": "tomorrow"', '"when": null', '"returns": 1e999', '"wrong": "x"', '"ticks": -1', '"more": [1]',
    '"when": "9999-12-31"', '"when": "0001-01-01"']
@pytest.mark.parametrize('odd', ODD_NUMBERS, ids=lambda o: o[:20])
def test_odd_numbers_lose_nothing(kept, odd):
    kept.path.write_text(json.dumps(entry(odd=0)).replace('"odd": 0', odd))
    z = Quiz(questions, kept, 'course')
    assert z.progress().body.startswith(f'2 of {len(numbered())} passed') and not kept.trouble
    z.check(1, 'zzz'), z.check(9, 'zzz')
    assert Progress(kept.path, on=True).read().keys() == {'1', '2', '9'}

def test_a_byte_order_mark_is_no_damage(kept):
    kept.path.write_text(json.dumps(entry()), encoding='utf-8-sig')
    z = Quiz(questions, kept, 'course')
    assert z.progress().body.startswith('2 of') and [o.name for o in kept.path.parent.glob('*damaged*')] == []

DEEP = ['['*100_000, '{"questions":'*50_000, '{"questions": {"1": ' + '['*100_000, '9'*5000]
@pytest.mark.parametrize('text', DEEP, ids=len)
def test_deep_nesting_is_damage(kept, text):
    kept.path.write_text(text)
    z = Quiz(questions, kept, 'course')
    assert 'progress.damaged-1.json' in z.progress().text()
    assert z.check(1, z[1].right).passed and kept.read()['1']['status'] == PASS

def test_what_cannot_be_written_is_remembered_and_said(tmp_path):
    (tmp_path/'file').write_text('')
    z = Quiz(questions, Progress(tmp_path/'file'/'progress.json', on=True), 'course')
    for n in 1, 9: assert z.check(n, z[n].right).passed
    for _ in range(2):
        board = z.progress()
        assert board.body.startswith('2 of') and 'Not saved' in board.text() and '1, 9' in board.foot

def test_what_was_not_saved_is_saved_as_soon_as_it_can_be(kept, monkeypatch):
    replace = engine.os.replace
    def full(*args): raise OSError('No space left on device')
    z = Quiz(questions, kept, 'course')
    monkeypatch.setattr(engine.os, 'replace', full)
    z.check(1, z[1].right)
    assert 'could not be saved' in z.check(9, 'zzz').foot and 'Not saved' in z.progress().foot
    monkeypatch.setattr(engine.os, 'replace', replace)
    z.check(9, z[9].right)
    assert 'Not saved' not in z.progress().text()
    assert {n: o['status'] for n,o in Progress(kept.path, on=True).read().items()} == {'1': PASS, '9': PASS}

def test_a_file_that_cannot_be_read_is_left_alone(kept):
    kept.path.mkdir()
    z = Quiz(questions, kept, 'course')
    assert z.check(1, z[1].right).passed
    assert z.progress().body.startswith('1 of') and 'cannot be read' in z.progress().text() and kept.path.is_dir()
