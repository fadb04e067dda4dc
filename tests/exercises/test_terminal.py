"The questionnaire in a terminal: words, answers of several lines, widths, pipes, and a real terminal."
import builtins, math, os, subprocess, sys
import pytest
from course_lib.cards import PASS, Board
from course_lib.questions import questions
from course_lib.terminal import as_word, code_is_open, in_terminal, read_values, words
from tests.helpers import for_each, quiz

@pytest.fixture
def z(): return quiz(seed=1)

@pytest.fixture
def types(monkeypatch):
    "A function that types lines; one that is an exception is raised."
    def lines_of(*lines):
        lines = iter(lines)
        def read(prompt=''):
            line = next(lines, EOFError)
            if not isinstance(line, str): raise line
            return line
        monkeypatch.setattr(builtins, 'input', read)
    return lines_of

@pytest.fixture
def talk(z, types, capsys):
    "From a question and what is typed to what is said."
    def f(n, *lines):
        types(*lines)
        assert in_terminal(z, [str(n)]) == 0
        return capsys.readouterr().out
    return f

def tries(z, n): return z.kept.read().get(str(n), {}).get('tries', 0)

# ---------------------------------------------------------------- words

@pytest.mark.parametrize('word', ['quit', 'exit', 'q', 'QUIT', 'Quit', 'quit()', 'exit()', 'exit(0)', ' exit ; ',
                                  'Exit();'])
@pytest.mark.parametrize('n', [1, 7, 15, 'A'])
def test_leaving(z, talk, n, word):
    out = talk(n, word, 'never read')
    assert 'never read' not in out and 'TRY AGAIN' not in out and tries(z, n) == 0

@pytest.mark.parametrize('word', ['hint', 'Hint', 'HINT', 'hint()', 'hint(3)', ' hint. '])
def test_a_hint_is_no_try(z, talk, word):
    for q in questions:
        assert 'Hint 1 of' in talk(q.n, word) and tries(z, q.n) == 0
        z._hints_given.clear()

@pytest.mark.parametrize('word', ['help', 'Help', 'help()', '?', 'progress', 'question', 'solution()', 'Solution'])
@for_each([q for q in questions if q.n in (1, 7, 15, 'A')])
def test_no_word_is_a_try(z, talk, q, word): assert 'TRY AGAIN' not in talk(q.n, word) and tries(z, q.n) == 0

def test_what_only_looks_like_a_word():
    for o in 'hints and more', 'hint + 1', 'lambda x: x', '(1, 2)', '', 'a b', '3': assert as_word(o) not in words
    assert as_word('a)') == '' and as_word('B') == 'b'

def test_a_word_is_one_line_of_the_table(talk, monkeypatch):
    monkeypatch.setitem(words, 'again', lambda quiz, q: f'again, {q.title}')
    assert 'again, y_range' in talk(15, 'Again()') and 'again' in talk(15, 'help')

def test_habits_of_the_notebook_are_no_tries(z, talk):
    assert 'No `check` is needed' in talk(1, "check(1, 'a')") and tries(z, 1) == 0

def test_words_after_the_command(z, capsys):
    for argv in ['12', 'HINT'], ['12', 'hint()'], ['a', 'Solution'], ['progress'], ['Progress'], ['--help'], ['HELP']:
        assert in_terminal(z, argv) == 0, argv
    for argv in ['12', 'what'], ['0'], ['²'], ['-1'], ['12', 'hint', 'hint'], ['quit', 'now'], ['']:
        assert in_terminal(z, argv) == 2, argv
        said = capsys.readouterr().out
        assert 'usage: course_quiz' in said and (len(argv) > 1 or 'There is no question' in said)

# ---------------------------------------------------------------- several lines

FUNCTIONS = {
    'plain':         ['def f(x, low, high):', '    return torch.sigmoid(x)*(high-low)+low', ''],
    'comment first': ['# mine', 'def f(x, low, high):', '    return torch.sigmoid(x)*(high-low)+low', ''],
    'comment within': ['def f(x, low, high): # mine', '# a thought', '    return torch.sigmoid(x)*(high-low)+low', ''],
    'blank line':    ['def f(x, low, high):', '    s = torch.sigmoid(x)', '', '    return s*(high-low)+low', ''],
    'blank at once': ['def f(x, low, high):', '', '    s = torch.sigmoid(x)', '  ', '    return s*(high-low)+low', ''],
    'decorator':     ['import functools', '@functools.cache', 'def f(x, low, high):',
                      '    return torch.sigmoid(x)*(high-low)+low', ''],
    'open bracket':  ['def f(x,', '      low,', '      high):', '    return (torch.sigmoid(x)', '        *(high-low)',
                      '', '        + low)', ''],
    'one line':      ['def f(x, low, high): return torch.sigmoid(x)*(high-low)+low'],
    'lambda':        ['lambda x, low, high: (', '  torch.sigmoid(x)*(high-low)', '', '  + low)'],
    'expression':    ['(torch.sigmoid(x)', ' *(high-low)+low)'],
    'backslash':     ['torch.sigmoid(x)*(high-low) \\', '  + low'],
    'docstring':     ['def f(x, low, high):', '    """Into the range.', '', '    Always."""', '',
                      '    return torch.sigmoid(x)*(high-low)+low', ''],
    'guard':         ['def f(x, low, high):', '    if low is None:', '        return x', '',
                      '    return torch.sigmoid(x)*(high-low)+low', ''],
    'both branches': ['def f(x, low, high):', '    if low is None:', '        return x', '    else:',
                      '        return torch.sigmoid(x)*(high-low)+low', ''],
    'try':           ['def f(x, low, high):', '    try:', '        return torch.sigmoid(x)*(high-low)+low',
                      '    finally:', '        pass', '', ''],
    'function within': ['def f(x, low, high):', '    def s(x):', '        return torch.sigmoid(x)', '',
                        '    return s(x)*(high-low)+low', ''],
    'indented':      ['    def f(x, low, high):', '        return torch.sigmoid(x)*(high-low)+low', ''],
    'import first':  ['import torch as t', '', 'def f(x, low, high):', '    return t.sigmoid(x)*(high-low)+low', ''],
    'end of input':  ['def f(x, low, high):', '    return torch.sigmoid(x)*(high-low)+low']}

@pytest.mark.parametrize('name', FUNCTIONS)
def test_a_function_of_several_lines(z, talk, name):
    out = talk(15, *FUNCTIONS[name])
    assert PASS in out.split(), out
    assert tries(z, 15) == 1

@for_each([q for q in questions if q.kind == 'code'])
def test_every_solution_can_be_typed(z, talk, q):
    for text in q.reference, *q.also:
        out = talk(q.n, *text.split('\n'), '', '')
        assert PASS in out.split(), out

def test_what_is_not_python_is_no_try(z, talk):
    out = talk(15, 'no such thing', 'def f(x, low, high) return x', '', 'def f(x, low, high):', '    return x +',
               '    y = 3', '', '    return x', 'x = (', '', '', *FUNCTIONS['plain'])
    assert out.count('This is not Python') == 5 and PASS in out.split() and tries(z, 15) == 1

def test_two_empty_lines_end_anything(z, talk):
    out = talk(15, 'def f(x, low, high):', '    y = x', '', '', 'quit')
    assert 'TRY AGAIN' in out and tries(z, 15) == 1
    assert not code_is_open(['f(', '', ''])

def test_interrupted(z, talk, monkeypatch):
    "In the middle of a function it is thrown away, at an empty prompt one leaves."
    out = talk(15, 'def f(x, low, high):', KeyboardInterrupt, *FUNCTIONS['plain'])
    assert PASS in out.split() and tries(z, 15) == 1
    assert 'never' not in talk(15, KeyboardInterrupt, 'never')
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr(z, 'check', stop)
    assert 'Stopped' in talk(15, 'x', 'quit')

# ---------------------------------------------------------------- values

VALUES = {
    '2, 3': (2, 3), '(2, -3.5)': (2, -3.5), '[1, 2]': [1, 2], '+1, - 2': (1, -2), '4/3': 4/3, '2*3 - 1': 5,
    'inf, -inf': (math.inf, -math.inf), "float('inf'), -float('inf')": (math.inf, -math.inf), 'Infinity': math.inf,
    'torch.inf, math.inf, -np.inf': (math.inf, math.inf, -math.inf), 'float("1.5")': 1.5,
    'tensor([1., 2.])': [1, 2], 'torch.tensor([[1, -2]])': [[1, -2]], 'tensor(0.5)': .5, 'np.array([1, 2])': [1, 2],
    'tensor([1.], dtype=torch.float64)': [1], 'tensor([1.], grad_fn=<MulBackward0>), 2': ([1], 2),
    'tensor([1.,\n        2.])': [1, 2], 'torch.Size([2, 3])': [2, 3], 'True, False, None': (True, False, None),
    "'cat', \"dog\"": ('cat', 'dog'), 'cat, 3': ('cat', 3), 'RuntimeError': 'RuntimeError', '()': ()}

@pytest.mark.parametrize('text', VALUES)
def test_values(text): assert read_values(text) == VALUES[text]

@pytest.mark.parametrize('text', ['nan', '-nan', 'NaN', 'torch.nan', "float('nan')", 'tensor(nan)', 'np.nan'])
def test_not_a_number(text): assert math.isnan(read_values(text))

UNREADABLE = ['', '(2, 2', 'no such thing', 'print(3)', '__import__("os")', '[o for o in [1]]', "'a'*10**9", '1/0',
              '-[1]', '9**9**9', 'x.y()', '['*500, '-'*5000 + '1', 'tensor()', 'lambda: 3', 'a[0]']
@pytest.mark.parametrize('text', UNREADABLE, ids=lambda o: o[:20])
def test_what_cannot_be_read_is_told(z, talk, text):
    with pytest.raises((ValueError, SyntaxError)): read_values(text)
    assert 'TRY AGAIN' not in talk(7, text, '', 'quit') and tries(z, 7) == 0

@for_each([q for q in questions if q.kind == 'predict'])
def test_every_prediction_can_be_typed(z, talk, q):
    assert PASS in talk(q.n, repr(q.truth)).split()
    assert PASS in talk(q.n, repr(q.truth)[1:-1]).split()
    assert PASS in talk(q.n, *repr(q.truth).replace(', ', ',\n').split('\n')).split()
    assert PASS in talk(q.n, '(1, [2', repr(q.truth)).split() # a forgotten bracket does not swallow the next answer

@pytest.mark.parametrize('text', ['1 2 3 4 5', '[1, 2, 3, 4, 5]', '(1,2,3,4,5)', '1,2, 3 ,4,5'])
def test_points_can_be_ticked(talk, text): assert 'SELF-ASSESSED' in talk('A', 'none of them', text)

# ---------------------------------------------------------------- the width

def prose(out): return [o for o in out.split('\n') if not o.startswith('    ')]

@pytest.mark.parametrize('columns', [40, 60, 80, 120, 200])
def test_text_is_as_wide_as_the_terminal(z, talk, monkeypatch, columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    widest = max(len(line) for q in questions for line in prose(talk(q.n, 'hint', 'hint', 'help')))
    assert columns - 25 < widest <= columns

def test_never_narrower_than_40(talk, monkeypatch):
    monkeypatch.setenv('COLUMNS', '10')
    assert 30 < max(map(len, prose(talk(1)))) <= 40

@pytest.mark.parametrize('columns', [40, 80, 100, 200])
def test_the_table_is_whole(z, monkeypatch, capsys, columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    in_terminal(z, [])
    out = capsys.readouterr().out
    assert max(map(len, out.split('\n'))) <= columns
    whole = ' '.join(out.split())
    for q in questions:
        chapter, section = q.read[0]
        assert q.title in whole and f'{chapter}, "{section}"' in whole
    assert whole.count('to do') == len(questions)

def test_sections_with_and_in_them():
    row = 1, 'Salt and pepper', 'to do', '02 Cooking and eating, "Salt and pepper" and "More"; 03 Else, "A"'
    for width in 200, 40:
        assert '02 Cooking and eating, "Salt and pepper"' in ' '.join(Board('', '', [row]).text(width).split())

# ---------------------------------------------------------------- processes

QUIZ = [sys.executable, '-c', 'import sys; from course_lib.questionnaire import course_quiz; sys.exit(course_quiz())']
def env(**more): return {**os.environ, 'COURSE_PROGRESS': 'off', **more}

def test_the_pipe_is_closed():
    "What `course_quiz | head -1` does: the reader leaves before anything is written."
    r, w = os.pipe()
    os.close(r)
    for argv, typed in ([], ''), (['15'], 'x\nx\n'):
        run = subprocess.run([*QUIZ, *argv], stdout=w, stderr=subprocess.PIPE, input=typed.encode(), env=env())
        assert (run.returncode, run.stderr) == (0, b''), argv
    os.close(w)

def test_letters_that_the_terminal_does_not_know():
    typed = "'caf\xe9 \u2192'\nquit\n"
    for io, raw in ('ascii', typed.encode()), ('utf-8', typed.encode('latin-1', 'replace')):
        run = subprocess.run([*QUIZ, '15'], capture_output=True, input=raw, env=env(PYTHONIOENCODING=io))
        assert run.returncode == 0 and run.stderr == b'' and b'TRY AGAIN' in run.stdout, io

# ---------------------------------------------------------------- a terminal

class Screen:
    "A program in a terminal of its own."
    def __init__(self, argv, environment):
        import pty
        self.pid, self.fd = pty.fork()
        if not self.pid: os.execve(argv[0], argv, environment)
        self.seen = ''

    def until(self, text, seconds=90):
        "What is printed until `text` comes."
        import select, time
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f'{text!r} did not come: {self.seen}'
            try: self.seen += os.read(self.fd, 4096).decode(errors='replace')
            except OSError: raise AssertionError(f'{text!r} did not come: {self.seen}') from None
        before, _, self.seen = self.seen.partition(text)
        return before

    def press(self, keys): os.write(self.fd, keys.encode())

    def ends(self):
        try:
            while os.read(self.fd, 4096): pass
        except OSError: pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

UP, LEFT, CTRL_C, CTRL_D = '\x1b[A', '\x1b[D', '\x03', '\x04'

@pytest.mark.skipif(sys.platform == 'win32', reason='there are no terminals of this kind')
def test_a_real_terminal(tmp_path):
    pytest.importorskip('readline')
    clean = {k: v for k,v in os.environ.items() if k not in ('PYTEST_CURRENT_TEST', 'IN_TEST', 'COLUMNS', 'LINES')}
    clean |= dict(COURSE_PROGRESS='on', COURSE_LIB_HOME=str(tmp_path/'home'), TERM='xterm')
    s = Screen([*QUIZ, '15'], clean)
    s.until('quit.'), s.until('> ')
    s.press('torch.sigmid(x)\r'), s.until('AttributeError'), s.until('> ')
    s.press(UP + LEFT*5 + 'o\r'), s.until('TRY AGAIN') # what was typed before, edited
    assert 'AttributeError' not in s.until('> ')
    s.press('def f(x, low, high):\r'), s.until('... ')
    s.press('\treturn x'), s.press(CTRL_C), s.until('> ')
    s.press('exit()\r')
    assert s.ends() == 0
    s = Screen([*QUIZ, '15'], clean)
    s.until('quit.'), s.until('> ')
    s.press(UP + UP + '\r'), s.until('def f(x, low, high):'), s.until('... ') # what was typed the last time
    s.press('\treturn torch.sigmoid(x)*(high-low)+low\r'), s.until('... '), s.press('\r')
    s.until(PASS)
    assert s.ends() == 0
    s = Screen([*QUIZ, '1'], clean)
    s.until('quit.'), s.until('> '), s.press(CTRL_D)
    assert s.ends() == 0
