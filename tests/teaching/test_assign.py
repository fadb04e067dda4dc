"`course_assign`: exercises for nbgrader and otter. The graders themselves are not needed: their marks are looked at."
import ast, json, re
import nbformat, pytest
from course_lib.assign import (as_nbgrader, as_otter, asked_in_cell, course_assign, folded_solution, solution_code,
                               solution_to, source_of, tasks)
from course_lib.copies import read_notebook
from tests.helpers import CHAPTERS

each_chapter = pytest.mark.parametrize('nb', CHAPTERS, ids=lambda p: p.stem)
MARKS = re.compile(r'^### (BEGIN|END) SOLUTION$|^# (BEGIN SOLUTION NO PROMPT|END SOLUTION)$', re.MULTILINE)

def released(text):
    "What a learner gets of a cell with a solution in it: both graders cut out what stands between the marks."
    return re.sub(r'^#+ BEGIN SOLUTION.*?^#+ END SOLUTION$', '', text, flags=re.MULTILINE | re.DOTALL).strip()

def in_nbgrader(nb): return [(c, c['metadata']['nbgrader']) for c in nb['cells'] if 'nbgrader' in c['metadata']]

@each_chapter
def test_each_exercise_of_a_chapter_is_found_with_points_and_a_solution(nb):
    chapter = read_notebook(nb)
    text = '\n'.join(source_of(c) for c in chapter['cells'] if c['cell_type'] == 'markdown')
    heads = re.findall(r'^### Exercise (\d\d\.\d+)[^\n]*?(●+)○* · (\d+) min', text, re.MULTILINE)
    found = tasks(chapter)
    said = [(f'Exercise {n}', len(dots), int(minutes)) for n,dots,minutes in heads]
    if said: assert [(t.title, t.points, t.minutes) for t in found] == said
    else: assert [t.n for t in found] == list(range(1, len(found) + 1)) and len(found) >= 17
    for t in found: ast.parse('\n'.join([t.starter, solution_to(chapter, t), t.call]))

@each_chapter
def test_what_nbgrader_wants(nb):
    chapter = read_notebook(nb)
    made, n = as_nbgrader(chapter), len(tasks(chapter))
    nbformat.validate(nbformat.from_dict(made))
    ids = [m['grade_id'] for _,m in in_nbgrader(made)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r'[\w-]+', o) for o in ids)
    assert sum(m['grade'] for _,m in in_nbgrader(made)) == sum(m['solution'] for _,m in in_nbgrader(made)) == n
    for c,m in in_nbgrader(made):
        assert m['locked'] == (not m['solution']) and ('points' in m) == m['grade'] and m['schema_version'] == 3
        assert bool(MARKS.search(source_of(c))) == m['solution']

@each_chapter
def test_learners_get_no_solution_and_all_of_the_rest(nb):
    chapter, name = read_notebook(nb), nb.stem
    answers = {t.n: solution_to(chapter, t) for t in tasks(chapter)}
    for made in as_nbgrader(chapter), as_otter(chapter, name):
        seen = '\n'.join(released(source_of(c)) for c in made['cells'])
        assert '<summary>Solution</summary>' not in seen and all(t.starter in seen for t in tasks(chapter))
        for n,code in answers.items(): assert f'\n{code}\n' not in seen or len(code) < 20, n
        kept = [source_of(c) for c in chapter['cells'] if c['cell_type'] == 'code' and asked_in_cell(c) is None]
        assert [o for o in kept if o not in seen] == []
        assert not any(c.get('outputs') for c in made['cells'])

@each_chapter
def test_what_otter_wants(nb):
    chapter = read_notebook(nb)
    made = as_otter(chapter, nb.stem)
    nbformat.validate(nbformat.from_dict(made))
    raw = [source_of(c).splitlines()[0] for c in made['cells'] if c['cell_type'] == 'raw']
    one = ['# BEGIN QUESTION', '# BEGIN SOLUTION', '# END SOLUTION', '# BEGIN TESTS', '# END TESTS', '# END QUESTION']
    assert raw == ['# ASSIGNMENT CONFIG', *one*len(tasks(chapter))]
    names = re.findall(r'^name: (\w+)$', '\n'.join(map(source_of, made['cells'])), re.MULTILINE)
    assert len(set(names)) == len(names) == len(tasks(chapter)) + 1

def cell(text, kind='code'): return dict(cell_type=kind, source=text, metadata={})

ASKED = {"x = ...\ncheck('05.1', x)": '05.1', 'check(10, (..., ...))': 10, 'def f(x): ...\n\ncheck(3, f)': 3,
         "five = df[:5] # change this\ncheck('01.4', five)": '01.4', 'check(9, ...)   # a letter': 9}
NOT = ['check(15, lambda x: x)', "check('A', ...)", '%time check(3, ...)', 'check = 3', 'x.check(3, ...)',
       'check(n, ...)', '', "@exercise('05.1', 'a')\ndef _(x): check(3, ...)"]
@pytest.mark.parametrize('text', [*ASKED, *NOT])
def test_where_an_answer_is_asked_for(text): assert asked_in_cell(cell(text)) == ASKED.get(text)

def test_markdown_asks_nothing(): assert asked_in_cell(cell('check(3, ...)', 'markdown')) is None

def test_solutions_in_all_forms():
    fold = '<details><summary>Solution</summary>\n\n{}\n\n</details>'
    two = fold.format('```py\nx = 1\n```\nSo.\n```py\ny = 2\n```')
    assert solution_code(folded_solution(two)) == 'x = 1\n\ny = 2\n'
    assert solution_code(folded_solution(fold.format('It is `x` and then `x = 1`, see.'))) == 'x = 1'
    assert solution_code('Nothing but words.') is None and folded_solution('Not folded') is None

def test_an_exercise_without_a_solution_is_named():
    nb = dict(cells=[cell('### Exercise 05.9 · ●○○ · 5 minutes', 'markdown'), cell("x = ...\ncheck('05.9', x)")])
    with pytest.raises(ValueError, match='Exercise 05.9 has no solution'): as_nbgrader(nb)

def test_links_keep_their_text_and_pictures_stay():
    text = 'See [the loss](05_losses.ipynb#x), [torch](https://a.org), [above](#b), ![drawn](attachment:a.png).'
    made = as_otter(dict(cells=[cell('# T', 'markdown'), cell(text, 'markdown')]), 't')
    assert source_of(made['cells'][-1]) == text.replace('[the loss](05_losses.ipynb#x)', 'the loss')

# ------------------------------------------------------------------ the command

def test_files_of_both(tmp_path, capsys):
    assert course_assign(['05', 'losses', '6', '--nbgrader', str(tmp_path)]) == 0
    assert course_assign(['05', '--otter', str(tmp_path/'o')]) == 0
    assert sorted(p.stem for p in tmp_path.rglob('*.ipynb')) == ['05_losses', '05_losses', '06_metrics']
    assert 'generate_assignment 05_losses' in capsys.readouterr().out
    compile((tmp_path/'nbgrader_config.py').read_text(), 'config', 'exec')

def test_nothing_is_written_over(tmp_path, capsys):
    file = tmp_path/'source'/'05_losses'/'05_losses.ipynb'
    file.parent.mkdir(parents=True)
    file.write_text('mine')
    (tmp_path/'nbgrader_config.py').write_text('mine')
    assert course_assign(['06', '05', '--nbgrader', str(tmp_path)]) == 2
    assert '--force' in capsys.readouterr().err and file.read_text() == 'mine'
    assert not (tmp_path/'source'/'06_metrics').exists()
    assert course_assign(['05', '--nbgrader', str(tmp_path), '--force']) == 0
    assert json.loads(file.read_text(encoding='utf-8'))['cells']
    assert (tmp_path/'nbgrader_config.py').read_text() == 'mine'

WRONG = {'no grader': (['05'], 'required'), 'two graders': (['05', '--otter', 'a', '--nbgrader', 'b'], 'not allowed'),
         'number': (['99', '--otter', '.'], "'99' means no notebook"),
         'room': (['lib/core', '--otter', '.'], 'core has no exercises'),
         'index': (['index', '--otter', '.'], 'index has no exercises'), 'nothing': (['--otter', '.'], 'required')}
@pytest.mark.parametrize('kind', WRONG)
def test_wrong_words_are_said(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    args, said = WRONG[kind]
    assert course_assign(args) == 2 and said in capsys.readouterr().err and not list(tmp_path.iterdir())

def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    (tmp_path/'file').write_text('')
    assert course_assign(['05', '--otter', str(tmp_path/'file')]) == 1
    assert 'Not written, because' in capsys.readouterr().err
