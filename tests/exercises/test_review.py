"Questions come back: after growing intervals, those answered wrong first, with fresh numbers or in another order."
import builtins, datetime, json, random
import pytest
from course_lib import lasting, questionnaire
from course_lib.cards import PASS, TRY_AGAIN
from course_lib.questions import questions
from course_lib.quiz import Progress, Quiz
from tests.helpers import for_each, numbered, quiz

class Clock:
    def __init__(self): self.day = datetime.date(2030, 1, 1)
    def __call__(self): return self.day
    def later(self, days): self.day += datetime.timedelta(days)

@pytest.fixture
def clock(): return Clock()

@pytest.fixture
def z(clock): return Quiz(questions, Progress(on=False, clock=clock), 'course', seed=1)

def answer_right(z, n): assert z.check(n, z[n].right_answer()).passed
def asked(z): return vars(z)['_returned']
def review_right(z):
    again = asked(z)
    q, = again.questions.values()
    return z.review(q.right_answer())

def test_growing_intervals(z, clock):
    answer_right(z, 16)
    days = []
    for day in range(150):
        if z.due():
            days.append(day)
            z.review()
            assert review_right(z).passed and not z.due()
        clock.later(1)
    assert days == [1, 4, 11, 27, 62, 97, 132]
    assert z.kept.read()['16']['returns'] == len(days)

def test_wrong_first_then_longest_ago(z, clock):
    for n in 2, 9, 1:
        answer_right(z, n)
        clock.later(1)
    z.check(16, (2., 1., 1.))
    assert z.due() == [16, 2, 9, 1]
    clock.later(3)
    answer_right(z, 16)
    assert z.due() == [2, 9, 1]
    clock.later(1)
    assert z.due() == [2, 9, 1, 16]

def test_a_wrong_answer_begins_again(z, clock):
    answer_right(z, 16)
    for wait in 1, 3:
        clock.later(wait)
        z.review(); review_right(z)
    clock.later(7)
    z.review()
    card = z.review(1, 2, 3)
    assert card.status == TRY_AGAIN and 'review(' not in card.head and z.due() == [16]
    assert {n: s for n,_,s,_ in z.rows()}[16] == 'passed', 'what was passed stays passed'
    assert review_right(z).passed and z.due() == []
    clock.later(1)
    assert z.due() == [16]

def test_a_question_that_was_never_passed_can_be_passed_so(z):
    z.check(7, (1, 2, 3, 4))
    z.review()
    assert review_right(z).passed
    assert z.kept.read()['7']['status'] == PASS and z.kept.read()['7']['tries'] == 2

def test_projects_do_not_come_back(z, clock):
    z.check('A', [1, 2, 3, 4, 5]), z.check('B', [1])
    clock.later(99)
    assert z.due() == []

@for_each(numbered())
def test_each_question_comes_back_and_is_answered(z, clock, q):
    assert 'Nothing' in z.review().body
    answer_right(z, q.n)
    clock.later(1)
    assert f'To repeat today: {q.n}.' in z.progress().text()
    card = z.review()
    assert card.head == f'Again: {q.heading}' and 'check(' not in card.text() and 'review(' in card.text()
    wrong = z.review('no such answer')
    assert wrong.status == TRY_AGAIN and f'check({q.n}' not in wrong.text()
    assert z.review().text() == card.text(), 'the same again until it is answered'
    done = review_right(z)
    assert done.passed and 'all for today' in done.foot and done.html()
    assert 'To repeat' not in z.progress().text()

@for_each([q for q in questions if q.kind == 'choice'])
def test_choices_come_in_another_order(clock, q):
    for learner in 'abcdefgh':
        z = Quiz(questions, Progress(on=False, clock=clock), learner)
        answer_right(z, q.n)
        clock.later(1)
        z.review()
        again = asked(z)
        first, second = (list(o[q.n].options(o.learner).values()) for o in (z, again))
        assert sorted(first) == sorted(second) and first != second

@for_each([q for q in questions if q.kind == 'predict'])
def test_predictions_have_fresh_numbers(q):
    fresh = [q.again(random.Random(seed)) for seed in range(20)]
    assert {o.snippet for o in fresh} and q.snippet not in {o.snippet for o in fresh}
    for o in fresh:
        assert len(o.truth) == len(q.truth) and o.places == q.places
        assert all(type(a) is type(b) for a,b in zip(o.truth, q.truth))
        assert o.judge(o.truth).status == PASS and not o.wrong, 'the known mistakes are about other numbers'
    for change in q.fresh:
        for old in change: assert old in q.prompt or old in q.snippet, f'{old!r} stands nowhere'
    if q.n != 14: assert any(o.judge(q.truth).status == TRY_AGAIN for o in fresh), 'the first answer would do'

def test_the_question_itself_is_as_before(z, clock):
    answer_right(z, 16)
    places = [q.place for q in questions if q.kind == 'choice']
    clock.later(1)
    z.review()
    assert z.check(16, z[16].truth).passed and places == [q.place for q in questions if q.kind == 'choice']
    assert z[16].wrong

def test_hints_follow_what_is_wrong_there(z, clock):
    answer_right(z, 16)
    clock.later(1)
    z.review()
    truth = next(iter(asked(z).questions.values())).truth
    z.review(truth[0], truth[1], 77)
    assert 'column' in z.hint(16).body

# ---------------------------------------------------------------- the file

def test_the_file_keeps_when_and_how_often(tmp_path, clock):
    path = tmp_path/'progress.json'
    z = Quiz(questions, Progress(path, on=True, clock=clock), 'course')
    answer_right(z, 9)
    clock.later(1)
    again = Quiz(questions, Progress(path, on=True, clock=clock), 'course')
    again.review(); review_right(again)
    kept = json.loads(path.read_text())['questions']['9']
    assert kept == dict(status=PASS, tries=1, when='2030-01-02', wrong=False, returns=1)

OLD = {'3': dict(status=PASS, tries=4), '9': dict(status=TRY_AGAIN, tries=2), 'A': dict(status=TRY_AGAIN, tries=1)}
def test_old_files_are_read(tmp_path, clock):
    path = tmp_path/'progress.json'
    path.write_text(json.dumps(dict(version=1, questions=OLD)))
    z = Quiz(questions, Progress(path, on=True, clock=clock), 'course')
    assert z.due() == [9, 3] and z.progress().text()
    z.review(); review_right(z)
    assert z.due() == [3]

@pytest.mark.parametrize('when', ['9999-12-31', '0001-01-01', 'tomorrow', '', None, 5])
def test_odd_dates(tmp_path, clock, when):
    path = tmp_path/'progress.json'
    path.write_text(json.dumps(dict(questions={'9': dict(status=PASS, tries=1, when=when, returns=1e6)})))
    z = Quiz(questions, Progress(path, on=True, clock=clock), 'course')
    assert z.due() == [9]
    z.review()
    assert review_right(z).passed and z.due() == []

def test_questions_that_are_no_more_are_left_out(tmp_path, clock):
    path = tmp_path/'progress.json'
    path.write_text(json.dumps(dict(questions={'99': dict(status=PASS, tries=1)})))
    assert Quiz(questions, Progress(path, on=True, clock=clock), 'course').due() == []

# ---------------------------------------------------------------- off, and the terminal

def test_off_under_tests():
    z = quiz()
    z.check(9, 'zzz'), answer_right(z, 1)
    assert z.due() == [] and 'To repeat' not in z.progress().text() and 'Nothing' in z.review().body
    assert 'when' not in z.kept.read()['1']
    assert 'Nothing' in questionnaire.review('a').body, 'an answer to nothing'

def test_in_a_terminal(z, clock, monkeypatch, capsys):
    monkeypatch.setattr(questionnaire, '_quiz', z)
    assert questionnaire.course_quiz(['review']) == 0 and 'Nothing is to be repeated' in capsys.readouterr().out
    answer_right(z, 1)
    clock.later(1)
    lines = iter('a b c d'.split())
    monkeypatch.setattr(builtins, 'input', lambda prompt='': next(lines))
    assert questionnaire.course_quiz(['review']) == 0
    out = capsys.readouterr().out
    assert PASS in out.split() and 'review(' not in out and z.due() == [] and lasting.DAYS[0] == 1

def test_a_returned_choice_can_be_clicked(z, clock):
    pytest.importorskip('ipywidgets')
    answer_right(z, 1)
    clock.later(1)
    assert z.review().widget() is not None
