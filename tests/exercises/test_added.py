"One more question is one more entry in the registry: everything works for it."
import builtins, datetime
import pytest
from course_lib import questionnaire, questions as registry
from course_lib.cards import DONE, SELF_ASSESSED, TRY_AGAIN, UNANSWERED
from course_lib.lasting import OwnWords
from course_lib.quiz import Choice, Code, Predict, Progress, Quiz, Words, Wrong, smaller_tensors
from tests.exercises import test_explain, test_questions, test_review, test_robust
from tests.helpers import numbered, quiz

def cases(rng):
    import torch
    g = torch.Generator().manual_seed(rng.getrandbits(31))
    for n in 1, 2, 5, 9: yield (torch.randn(n, generator=g),)

def common(n, title):
    "What every kind has."
    return dict(n=n, title=title, prompt='Say what it is.', read=[('05 losses', 'Why not softmax?')],
                hints='Think of the sign.\n\nAnd of what lies between.', explanation='That is how it is made.',
                own_words=OwnWords('Why is it so?', 'Because it ' + 'has been made so, '*6 + 'and not otherwise.',
                                   ['It is made.', 'It could be otherwise.']))

def named(*answers): return [Wrong(f'mistake {k}', o, f'This is mistake number {k}, which is made now and then.')
                             for k,o in enumerate(answers)]

MAKE = dict(
    choice=lambda n: Choice(**common(n, 'one more choice'), right='The right one.', feedback='Yes.',
                            wrong=named('Another.', 'A third.', 'A fourth.')),
    predict=lambda n: Predict(**common(n, 'one more prediction'), snippet='a = 3*7\nb = tensor([a, a + 1])',
                              places=['a', 'b'], about=[[0], [1]], fresh=[{'3*7': '4*7'}],
                              wrong=named({0: 10}, {1: (21, 21)}, {1: (22, 23)})),
    code=lambda n: Code(**common(n, 'one more function'), params='x', func='positive', cases=cases,
                        smaller=smaller_tensors, reference='def positive(x):\n    return x.clamp(min=0)',
                        wrong=named('x.abs()', '-x', 'x*0')),
    words=lambda n: Words(**{**common('C', 'one more project'), 'own_words': None}, wrong=[], points='One.\n\nTwo.'))

@pytest.fixture(params=MAKE)
def q(request):
    "One more question of each kind, while a test runs."
    made = MAKE[request.param](len(numbered()) + 1)
    old = list(registry.questions)
    registry._add(made)
    yield made
    registry.questions[:] = old

def test_it_must_have_the_next_number(q):
    with pytest.raises(ValueError, match='the next question is number'): registry._add(MAKE['choice'](99))

CHECKS = [test_questions.test_untouched_starter_does_not_pass, test_questions.test_hints_never_hold_the_answer,
          test_questions.test_hints_are_a_ladder_that_ends, test_questions.test_solution_passes_and_says_why,
          test_questions.test_what_to_read_exists, test_questions.test_mistakes_are_at_least_three_and_told_apart]
@pytest.mark.parametrize('check', CHECKS, ids=lambda f: f.__name__[5:])
def test_what_holds_for_every_question(q, check): check(q)

def test_what_holds_for_its_kind(q):
    test_questions.test_references_pass(q, 1)
    if q.kind == 'choice': test_questions.test_letters_in_any_form(q)
    if q.kind == 'predict': test_robust.test_hints_are_about_the_place_that_is_wrong(q)
    if q.kind == 'predict': test_review.test_predictions_have_fresh_numbers(q)
    for w in q.wrong: assert quiz().check(q.n, q.wrong_answer(w)).mistake == w.name

def test_ask_check_hint_solution_progress(q):
    z = quiz()
    assert q.title in z.ask(q.n).text() and z.hint(q.n).text() and z.solution(q.n).text()
    assert z.check(q.n).status == UNANSWERED and z.check(q.n, 'no').status == TRY_AGAIN
    assert f'0 of {len(numbered())} passed' in z.progress().text()
    assert z.check(q.n, q.right_answer()).status in DONE
    assert {n: s for n,_,s,_ in z.rows()}[q.n] == ('passed' if q.numbered else 'self-assessed')
    assert z.progress().body.startswith(f'{int(q.numbered)} of {len(numbered())} passed')

def test_own_words(q):
    if not q.numbered: return
    test_explain.test_it_is_offered_after_the_first_part(q)
    test_explain.test_asked_written_compared_ticked(q)

def test_it_comes_back(q):
    clock = test_review.Clock()
    z = Quiz(registry.questions, Progress(on=False, clock=clock), 'course', seed=1)
    if q.numbered: return test_review.test_each_question_comes_back_and_is_answered(z, clock, q)
    z.check(q.n, q.right_answer())
    clock.later(99)
    assert z.due() == [] and clock() > datetime.date(2030, 1, 1)

TYPED = dict(choice=['a', 'b', 'c', 'd'], predict=['21, [21, 22]'], code=['x.clamp(min=0)'], words=['1, 2'])
def test_terminal(q, monkeypatch, capsys):
    monkeypatch.setattr(questionnaire, '_quiz', quiz(seed=1))
    assert questionnaire.course_quiz([]) == 0
    assert f'of {len(numbered())} passed' in (out := capsys.readouterr().out) and q.title in out
    lines = iter(['hint', *TYPED[q.kind]])
    monkeypatch.setattr(builtins, 'input', lambda prompt='': next(lines))
    assert questionnaire.course_quiz([str(q.n)]) == 0
    out = capsys.readouterr().out
    assert ('PASS' in out.split()) if q.numbered else (SELF_ASSESSED in out)
    assert questionnaire.course_quiz(['--help']) == 0 and f'1 to {len(numbered())}' in capsys.readouterr().out

def test_chapter_13_is_told_what_it_lacks(q):
    lacks = test_questions.missing(q, test_questions.cells(test_questions.CHAPTER))
    assert len(lacks) == 3 and f'### {q.n}. {q.title}' in lacks[0]

def test_nothing_stays_behind(): assert {q.n for q in registry.questions} == {*range(1, len(numbered()) + 1), "A", "B"}
