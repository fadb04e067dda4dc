"The second part of a question: in one's own words, beside a model answer, assessed by the learner."
import json
import pytest
from course_lib import questionnaire
from course_lib.cards import NOTED, PASS, SELF_ASSESSED, UNANSWERED
from course_lib.questions import questions
from course_lib.quiz import Progress, Quiz
from tests.helpers import for_each, numbered, quiz, typing

WITH = [q for q in questions if q.own_words]
TEXT = 'It divides by the sum, so something is always named.'

def passed(n, **kw):
    z = quiz(**kw)
    z.check(n, z[n].right_answer())
    return z

def test_which_questions_have_a_second_part(): assert {q.n for q in WITH} >= {1, 6, 7, 9, 10, 11, 14, 16}

@for_each(WITH)
def test_a_second_part_is_complete(q):
    own = q.own_words
    assert own.ask.endswith('?') and 2 <= len(own.points) <= 4 and 25 <= len(own.model.split()) <= 100
    assert len(set(own.points)) == len(own.points) and own.model not in q.explanation

@for_each(WITH)
def test_it_is_offered_after_the_first_part(q):
    z = quiz()
    for answer in ..., 'no': assert 'explain(' not in z.check(q.n, answer).text()
    assert f'explain({q.n})' in z.check(q.n, q.right_answer()).text()

@for_each(numbered())
def test_it_is_not_asked_before(q):
    z = quiz()
    card = z.explain(q.n, TEXT)
    assert not card.status and not card.evidence
    if q.own_words: assert 'First pass it' in card.body and q.own_words.ask not in card.text()
    else: assert 'no second part' in card.body and '1, 6, 7' in card.body

@for_each(WITH)
def test_asked_written_compared_ticked(q):
    z, own = passed(q.n), q.own_words
    n = len(own.points)
    assert own.model not in (asked := z.explain(q.n)).body and asked.body.startswith(own.ask)
    compared = z.explain(q.n, TEXT)
    assert own.model in compared.body and all(o in compared.body for o in own.points)
    assert dict(compared.evidence)['You wrote'] == TEXT and not compared.status
    part = z.explain(q.n, ticks=[1])
    assert part.status == NOTED and f'1 of {n}' in part.body and 'not as a checked answer' in part.body
    assert f'{q.n} (1 of {n} points)' in z.progress().text()
    every = z.explain(q.n, ticks=range(1, n+1))
    assert every.status == SELF_ASSESSED and not every.passed and f'{q.n} ({n} of {n} points)' in z.progress().text()
    assert z.kept.read()[str(q.n)]['status'] == PASS, 'the first part stays passed'
    for card in asked, compared, part, every: assert card.html()

@pytest.mark.parametrize('text', ['', '...', 'yes', 'too short a text', None, 5, ['a list'], b'x'*90])
def test_no_model_answer_before_something_is_written(text):
    z = passed(10)
    card = z.explain(10, text)
    assert 'at least 5 words' in card.body and z[10].own_words.model not in card.text()
    assert 'Write first' in z.explain(10, ticks=[1]).body and 'points' not in z.kept.read()['10']

@pytest.mark.parametrize('ticks', [[0], [9], 'all', [1.5], [None], object(), float('nan')])
def test_ticks_that_are_none(ticks):
    z = passed(10)
    z.explain(10, TEXT)
    assert 'numbers of the points' in z.explain(10, ticks=ticks).body and 'points' not in z.kept.read()['10']

@pytest.mark.parametrize('ticks,k', [([], 0), (2, 1), ('1, 2', 2), ((1, 1, 3), 2)])
def test_ticks_in_any_form(ticks, k):
    z = passed(10)
    z.explain(10, TEXT)
    card = z.explain(10, ticks=ticks)
    assert card.status == NOTED and f'Noted, {k} of 4' in card.body

def test_a_long_text_is_cut():
    z = passed(10)
    assert len(z.explain(10, 'word '*100_000).text()) < 5000

def test_it_is_kept_and_read_again(tmp_path):
    kept = Progress(tmp_path/'progress.json', on=True)
    z = Quiz(questions, kept, 'course')
    z.check(1, z[1].right)
    assert 'explain(1)' in z.progress().foot
    z.explain(1, TEXT), z.explain(1, ticks=[1, 3])
    again = Quiz(questions, Progress(kept.path, on=True), 'course')
    assert '1 (2 of 3 points)' in again.progress().foot and 'explain(1)' not in again.progress().foot
    assert json.loads(kept.path.read_text())['questions']['1'] == dict(status=PASS, tries=1, ticks=2, points=3)
    assert {n: s for n,_,s,_ in again.rows()}[1] == 'passed'
    again.check(1, 'zzz')
    assert again.kept.read()['1']['ticks'] == 2

def test_the_word_of_the_notebook(monkeypatch):
    monkeypatch.setattr(questionnaire, '_quiz', quiz())
    questionnaire.check(1, quiz()[1].right)
    assert questionnaire.explain(1, TEXT).evidence and questionnaire.explain(1, ticks=[1]).status == NOTED

# ---------------------------------------------------------------- the terminal

@pytest.fixture
def types(monkeypatch):
    monkeypatch.setattr(questionnaire, '_quiz', passed(10))
    return typing(monkeypatch)

def test_in_a_terminal(types, capsys):
    types(TEXT, 'And two that are there must share.', '', '1, 2')
    assert questionnaire.course_quiz(['10', 'explain']) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'must share.' in out and '2 of 4 points' in out and 'explain(' not in out and UNANSWERED not in out

@pytest.mark.parametrize('lines', [[], [TEXT], [TEXT, ''], ['no', '']])
def test_left_in_a_terminal(types, capsys, lines):
    types(*lines)
    assert questionnaire.course_quiz(['10', 'explain']) == 0
    assert questionnaire.course_quiz(['2', 'explain']) == 0 and questionnaire.course_quiz(['1', 'explain']) == 0
    assert 'Traceback' not in capsys.readouterr().out

# ---------------------------------------------------------------- JupyterLab

def test_a_place_to_write_and_boxes_to_tick():
    pytest.importorskip('ipywidgets')
    z = passed(10)
    text, compare, model, ticks, noted = z.explain(10).widget().children
    *boxes, note = ticks.children
    compare.click()
    assert 'at least 5 words' in model.value and ticks.layout.display == 'none'
    text.value = TEXT
    compare.click()
    assert 'divides by the sum of the row' in model.value and TEXT in model.value and ticks.layout.display == 'flex'
    assert [b.description for b in boxes] == ['Point 1', 'Point 2', 'Point 3', 'Point 4']
    boxes[1].value = True
    note.click()
    assert 'Noted, 1 of 4' in noted.value and z.kept.read()['10']['ticks'] == 1
