"The course on other machines: any Python and torch of the range, systems without make or fork, continuous integration."
import ast, json, os, re, shutil, subprocess, sys
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
import container, env # tools/
from settings import settings # tools/
from tests.helpers import MODULES, ROOT, code, name, quiz, run_make, tree

SETTINGS = settings()
def workflow(): return (ROOT/'.github'/'workflows'/'test.yml').read_text(encoding='utf-8')

def required(o): return next(r for r in map(Requirement, SETTINGS['requirements'].split()) if r.name == o)

# ------------------------------------------------------------------ ranges

@pytest.mark.parametrize('package', ['torch', 'torchvision'])
def test_range_holds_the_locked_version_and_the_oldest_is_tested(package):
    locked = next(o for o in SETTINGS['locked'].split() if o.startswith(f'{package}=='))
    assert f'{locked}\n' in (ROOT/'requirements.txt').read_text(encoding='utf-8')
    assert required(package).specifier.contains(locked.split('==')[1])
    bounds = {s.operator: s.version for s in required(package).specifier}
    oldest = re.search(rf'\b{package}==([\d.]+)', workflow())[1]
    assert Version(oldest) == Version(bounds['>=']), 'the workflow tests the oldest of the range'

def test_workflow_tests_both_ends_of_the_range_of_pythons():
    named = re.findall(r'python(3\.\d+)', (ROOT/'Makefile').read_text(encoding='utf-8'))
    oldest, newest = sorted(set(named), key=Version)[::len(set(named))-1]
    assert oldest == SETTINGS['min_python'] and f"python: ['{oldest}', '{newest}']" in workflow()

def test_workflow_runs_all_on_each_system():
    assert 'bash .ci/run' in workflow() and 'python tools/test.py' in workflow()

# ------------------------------------------------------------------ .venv

HAVE = '.'.join(map(str, sys.version_info[:2]))

@pytest.fixture
def venv(tmp_path, monkeypatch):
    "A stand-in for .venv, made with this Python for this place; returns what it says of itself."
    monkeypatch.setattr(env, 'BIN', tmp_path)
    (tmp_path/'python').symlink_to(sys.executable)
    return [f'{HAVE} in {ROOT}', 'an older digest']

@pytest.mark.skipif(os.name == 'nt', reason='links need permission there')
def test_venv_of_another_python_is_kept(venv):
    assert env.with_its_python([f'3.99 in {ROOT}', 'new'], venv) == [f'{HAVE} in {ROOT}', 'new']

@pytest.mark.skipif(os.name == 'nt', reason='links need permission there')
@pytest.mark.parametrize('case', ['moved', 'another Python behind it', 'Python gone', 'nothing said'])
def test_venv_that_does_not_fit_is_made_anew(venv, case):
    want = [f'3.99 in {ROOT}', 'new']
    if case == 'moved': venv[0] = f'{HAVE} in /elsewhere'
    if case == 'another Python behind it': venv[0] = f'3.98 in {ROOT}'
    if case == 'Python gone': (env.BIN/'python').unlink()
    if case == 'nothing said': venv.clear()
    assert env.with_its_python(want, venv) == want

@pytest.mark.skipif(not shutil.which('make'), reason='there is no make here')
@pytest.mark.parametrize('wish,said', [([], ''), (['PYTHON=python3'], ' --this')])
def test_a_python_that_is_asked_for_is_taken(wish, said):
    assert run_make('-n', 'env', *wish).stdout.strip().endswith(f'tools/env.py{said}')

def test_what_make_test_does_is_in_one_place():
    "`python tools/test.py` does it, with make and without."
    text = (ROOT/'Makefile').read_text(encoding='utf-8')
    assert re.search(r'^test: env\n\t@\$\(PY\) tools/test.py \$\(NB\)\n\n', text, re.MULTILINE)
    assert re.search(r'^quick: env\n\t@\$\(PY\) tools/test.py --quick\n\n', text, re.MULTILINE)

# ------------------------------------------------------------------ Windows

ELSEWHERE_MISSING = {'os': 'fork forkpty killpg setsid sched_getaffinity sysconf geteuid mkfifo',
                     'signal': 'SIGKILL SIGALRM SIGCHLD alarm setitimer pause', 'socket': 'send_fds recv_fds'}
ONLY_UNIX = 'fcntl', 'resource', 'pty', 'termios', 'pwd', 'grp', 'crypt'

def at_import(tree):
    "The nodes of a module that run when it is imported: those in no function."
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            yield from (n for o in node.args.defaults for n in ast.walk(o))
            if isinstance(node, ast.FunctionDef): yield from (n for o in node.decorator_list for n in ast.walk(o))
        else:
            yield node
            yield from at_import(node)

def needs_unix(node):
    if isinstance(node, ast.Import): return any(a.name in ONLY_UNIX for a in node.names)
    if isinstance(node, ast.ImportFrom): return node.module in ONLY_UNIX
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)): return False
    return node.attr in ELSEWHERE_MISSING.get(node.value.id, '').split()

TOOLS = sorted((ROOT/'tools').glob('*.py'))

@pytest.mark.parametrize('py', [*MODULES, *TOOLS, *sorted((ROOT/'tests').rglob('*.py'))], ids=name)
def test_can_be_imported_where_there_is_no_unix(py):
    lines = [n.lineno for n in at_import(tree(py)) if needs_unix(n)]
    assert not lines, f'{name(py)}, lines {lines}: what Windows lacks may only stand in a function'

@pytest.mark.parametrize('text,bad', [
    ('import resource', 1), ('def f(): import resource', 0), ('x = [signal.SIGKILL]', 1), ('x = lambda: os.fork()', 0),
    ('def f(s=signal.SIGKILL): pass', 1), ("hasattr(os, 'fork')", 0), ('class A:\n    a = os.fork', 1)])
def test_what_unix_has_is_seen(text, bad): assert sum(map(needs_unix, at_import(ast.parse(text)))) == bad

@pytest.mark.parametrize('gone', ['os.fork', 'socket.send_fds'])
def test_without_fork_an_answer_runs_in_the_notebook(monkeypatch, gone):
    from course_lib import worker
    monkeypatch.delattr(gone)
    monkeypatch.setattr(worker._waiting, 'start', lambda: pytest.fail('a process was started'))
    worker.warm_up()
    with worker.running(lambda x: x + 1, lambda f: f) as run: assert (run.apart, run((1,)).value) == (False, 2)
    assert quiz().check(15, lambda x, low, high: x.sigmoid()*(high - low) + low).passed

WRITES = {'read_text': 0, 'write_text': 1, 'open': None} # where the encoding stands, if it is not named

def no_encoding(node):
    "Is this a call that reads or writes text in the encoding that the system happens to have?"
    if not isinstance(node, ast.Call): return False
    said = {k.arg: k.value for k in node.keywords}
    if 'encoding' in said: return False
    if 'text' in said or 'universal_newlines' in said: return True
    f = node.func
    if isinstance(f, ast.Attribute): return f.attr in ('read_text', 'write_text') and len(node.args) <= WRITES[f.attr]
    mode = said.get('mode', node.args[1] if len(node.args) > 1 else ast.Constant('r'))
    return isinstance(f, ast.Name) and f.id == 'open' and 'b' not in getattr(mode, 'value', 'b')

@pytest.mark.parametrize('py', [*MODULES, *TOOLS, ROOT/'setup.py'], ids=name)
def test_every_text_has_an_encoding(py):
    lines = [n.lineno for n in ast.walk(tree(py)) if no_encoding(n)]
    assert not lines, f"{name(py)}, lines {lines}: say encoding='utf-8', or Windows takes another"

@pytest.mark.parametrize('text,bad', [
    ("p.read_text()", 1), ("p.read_text('utf-8')", 0), ("p.write_text('a')", 1), ("p.write_text('a', 'utf-8')", 0),
    ("open(f)", 1), ("open(f, mode='w')", 1), ("open(f, 'wb')", 0), ("open(f, encoding='utf-8')", 0),
    ("Image.open(f)", 0), ("run(c, text=True)", 1)])
def test_a_missing_encoding_is_seen(text, bad): assert sum(map(no_encoding, ast.walk(ast.parse(text)))) == bad

in_checkout = pytest.mark.skipif(not (ROOT/'.git').exists() or not shutil.which('git'), reason='needs git')

@in_checkout
def test_names_of_files_are_names_everywhere():
    "Where capitals are not told apart, and on Windows, with its forbidden names and its 260 letters for a path."
    names = subprocess.check_output(['git', 'ls-files'], cwd=ROOT, encoding='utf-8').splitlines()
    assert len({o.lower() for o in names}) == len(names)
    for o in names:
        assert not re.search(r'[<>:"\\|?*]|[. ](/|$)', o) and len(o) < 120, o
        assert not {p.split('.')[0].lower() for p in o.split('/')} & {'con', 'prn', 'aux', 'nul', 'com1', 'lpt1'}, o

# ------------------------------------------------------------------ containers

def dockerfile(): return container.instructions((ROOT/'Dockerfile').read_text(encoding='utf-8'))

def test_image_is_for_jupyterhub_and_binder():
    "Both: a user who is not root. Binder: names the user by arguments, and runs a command of its own after the start."
    steps, start = dockerfile(), (ROOT/'tools'/'container_start.sh').read_text(encoding='utf-8')
    words = [w for w,_ in steps]
    args = [s.split('=')[0] for w,s in steps if w == 'arg']
    assert args[:2] == ['NB_USER', 'NB_UID'] and words.count('user') == 1 and ('user', '${NB_UID}') in steps
    assert max(i for i,w in enumerate(words) if w in ('run', 'copy')) < words.index('user')
    assert 'jupyterhub-singleuser' in start and start.rstrip().endswith('exec "$@"')
    assert any('--constraint requirements.txt' in s for w,s in steps if w == 'run'), 'the exact versions'

@in_checkout
def test_image_is_made_of_what_is_needed():
    taken = container.context()
    assert not [o for o in taken if o.split('/')[0] in ('.git', '.venv', 'tests', 'bench', 'work')]
    for o in 'setup.py settings.ini requirements.txt README.md nbs/index.ipynb tools/env.py'.split(): assert o in taken

@pytest.fixture
def begins(tmp_path):
    "A function that begins a container here, with stand-ins for the programs of the image; returns what these print."
    programs, samples, home = (tmp_path/o for o in ('bin', 'image', 'home of a learner'))
    for o in programs, home, samples/'data'/'pascal_sample': o.mkdir(parents=True)
    (samples/'data'/'.pascal_sample.source').write_text('version 2', encoding='utf-8')
    for o in 'course_lab', 'jupyterhub-singleuser':
        (programs/o).write_text(f'#!/bin/sh\necho {o} "$@"\n', encoding='utf-8')
        (programs/o).chmod(0o755)
    def begin(*command, **more):
        env = dict(PATH=f'{programs}:{os.environ["PATH"]}', HOME=str(home), COURSE_SAMPLES=str(samples), **more)
        script = ['sh', ROOT/'tools'/'container_start.sh', *command]
        run = subprocess.run(script, env=env, capture_output=True, encoding='utf-8', check=True)
        return run.stdout.replace(str(home), '~').splitlines()
    begin.data = home/'.course_lib'/'data'
    return begin

on_unix = pytest.mark.skipif(os.name == 'nt', reason='a container is Linux')

@on_unix
@pytest.mark.parametrize('command,more,said', [
    ([], {}, ['course_lab ~/course --ip=0.0.0.0 --port=8888']),
    ([], {'JUPYTERHUB_API_TOKEN': 'x'}, ['course_lab --prepare ~/course', 'jupyterhub-singleuser']),
    (['jupyterhub-singleuser', '--debug'], {}, ['course_lab --prepare ~/course', 'jupyterhub-singleuser --debug']),
    (['echo', 'a  b'], {}, ['course_lab --prepare ~/course', 'a  b'])])
def test_container_runs_what_is_asked_for(begins, command, more, said): assert begins(*command, **more) == said

@on_unix
def test_container_links_the_samples_of_the_image(begins):
    begins()
    link, note = begins.data/'pascal_sample', begins.data/'.pascal_sample.source'
    assert link.is_symlink() and link.is_dir() and note.read_text(encoding='utf-8') == 'version 2'
    note.write_text('version 1', encoding='utf-8') # a home that was made with an older image
    begins()
    assert note.read_text(encoding='utf-8') == 'version 2'

@on_unix
def test_container_leaves_alone_what_was_drawn_at_home(begins):
    (begins.data/'pascal_sample').mkdir(parents=True)
    begins()
    assert not (begins.data/'pascal_sample').is_symlink() and not (begins.data/'.pascal_sample.source').exists()

def test_development_container():
    said = json.loads((ROOT/'.devcontainer'/'devcontainer.json').read_text(encoding='utf-8'))
    assert f'python:{SETTINGS["min_python"]}-' in said['image'] and 'make env' in said['postCreateCommand']

# ------------------------------------------------------------------ Colab

def colab_cell(): return next(c.text for c in code(ROOT/'nbs'/'index.ipynb') if 'google.colab' in c.text)

@pytest.fixture
def in_colab_cell(monkeypatch):
    "A function that runs the cell for Colab, with a stand-in for pip; returns what pip was asked for."
    from IPython.core.interactiveshell import InteractiveShell
    def run(here):
        if here: monkeypatch.setitem(sys.modules, 'google.colab', sys)
        shell, asked = InteractiveShell(), []
        shell.register_magic_function(lambda line: asked.append(line), 'line', 'pip')
        shell.run_cell(colab_cell()).raise_error()
        return asked, shell.user_ns
    return run

def test_colab_cell_installs_and_imports(in_colab_cell):
    "From the address in settings.ini, beside the torch that is there."
    from importlib.metadata import version
    asked, names = in_colab_cell(True)
    stays = [f'{o}=={version(o)}' for o in ('torch', 'torchvision')]
    assert asked == [' '.join(['install -q', f'git+{SETTINGS["git_url"]}', *stays])] and 'DataBlock' in names

def test_colab_cell_does_nothing_elsewhere(in_colab_cell):
    asked, names = in_colab_cell(False)
    assert asked == [] and 'DataBlock' not in names and '#| eval: false' in colab_cell()
