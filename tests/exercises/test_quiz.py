"The machine of the questionnaire: running answers, cards, clicks, progress, the terminal."
import configparser, importlib, json, random, re, sys, threading, time
from html import escape
import numpy as np
import pytest, torch
from course_lib import questionnaire, quiz as engine, sandbox
from course_lib.cards import DONE, PASS, SELF_ASSESSED, TRY_AGAIN, UNANSWERED
from course_lib.questions import questions
from course_lib.quiz import Progress, Quiz, TryAgain
from course_lib.sandbox import difference, is_blank, run_limited
from tests.helpers import for_each, numbered, quiz, typing

@pytest.fixture
def z(): return quiz(seed=3)

def right(q): return q.right_answer()
def names(o): return getattr(o, '__name__', '')

# ---------------------------------------------------------------- answers that misbehave

def forever(*args):
    while True: pass
def deaf(*args):
    while True:
        try:
            while True: pass
        except BaseException: continue
def deaf_to_calls(*args):
    while True:
        try: sum(range(100))
        except: pass # noqa: E722
def gives_up_late(*args):
    try:
        while True: pass
    except BaseException: return 'too late'
def asleep(*args): time.sleep(.5)
def endless_generator(*args): return [o for o in iter(int, 1)] # noqa: C416

@pytest.mark.parametrize('f', [forever, deaf, deaf_to_calls, gives_up_late, asleep, endless_generator], ids=names)
def test_an_answer_that_hangs_is_stopped(z, f):
    before, start = set(threading.enumerate()), time.monotonic()
    card = z.check(15, f, limit=.15)
    assert card.status == TRY_AGAIN and 'did not come back within 0.15 seconds' in card.body
    assert 'The input' in dict(card.evidence)
    assert time.monotonic() - start < 8
    assert not [t for t in set(threading.enumerate()) - before if t.is_alive()], 'a thread was left behind'

@for_each([q for q in questions if q.kind == 'code'])
def test_hanging_in_every_code_question(z, q):
    answer = (lambda *a: forever()) if q.n == 8 else forever
    assert 'did not come back' in z.check(q.n, answer, limit=.05).body

def recursion(*args): return recursion(*args)
def leaves(*args): sys.exit(3)
def stops(*args): raise KeyboardInterrupt
def asserts(x, low, high): assert low > 100, 'my own check'
def missing(x, low, high):
    return undefined_name # noqa: F821

@pytest.mark.parametrize('f,text', [(recursion, 'RecursionError'), (leaves, 'SystemExit'), (stops, 'KeyboardInterrupt'),
                                    (asserts, 'my own check'), (missing, 'undefined_name')], ids=names)
def test_an_answer_that_raises_gets_a_message(z, f, text):
    card = z.check(15, f)
    assert card.status == TRY_AGAIN and 'stopped with an error' in card.body and text in card.text()
    assert 'Traceback' not in card.text() and 'quiz.py' not in card.text()

def test_the_line_of_the_learner_is_named(z):
    assert '`return undefined_name' in z.check(15, missing).body

def test_an_answer_that_changes_its_input_is_told(z):
    def in_place(x, low, high): return x.sigmoid_().mul_(high - low).add_(low)
    card = z.check(15, in_place)
    assert 'changes what it was given' in card.body and 'its input was changed to' in dict(card.evidence)['It gave']
    def table(df, name): df['new'] = 1; return df[name]
    assert 'changes what it was given' in z.check(4, table).body
    def labels(labels, vocab): labels.append('x'); return labels
    assert not z.check(2, labels).passed

class Strange:
    def __eq__(self, o): raise ValueError('no comparing')
    def __repr__(self): raise ValueError('no showing')

VALUES = [None, 5, 'text', b'', [], {}, set(), object(), np.zeros(3), torch.zeros(2, 2, 2), float('nan'), 1j, range(3),
          torch.nn.Linear(1, 1), ..., NotImplemented]
@pytest.mark.parametrize('value', VALUES, ids=lambda v: type(v).__name__)
def test_any_value_may_come_back(z, value):
    for q in questions:
        if q.kind == 'code' and q.n != 8:
            card = z.check(q.n, lambda *args: value)
            assert card.status in (TRY_AGAIN, UNANSWERED) and card.text() and card.html()

def test_an_object_that_cannot_even_be_shown(z):
    card = z.check(15, lambda x, low, high: Strange())
    assert card.status == TRY_AGAIN and 'Strange' in card.text()

ANSWERS = [None, 5, 'x +', 'import os', 'print(', [1], {}, object(), Strange, int, len, print, lambda: 1, lambda a: a,
           lambda a, b, c, d: a, '', '...', 'def', float('nan'), b'x', torch.zeros(3)]
@pytest.mark.parametrize('answer', ANSWERS, ids=repr)
def test_anything_may_be_handed_in(z, answer):
    for q in questions:
        card = z.check(q.n, answer)
        assert not card.passed and card.text() and card.html()

def test_the_wrong_number_of_arguments_is_said(z):
    assert 'must take 3 arguments: `(x, low, high)`' in z.check(15, lambda x: x).body
    assert z.check(15, lambda x, *limits: torch.sigmoid(x)*(limits[1] - limits[0]) + limits[0]).passed

def test_a_result_instead_of_the_function(z):
    assert 'no brackets' in z.check(15, torch.zeros(3)).body

def test_what_an_answer_prints_is_shown_and_not_spilled(z, capsys):
    def chatty(x, low, high): print('x is', tuple(x.shape)); return x
    card = z.check(15, chatty)
    assert dict(card.evidence)['It printed'].startswith('x is')
    assert capsys.readouterr().out == ''

def test_answers_as_text(z):
    assert z.check(15, 'torch.sigmoid(x)*(high-low)+low').passed
    assert z.check(15, 'lambda a, b, c: torch.sigmoid(a)*(c-b)+b').passed
    assert z.check(15, 'def squeeze(x, low, high):\n    return torch.sigmoid(x)*(high-low)+low').passed
    assert 'not Python' in z.check(15, 'torch.sigmoid(x').body

def test_checks_leave_random_numbers_and_threads_alone(z):
    def draw(): return random.random(), np.random.rand(), torch.rand(1).item(), torch.get_num_threads()
    def seed(): random.seed(1); np.random.seed(1); torch.manual_seed(1)
    seed(); expected = draw()
    seed()
    z.check(15, lambda x, low, high: x + torch.rand(1))
    for n in 14, 12: z.check(n, right(z[n]))
    assert draw() == expected

def test_check_works_in_another_thread_than_the_main_one(z):
    cards = []
    t = threading.Thread(target=lambda: cards.extend([z.check(15, right(z[15])), z.check(15, forever, limit=.1)]))
    t.start(); t.join(30)
    assert [c.status for c in cards] == [PASS, TRY_AGAIN]

def test_stop_pressed_while_an_answer_runs():
    "The learner's own interrupt is passed on, and the answer's thread ends."
    before = threading.active_count()
    class Pressed(threading.Thread):
        def join(self, timeout=None):
            if timeout and timeout > 1: raise KeyboardInterrupt
            super().join(timeout)
    old, sandbox.threading.Thread = threading.Thread, Pressed
    try:
        with pytest.raises(KeyboardInterrupt): run_limited(forever, ())
    finally: sandbox.threading.Thread = old
    time.sleep(.1)
    assert threading.active_count() == before

def test_only_the_answer_is_hit():
    "Not what Python does while a thread begins and ends: its lists would keep a dead thread."
    done = []
    def something_else(): time.sleep(.2); done.append(True)
    thread = threading.Thread(target=something_else)
    thread.start()
    sandbox._interrupt(thread, sandbox._call.__code__)
    assert done and thread not in threading.enumerate()

# ---------------------------------------------------------------- unanswered, strict

def test_unanswered_says_so_and_does_not_raise(z):
    for q in questions:
        card = z.check(q.n)
        assert card.status == UNANSWERED and UNANSWERED in card.text() and UNANSWERED in card.html()
    assert z.kept.read() == {}

def test_strict_raises(z):
    for q in questions:
        with pytest.raises(TryAgain, match=UNANSWERED): z.check(q.n, strict=True)
        with pytest.raises(TryAgain, match=TRY_AGAIN): z.check(q.n, 'no', strict=True)
        assert z.check(q.n, right(q), strict=True).status in DONE
    assert issubclass(TryAgain, AssertionError)

def test_unknown_question(z):
    with pytest.raises(KeyError, match='1, 2, 3'): z.check(len(numbered()) + 1, 1)
    assert z['12'] is z[12] and z['a'] is z['A']

def test_blank():
    def a(): ...
    def b(): pass
    def c(x): "words"
    def d(x): return None
    def e(x): return x
    class A: ...
    class B(list): ...
    class C:
        def __len__(self): return 0
    class D: n = 1
    assert [is_blank(o) for o in (..., a, b, c, d, A, B, '...', ' ', (1, ...), [...])] == [True]*11
    assert not any(is_blank(o) for o in (e, C, D, C(), 0, None, 'a', (), [], len, lambda x: 0))

# ---------------------------------------------------------------- comparing

SAME = [(1, 1.), (1., 1 + 1e-9), (float('nan'), float('nan')), ([1, 2], (1, 2)), (float('inf'), float('inf')),
        (torch.tensor([1.]), torch.tensor([1.], dtype=torch.float64)), ({'a': 1}, {'a': 1.}),
        (torch.tensor([float('inf')]), torch.tensor([float('inf')]))]
@pytest.mark.parametrize('a,b', SAME)
def test_same(a, b): assert difference(a, b) is None

DIFFERENT = [(1, 1.01), (True, 1), ('1', 1), (None, 1), ([1], [1, 2]), (torch.tensor([1]), torch.tensor([1.])),
             (torch.ones(1), torch.ones(1, 1)), (torch.ones(1), [1.]), (float('nan'), 1.), (1., float('nan')),
             (float('inf'), -float('inf')), (np.ones(2), [1, 1]), ({'a': 1}, {'b': 1}),
             (torch.tensor([float('nan')]), torch.ones(1))]
@pytest.mark.parametrize('a,b', DIFFERENT)
def test_different(a, b): assert isinstance(difference(a, b), str)

# ---------------------------------------------------------------- cards and clicks

def test_a_verdict_is_a_word_in_text_and_in_html(z):
    for answer,word in (right(z[15]), PASS), ('x', TRY_AGAIN), (..., UNANSWERED):
        bundle = z.check(15, answer)._repr_mimebundle_()
        assert set(bundle) == {'text/plain', 'text/html'}
        assert bundle['text/plain'].startswith(word) and f'>{word}</span>' in bundle['text/html']

def test_what_the_learner_writes_cannot_break_the_card(z):
    page = z.check(15, lambda x, low, high: '<script>alert(1)</script>').html()
    assert '<script>' not in page and '&lt;script&gt;' in page
    assert '<b>' not in z.check(15, "'<b>' + </b>").html().split('</b></div>')[1]

def test_a_long_value_is_cut(z): assert len(z.check(2, lambda labels, vocab: 'x'*100_000).text()) < 3000

@for_each(questions)
def test_every_card_reads_well_as_text_and_html(z, q):
    for card in z.ask(q.n), z.hint(q.n), z.solution(q.n), z.check(q.n, right(q)):
        text, page = card.text(), card.html()
        assert '**' not in text and '```' not in text and '```' not in page and '**' not in page.replace('10**', '')
        assert page.count('<div') == page.count('</div>') and page.count('<pre') == page.count('</pre>')
        assert max(map(len, text.split('\n'))) < 200

def words(s): return re.findall(r'\w+', s)

def test_clicks_go_through_the_same_check(z):
    pytest.importorskip('ipywidgets')
    for q in questions:
        asked = z.ask(q.n)
        if q.kind != 'choice': assert asked.widget() is None; continue
        row, verdict = asked.widget().children
        buttons = row.children[1:]
        options = q.options('course')
        assert [b.description.split('\n')[0] for b in buttons] == list(options)
        for b,text in zip(buttons, options.values()): # what is heard of a button is all of its option
            assert words(b.description.split('\n')[1]) == words(text) and not set('`*\n') & set(b.description[2:])
        seen = []
        for b in buttons: b.click(); seen.append(verdict.value)
        assert seen == [z.check(q.n, letter).html(announced=False) for letter in options]
        assert f'aria-label="{escape(q.heading)}"' in row.children[0].value and 'role="status"' not in ''.join(seen)
        assert sum('>PASS</span>' in s for s in seen) == 1

# ---------------------------------------------------------------- progress

@pytest.fixture
def kept(tmp_path): return Progress(tmp_path/'home'/'progress.json', on=True)

def test_progress_is_kept_and_read_again(kept):
    z = Quiz(questions, kept, 'course', seed=1)
    z.check(15, lambda x, low, high: x)
    for n,answer in (15, right(z[15])), (1, 'zzz'), (9, ...), ('A', [1]), ('B', [1, 2, 3, 4, 5]): z.check(n, answer)
    again = Quiz(questions, Progress(kept.path, on=True), 'course')
    state = {n: s for n,_,s,_ in again.rows()}
    assert [state[n] for n in (15, 1, 9)] == ['passed', 'tried 1 time', 'to do']
    assert [state[n] for n in 'AB'] == ['noted, 1 of 5', 'self-assessed']
    assert again.progress().text().splitlines()[1].startswith(f'1 of {len(numbered())} passed. Next: question 1')
    assert json.loads(kept.path.read_text())['questions']['15'] == {'status': PASS, 'tries': 2}

def test_what_is_passed_stays_passed(kept):
    kept.record(3, PASS); kept.record(3, TRY_AGAIN)
    assert kept.read()['3'] == {'status': PASS, 'tries': 1}

def test_self_assessed_is_never_correct(kept):
    z = Quiz(questions, kept, 'course')
    card = z.check('A', [1, 2, 3, 4, 5])
    assert card.status == SELF_ASSESSED and not card.passed and 'not as a checked answer' in card.body
    assert z.progress().body.startswith(f'0 of {len(numbered())} passed')

DAMAGED = ['', '{', 'null', '[]', '{"questions": 3}', '{"questions": {"1": {}}}',
           '{"questions": {"1": {"status": "PASS", "tries": "many"}}}', b'\xff\xfe\x00']
@pytest.mark.parametrize('text', DAMAGED, ids=repr)
def test_a_damaged_file_is_put_aside_and_not_lost(kept, text):
    kept.path.parent.mkdir()
    raw = text if isinstance(text, bytes) else text.encode()
    for k in 1, 2:
        kept.path.write_bytes(raw)
        z = Quiz(questions, kept, 'course')
        card = z.check(15, right(z[15]))
        assert card.passed and f'kept as progress.damaged-{k}.json' in card.text()
        assert kept.path.with_name(f'progress.damaged-{k}.json').read_bytes() == raw
        assert kept.read()['15']['status'] == PASS

def test_a_write_that_fails_leaves_the_old_file(kept, monkeypatch):
    kept.record(1, PASS)
    before = kept.path.read_bytes()
    def full(*args): raise OSError('No space left on device')
    monkeypatch.setattr(engine.os, 'replace', full)
    kept.record(2, PASS)
    assert kept.path.read_bytes() == before and 'could not be saved' in kept.trouble
    assert [o.name for o in kept.path.parent.iterdir() if o.name.startswith('.progress.json')] == []

def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path/'file').write_text('')
    z = Quiz(questions, Progress(tmp_path/'file'/'progress.json', on=True), 'course')
    card = z.check(15, right(z[15]))
    assert card.passed and 'progress' in card.foot
    assert f'of {len(numbered())}' in z.progress().text()

def test_two_notebooks_at_once_lose_nothing(kept):
    def work(ns):
        p = Progress(kept.path, on=True)
        for n in ns: p.record(n, PASS)
    threads = [threading.Thread(target=work, args=(range(k, 17, 2),)) for k in (1, 2)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert len(kept.read()) == 16

def test_off_under_tests_and_on_demand(home, monkeypatch):
    assert not engine.keeps_progress()
    questionnaire.check(15, 'x')
    assert not home.exists()
    monkeypatch.delenv('PYTEST_CURRENT_TEST'); monkeypatch.delenv('IN_TEST', raising=False)
    assert engine.keeps_progress()
    p = Progress()
    p.record(1, PASS)
    assert p.path == home/'progress.json' and p.path.exists()
    monkeypatch.setenv('COURSE_PROGRESS', 'off')
    assert not engine.keeps_progress()

# ---------------------------------------------------------------- the terminal

@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(questionnaire, '_quiz', quiz(seed=1))
    return typing(monkeypatch)

def test_console_script_is_declared(root):
    cfg = configparser.ConfigParser(delimiters=['='])
    cfg.read(root/'settings.ini', encoding='utf-8')
    scripts = dict(o.split('=') for o in cfg['DEFAULT']['console_scripts'].split())
    module, func = scripts['course_quiz'].split(':')
    assert getattr(importlib.import_module(module), func) is questionnaire.course_quiz

def test_console_table_hint_and_mistakes(terminal, capsys):
    assert questionnaire.course_quiz([]) == 0
    out = capsys.readouterr().out
    assert f'0 of {len(numbered())} passed' in out and all(q.title in out for q in questions)
    assert questionnaire.course_quiz(['12', 'hint']) == 0 and 'Hint 1' in capsys.readouterr().out
    assert questionnaire.course_quiz(['12', 'solution']) == 0 and 'def binary_cross_entropy' in capsys.readouterr().out
    for bad in ['99'], ['12', 'what'], ['one', 'two', 'three']: assert questionnaire.course_quiz(bad) == 2
    assert 'usage' in capsys.readouterr().out
    for flag in '-h', '--help':
        assert questionnaire.course_quiz([flag]) == 0
        assert capsys.readouterr().out.startswith('usage')

@for_each(questions)
def test_console_says_what_to_type_there(terminal, capsys, q):
    terminal('no such thing', 'hint', 'hint', 'hint', 'hint', 'solution', '"z"', '(1,)')
    questionnaire.course_quiz([str(q.n)])
    out = ' '.join(capsys.readouterr().out.split())
    for word in 'check(', 'hint(', 'solution(', 'Click': assert word not in out
    assert 'quit' in out

A_LAMBDA = "lambda r: r['labels'].split()"
A_FUNCTION = 'def f(x, low, high):', '    return torch.sigmoid(x)*(high-low)+low', ''
@pytest.mark.parametrize('n,lines', [(15, ['hint', 'x', *A_FUNCTION]), (8, [A_LAMBDA]),
                                     (7, ['(2, 2', '(1, 1, 1, 1)', '(2, 2, 2, [4, 1])']),
                                     ('a', ['[1]', '[1, 2, 3, 4, 5]'])])
def test_console_conversation(terminal, capsys, n, lines):
    terminal(*lines)
    assert questionnaire.course_quiz([str(n)]) == 0
    out = capsys.readouterr().out
    assert PASS in out.split() or SELF_ASSESSED in out
    assert 'Traceback' not in out

def test_console_choice_and_leaving(terminal, capsys):
    terminal('a', 'b', 'c', 'd')
    questionnaire.course_quiz(['1'])
    assert PASS in capsys.readouterr().out.split()
    for lines in ['quit'], [''], []:
        terminal(*lines)
        assert questionnaire.course_quiz(['1']) == 0
