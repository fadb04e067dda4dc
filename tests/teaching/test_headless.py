"`course_run`: chapters run without a screen, and what the report says of those that fail, hang or die."
import html.parser, os, re, signal, subprocess, sys, time
from pathlib import Path
import nbformat, psutil, pytest
from course_lib import headless
from course_lib.headless import Failure, Run, as_report, course_run, run_notebook, way
from tests.helpers import NBS, ROOT

def save(folder, **notebooks):
    "Notebooks in `folder`: names, and the sources of their cells."
    folder.mkdir(exist_ok=True)
    for name,sources in notebooks.items():
        cells = [nbformat.v4.new_code_cell(o) if isinstance(o, str) else o for o in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder/f'{name}.ipynb')
    return folder

# ------------------------------------------------------------------ which ones

def test_ways_are_those_of_the_map():
    hour, book, every = ([p.stem[:2] for p in way(o)] for o in ('hour', 'book', 'everything'))
    assert hour[0] == book[0] == every[0] == 'in' and {'03', '06', '10'} <= set(hour) < set(book) < set(every)
    assert every[1:] == [f'{k:02}' for k in range(1, 18)]

WRONG = {
    'nothing': ([], 'which chapters?'), 'number': (['99'], "'99' means no notebook"),
    'way': (['--ways', 'minute'], 'choose hour, book or everything'),
    'folder': (['05', '--folder', 'nowhere'], 'There are no notebooks in nowhere'),
    'timeout': (['05', '--timeout', '0'], 'a number of seconds above 0'),
    'report': (['01', '--folder', '{folder}', '--report', '{folder}'], 'cannot be written')}

@pytest.mark.parametrize('kind', WRONG)
def test_wrong_words_are_said(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path/'nbs', **{'01_one': ['1']})
    args, said = WRONG[kind]
    assert course_run([o.format(folder=folder) for o in args]) == 2
    assert said in capsys.readouterr().err and not Path('course_run.html').exists()

def test_two_copies_of_one_chapter_are_told_apart(tmp_path, capsys):
    folder = save(tmp_path/'work', **{'05_losses': ['1'], '05_losses_mine': ['2']})
    assert course_run(['05', '--folder', str(folder), '--report', str(tmp_path/'r.html')]) == 2
    assert '05_losses_mine' in capsys.readouterr().err

def test_a_copy_that_lacks_chapters_of_a_way(tmp_path, capsys):
    folder = save(tmp_path/'work', index=['1'])
    assert course_run(['--ways', 'hour', '--folder', str(folder)]) == 2
    assert 'work lacks 03_datablock.ipynb' in capsys.readouterr().err

def test_what_is_missing_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None if name == 'nbclient' else 1)
    assert course_run(['05', '--report', str(tmp_path/'r.html')]) == 2
    assert 'Not installed: nbclient. They come with JupyterLab' in capsys.readouterr().err

# ------------------------------------------------------------------ what becomes of them

OFF = "import os\nassert os.environ['COURSE_PROGRESS'] == 'off'"
EXPORT = 'import nbdev; nbdev.nbdev_export()'
MAY_FAIL = nbformat.v4.new_code_cell('1/0', metadata=dict(tags=['raises-exception']))

def test_a_run_changes_nothing_and_keeps_no_progress(tmp_path):
    folder = save(tmp_path/'nbs', a=[OFF, '', '#| eval: false\n1/0', EXPORT, MAY_FAIL, '2'])
    before = (folder/'a.ipynb').read_bytes()
    run = run_notebook(folder/'a.ipynb')
    assert run.fine and run.cells == len(run.seconds) == 3, run.failures
    assert (folder/'a.ipynb').read_bytes() == before and run.peak > 1e7

def test_a_failure_ends_its_notebook_unless_asked(tmp_path):
    path = save(tmp_path/'nbs', a=['x = 1', 'x.y', 'print(x)', '1/0'])/'a.ipynb'
    stops, goes_on = run_notebook(path), run_notebook(path, go_on=True)
    assert [f.error for f in stops.failures] == ["AttributeError: 'int' object has no attribute 'y'"]
    assert [f.cell for f in goes_on.failures] == [1, 3] and len(goes_on.seconds) == 4 and len(stops.seconds) == 2
    assert '\x1b' not in stops.failures[0].text and not stops.stopped

HANGS = '''import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
open('pid', 'w').write(str(child.pid))
time.sleep(600)'''
DIES = 'import os; os._exit(9)'

def test_what_hangs_is_ended_with_what_it_started(tmp_path):
    folder = save(tmp_path/'nbs', a=['1', HANGS, '2'])
    run = run_notebook(folder/'a.ipynb', timeout=3)
    assert 'still running after 3 seconds' in run.stopped and [f.cell for f in run.failures] == [1]
    pid = int((folder/'pid').read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

def test_a_kernel_that_dies(tmp_path):
    run = run_notebook(save(tmp_path/'nbs', a=['1', DIES, '2'])/'a.ipynb')
    assert 'no memory left' in run.stopped and [f.cell for f in run.failures] == [1] and not run.fine

def test_a_damaged_file_is_one_line(tmp_path, capsys):
    folder = save(tmp_path/'nbs', **{'02_two': ['2']})
    for name,text in {'01_cut': '{"cells": [', '03_list': '[]', '04_no': '{}'}.items():
        (folder/f'{name}.ipynb').write_text(text)
    assert course_run(['1', '2', '3', '4', '--folder', str(folder), '--report', str(tmp_path/'r.html')]) == 1
    out = capsys.readouterr().out.splitlines()
    assert ['cannot be read' in o for o in out[:4]] == [True, False, True, True] and 'fine' in out[1]

@pytest.mark.skipif(os.name == 'nt', reason='there is no Ctrl-C to send')
def test_who_stops_it_keeps_what_is_done(tmp_path):
    folder = save(tmp_path/'nbs', **{'01_one': ['1'], '02_two': ['import time; time.sleep(300)']})
    call = 'import sys; from course_lib.headless import course_run; sys.exit(course_run())'
    program = subprocess.Popen([sys.executable, '-c', call, '1', '2', '--folder', folder], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    report = tmp_path/'course_run.html'
    for _ in range(300):
        if report.exists() and '01_one' in report.read_text(encoding='utf-8'): break
        time.sleep(.2)
    time.sleep(3) # the second kernel starts, and its cell
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert program.returncode == 130 and 'Stopped.' in err and 'Traceback' not in err, err
    assert '1 of 1 ran to the end' in report.read_text(encoding='utf-8')

# ------------------------------------------------------------------ the report

class Balanced(html.parser.HTMLParser):
    "Each element is closed, and in the right order."
    open = ()
    def handle_starttag(self, tag, attrs): self.open = [*self.open, tag] if tag != 'meta' else self.open
    def handle_endtag(self, tag):
        assert self.open[-1] == tag, (self.open, tag, self.getpos())
        self.open = self.open[:-1]

def test_report_is_valid_and_stands_alone():
    failure = Failure(1, 'x < "y" & z', 'E: <i>', '<b>')
    odd = Run('a<b>&"c', NBS/'05_losses.ipynb', 2, {0: 1., 1: 250.}, 3*2**20, [failure])
    page = as_report([Run('fine', NBS/'index.ipynb', 1, {0: .1}, 2**30), odd])
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r'(src|href)="https?:', page) and '<i>' not in page and 'x &lt;' in page
    assert all(o in html.unescape(page) for o in ('1024 MB', '4.2 min', '1 of 2 failed', 'Cell 2', 'a<b>'))
    assert html.escape(NBS.as_uri()) in page

def test_exit_status_and_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(headless, 'run_notebook', lambda p, each, **kwargs: Run(p.stem, p, 1, {0: 2.}))
    assert course_run(['05', 'losses', '06', '--report', str(tmp_path/'r.html')]) == 0
    out = capsys.readouterr().out
    assert out.count('fine') == 2 and '05_losses' in out and 'r.html' in out # each once
    assert course_run(['--help']) == 0 and '--timeout' in capsys.readouterr().out

def test_it_needs_no_torch_to_say_what_is_wrong():
    "Whoever asks for help does not wait for torch."
    code = "import sys; from course_lib.headless import *; course_run(['--help']); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True).returncode == 0
