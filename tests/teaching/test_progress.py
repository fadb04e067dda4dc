"`course_progress`: what a group has answered, collected from folders made of real chapters, without names."
import csv, datetime, json, re, shutil
import pytest
from course_lib.assign import asked_in_cell
from course_lib.cards import PASS, TRY_AGAIN, UNANSWERED, Card
from course_lib.group_progress import answers_in, course_progress, group_rows, group_table, learner_answers, told_counts
from course_lib.questions import questions
from course_lib.quiz import Progress
from tests.helpers import CHAPTERS, NBS

HEADS = ['chapter', 'exercise', 'title', 'minutes', 'tried', 'right']
NAMES = 'Ada Berta Clara Dora Emmy Fanny Grete Hedy'.split()
LOSSES, METRICS = NBS/'05_losses.ipynb', NBS/'06_metrics.ipynb'

def card(n, status):
    "A verdict as a notebook keeps it."
    head = f'Exercise {n}' if isinstance(n, str) else next(q.heading for q in questions if q.n == n)
    text = Card(head, 'What it means.', status=status).text().splitlines(True)
    return dict(output_type='execute_result', execution_count=1, metadata={}, data={'text/plain': text})

def answer(chapter, path, **verdicts):
    "A learner's copy of a chapter in the file `path`, with verdicts on exercises, as in `_05_1='PASS'`, or questions."
    nb = json.loads(chapter.read_text(encoding='utf-8'))
    said = {n[1:].replace('_', '.') if '_' in n[1:] else int(n[1:]): o for n,o in verdicts.items()}
    for k,c in enumerate(nb['cells']):
        if (n := asked_in_cell(c)) in said:
            c['source'] = ['answer = 1 # mine\n', f'check({n!r}, answer)']
            c.update(outputs=[card(n, said.pop(n))], execution_count=k + 1)
    assert not said
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb), encoding='utf-8')

def keep(folder, **statuses):
    "A learner's file of progress, as the questionnaire writes it."
    kept = Progress(folder/'progress.json', on=True, clock=lambda: datetime.date(2026, 1, 1))
    for n,o in statuses.items(): kept.record(n[1:], o)

def row(table, exercise): return next(o[-2:] for o in table if o[1] == exercise)

@pytest.fixture
def group(tmp_path):
    "Eight learners: all have 05.1 right; five tried 05.2, two of them got it right; 05.3 was tried by one."
    for k,name in enumerate(NAMES):
        said = dict(_05_1=PASS) | (dict(_05_2=PASS if k < 2 else TRY_AGAIN) if k < 5 else dict(_05_2=UNANSWERED))
        if k == 7: said['_05_3'] = PASS
        answer(LOSSES, tmp_path/'all'/name/'work'/LOSSES.name, **said)
        keep(tmp_path/'all'/name/'.course_lib', _13=PASS if k < 4 else TRY_AGAIN)
    return tmp_path/'all'

# ------------------------------------------------------------------ rows

def test_a_row_for_each_exercise_in_the_order_of_the_course():
    rows = group_rows()
    heads = [n for p in CHAPTERS for n in re.findall(r'### Exercise (\d\d\.\d+) ', p.read_text(encoding='utf-8'))]
    assert [o.exercise for o in rows] == heads
    assert {o.n for o in rows if isinstance(o.n, int)} == {q.n for q in questions if q.numbered}
    assert all(o.minutes > 0 and o.title and o.chapter[:2] == o.exercise[:2] for o in rows)

# ------------------------------------------------------------------ counts

def test_what_a_group_has_answered(group):
    table, n, unread = group_table(group)
    assert (n, unread) == (8, 0) and [o[1] for o in table] == [o.exercise for o in group_rows()]
    assert row(table, '05.1') == ('>5', '>5') and row(table, '05.2') == ('5', 'hidden')
    assert row(table, '05.3') == ('<3', '<3') and row(table, '05.4') == ('<3', '<3')
    assert row(table, '06.1') == ('>5', '4'), 'question 13, from the files of progress'

def test_fresh_copies_answer_nothing(tmp_path):
    for name in NAMES:
        for p in (*CHAPTERS, NBS/'lib'/'quiz.ipynb', NBS/'lib'/'exercises.ipynb'):
            to = tmp_path/name/'work'/p.relative_to(NBS)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(p, to)
        if name == NAMES[2]: break
    assert {o[-2:] for o in group_table(tmp_path)[0]} == {('<3', '<3')}
    assert learner_answers(tmp_path/NAMES[0]) != ({}, 0), 'the chapters show verdicts, which are told from answers'

@pytest.mark.parametrize('order', [(PASS, TRY_AGAIN), (TRY_AGAIN, PASS)])
def test_the_verdict_that_was_run_later_counts(order):
    first, later = (dict(cell_type='code', source='x', outputs=[card('05.1', o)], execution_count=count)
                    for o,count in zip(order, (3, 9)))
    for cells in ([first, later], [later, first]): assert answers_in(dict(cells=cells)) == {'05.1': order[1] == PASS}
    one = dict(first, outputs=first['outputs'] + later['outputs'])
    assert answers_in(dict(cells=[one])) == {'05.1': order[1] == PASS}

def test_what_is_right_in_one_file_is_right(tmp_path):
    answer(METRICS, tmp_path/'work'/'06_metrics_mine.ipynb', _13=PASS, _06_2=TRY_AGAIN)
    answer(METRICS, tmp_path/'work'/'06_metrics.ipynb', _13=TRY_AGAIN, _06_2=PASS)
    keep(tmp_path, _13=TRY_AGAIN, _14=TRY_AGAIN, _A='NOTED')
    assert learner_answers(tmp_path) == ({13: True, '06.2': True, 14: False}, 0)

def test_no_verdict_is_no_answer():
    said = ('Exercise 05.1. Hint 1 of 2', f'{UNANSWERED}   Exercise 05.1', 'It says PASS   Exercise 05.1',
            f'{PASS}   Project A: B')
    cells = [dict(cell_type='code', source='x', outputs=[dict(output_type='stream', text=o)]) for o in said]
    assert answers_in(dict(cells=cells)) == {}
    printed = dict(cells[0], outputs=[dict(output_type='stream', text=[f'{PASS}   Again: Question 12: Loss\n'])])
    assert answers_in(dict(cells=[printed, dict(cell_type='markdown', source='y')])) == {12: True}

# ------------------------------------------------------------------ nothing about one person

def test_no_count_tells_of_one_or_two():
    for n in range(3, 25):
        cases = {}
        for tried in range(n + 1):
            for right in range(tried + 1): cases.setdefault(told_counts(tried, right, n), []).append((tried, right))
        for told,same in cases.items():
            for seen in zip(*((t, r, t - r, n - t) for t,r in same)): assert not {*seen} <= {1, 2}, (n, told)

TOLD = {(0, 0, 9): ('<3', '<3'), (3, 3, 9): ('3', 'hidden'), (6, 3, 9): ('6', '3'), (6, 4, 9): ('6', '>3'),
        (6, 0, 9): ('6', '<3'), (7, 3, 9): ('>6', '3'), (9, 9, 9): ('>6', '>6'), (4, 4, 4): ('>2', 'hidden'),
        (3, 0, 3): ('>2', 'hidden')}
@pytest.mark.parametrize('counts', TOLD)
def test_what_is_told(counts): assert told_counts(*counts) == TOLD[counts]

def test_no_names_and_no_paths(group, tmp_path, capsys):
    (group/'Ada'/'broken.ipynb').write_text('{')
    (group/'Berta'/'progress.json').write_text('[]')
    assert course_progress([str(group), '--csv', str(tmp_path/'new'/'group.csv')]) == 0
    out, written = capsys.readouterr().out, (tmp_path/'new'/'group.csv').read_text(encoding='utf-8')
    for o in (*NAMES, str(tmp_path), 'ipynb'): assert o not in out and o not in written
    assert out.splitlines()[-1] == '8 learners; 2 files could not be read.'
    table = list(csv.reader(written.splitlines()))
    assert table[0] == HEADS and out.split('\n')[0].split() == HEADS and len(table) == len(group_rows()) + 1
    first = next(o for o in table if o[1] == '05.1')
    assert first == ['05 losses', '05.1', 'Sigmoid: any number to a probability', '5', '>5', '>5']

def test_files_are_only_read(group):
    (group/'Ada'/'progress.json').write_text('no JSON')
    before = {p: p.read_bytes() for p in group.rglob('*') if p.is_file()}
    group_table(group)
    assert {p: p.read_bytes() for p in group.rglob('*') if p.is_file()} == before

DAMAGED = ['', '{', '[]', '{"cells": 3}', '{"cells": [1]}', '[' * 100_000, '{"cells": [{"cell_type": "code"}]}']
@pytest.mark.parametrize('text', DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_files_are_counted(text, tmp_path):
    (tmp_path/'05_losses.ipynb').write_text(text)
    assert learner_answers(tmp_path) == (None, 1)
    keep(tmp_path, _13=PASS)
    assert learner_answers(tmp_path) == ({13: True}, 1)

# ------------------------------------------------------------------ sentences

def test_a_group_under_three_is_refused(tmp_path, capsys):
    for name in NAMES[:2]: keep(tmp_path/name, _13=PASS)
    (tmp_path/NAMES[2]).mkdir() # has handed in nothing
    (tmp_path/NAMES[2]/'x.ipynb').write_text('')
    assert course_progress([str(tmp_path), '--csv', str(tmp_path/'group.csv')]) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1 and err.startswith('Of fewer than 3 learners nothing is told')
    assert '1 file could not be read' in err and not (tmp_path/'group.csv').exists()
    keep(tmp_path/NAMES[2], _13=TRY_AGAIN)
    assert row(group_table(tmp_path)[0], '06.1') == ('>2', 'hidden')

WRONG = {'missing': (['none'], 'There is no folder none'), 'a file': (['file'], 'There is no folder file'),
         'empty': (['.'], '. has no learners: a folder for each'), 'nothing': ([], 'required')}
@pytest.mark.parametrize('kind', WRONG)
def test_wrong_words_are_said(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'file').write_text('')
    (tmp_path/'.hidden').mkdir()
    args, said = WRONG[kind]
    assert course_progress(args) == 2 and said in capsys.readouterr().err

def test_a_table_that_cannot_be_written(group, capsys):
    (group/'file').write_text('')
    assert course_progress([str(group), '--csv', str(group/'file'/'group.csv')]) == 1
    out, err = capsys.readouterr()
    assert err.startswith('Stopped, because a file is where a folder should be') and out == ''
