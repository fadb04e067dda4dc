"What holds for the project as a whole: the order of modules, the form of notebooks, README, lock, the two commands."
import ast, base64, builtins, json, os, re, shutil, subprocess, sys, time, urllib.request
from importlib import import_module
from importlib.metadata import packages_distributions
import nbformat, pytest
from packaging.requirements import Requirement
import readme # tools/
from settings import settings # tools/
from course_lib import study
from tests.helpers import (CHAPTERS, LIB, MODULES, NBS, NOTEBOOKS, ORDER, ROOT, cells, code, free_port, imports,
                           module, name, ours, outputs, printed, prose, run_make)

def requirements(*keys): return [Requirement(o) for k in keys for o in settings()[k].split()]
def everything_required(): return requirements(*(f'{o}requirements' for o in ('', 'lab_', 'app_', 'site_', 'dev_')))
def plain(o): return re.sub(r'[-_.]+', '-', o).lower()

each_notebook = pytest.mark.parametrize('nb', NOTEBOOKS, ids=name)
each_chapter = pytest.mark.parametrize('nb', CHAPTERS, ids=name)
each_module = pytest.mark.parametrize('py', MODULES, ids=name)

# ------------------------------------------------------------------ modules

@each_module
def test_imports_run_downwards(py):
    this = module(py)
    assert this in ORDER, f'{this} has no place in the order of modules'
    used = {ours(m) for m,_ in imports(py) if ours(m)}
    upwards = [o for o in used if ORDER.index(o) >= ORDER.index(this)]
    assert not upwards, f'{this} imports {upwards}, which stand above it'

@each_module
def test_the_course_is_imported_before_torch(py):
    "`core` has settings that torch reads when it is loaded; what else is imported may load torch."
    if ORDER.index(module(py)) <= ORDER.index('core'): return
    order = [ours(m) or m.split('.')[0] for m,_ in imports(py, top=True)]
    loading = {'torch', 'torchvision', 'timm', 'safetensors', 'gradio'}
    first = next((o for o in order if o in loading or o in ORDER), 'core')
    assert first in ORDER, f'{module(py)} imports {first} before `from course_lib.core import *`'

@each_module
def test_imports_are_declared(py):
    extra = dict(bear_page=['app_requirements'], headless=['lab_requirements']).get(py.stem, [])
    keys = ['requirements', *extra]
    declared = {plain(r.name) for r in requirements(*keys)}
    known = packages_distributions()
    for o in {m.split('.')[0] for m,_ in imports(py) if not m.startswith('course_lib')}:
        if o in sys.stdlib_module_names or o == 'IPython': continue # IPython comes with ipywidgets
        assert declared & {plain(d) for d in known.get(o, [o])}, f'{o} is not among the requirements in settings.ini'

NAMES = '''L first set_seed to_cpu to_device default_device URLs untar_data get_image_files
    DataLoader Datasets DataLoaders DataBlock ImageBlock CategoryBlock MultiCategoryBlock PointBlock RegressionBlock
    RandomSplitter IndexSplitter ColSplitter FuncSplitter GrandparentSplitter ColReader
    PILImage TensorImage TensorPoint Resize RandomResizedCrop aug_transforms Normalize imagenet_stats
    binary_cross_entropy BCEWithLogitsLossFlat CrossEntropyLossFlat MSELossFlat
    accuracy accuracy_multi F1ScoreMulti APScoreMulti mAP error_rate mse rmse
    Learner vision_learner cnn_learner load_learner sigmoid_range SigmoidRange plot_function
    resnet18 resnet34 resnet50 efficientnet_lite0
    pd np plt torch nn F tensor Path partial math'''.split()
METHODS = {
    'DataLoaders': 'from_dsets train valid one_batch vocab c show_batch loss_func',
    'DataBlock': 'datasets dataloaders summary',
    'Learner': '''fit fit_one_cycle fine_tune freeze unfreeze lr_find validate get_preds predict show_results
        save load export to_bf16 to_fp16''',
    'Path': 'ls'}

@pytest.fixture(scope='module')
def everything():
    scope = {}
    exec('from course_lib.all import *', scope)
    return scope

@pytest.mark.parametrize('o', NAMES)
def test_public_name(everything, o): assert o in everything

@pytest.mark.parametrize('cls', METHODS)
def test_public_methods(everything, cls):
    assert [o for o in METHODS[cls].split() if not hasattr(everything[cls], o)] == []

ROOMS = '''cores memory ranks distrib checks ahead draws decode fused functions progress checkpoint downloads
    findings doctor photo scores results fits resume
    drawings.pen drawings.things drawings.scenes drawings.bears drawings.people
    sandbox cards worker quiz lasting terminal questions questionnaire bear_page bears copies study all
    keywords new_items shown
    first_batch more_pictures new_pictures layers tta interpretation exercises sketch headless assign
    group_progress'''.split()

def test_all_holds_every_module():
    text = (LIB/'all.py').read_text(encoding='utf-8')
    missing = [m for m in map(module, MODULES) if m not in ROOMS and f'from .{m} import *' not in text]
    assert missing == [], f'nbs/index.ipynb must also import {missing}'

@pytest.mark.slow
def test_import_leaves_the_slow_ones_out():
    code = ("import sys; from course_lib.all import *\n"
            "print([o for o in ('torchvision', 'timm', 'sklearn', 'requests', 'nbdev', 'gradio') if o in sys.modules])")
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '[]'

# ------------------------------------------------------------------ notebooks

@each_notebook
def test_begins_with_title_and_promise(nb):
    first = cells(nb)[0]
    assert first.kind == 'markdown' and re.match(r'# \S.*\n\n> \S', first.text), 'an H1, then a block quote'

@each_notebook
def test_ends_with_export(nb):
    if any('#| default_exp' in c.text for c in code(nb)):
        assert re.fullmatch(r'#\|\s*hide\s+import nbdev; nbdev.nbdev_export\(\)', cells(nb)[-1].text.strip())

@each_notebook
def test_no_other_cell_is_left_out(nb):
    "nbdev's tests run no cell that has this text in it, and say nothing."
    assert [c.text for c in code(nb)[:-1] if 'nbdev_export(' in c.text] == []

@each_chapter
def test_chapter_has_its_parts(nb):
    if 'questionnaire' in nb.name: pytest.skip('all of it is exercises')
    text = prose(nb)
    heads = re.findall(r'^## (.*)', text, re.MULTILINE)
    for o in 'What you will be able to do', 'Recap': assert o in heads
    assert '<details>' in text, 'solutions, folded'
    assert re.search(r'(minute|second)s?\b', text.split('## ')[1]), 'how long it takes to run'
    if nb.name > '02': assert re.search(r'(?i)\bquestions?\b', text.split('## ')[1]), 'which questions it answers'

PLACES = re.compile(r'/(home|root|Users|tmp|work|private|var)/|[A-Z]:\\+Users|\.course_lib|site-packages|ipykernel_\d')

@each_notebook
def test_outputs_are_fit_to_commit(nb):
    assert not [o for o in outputs(nb) if o['output_type'] == 'error'], 'an error among the outputs'
    assert not [o for o in outputs(nb) if o.get('name') == 'stderr'], 'warnings or progress bars among the outputs'
    for t in printed(nb):
        assert not (m := PLACES.search(t)), f'a path of the machine that ran it: {t[max(0, m.start()-60):m.end()+60]!r}'
        assert not re.search(r' at 0x[0-9a-f]{6,}', t), f'a memory address, different in each run: {t[:200]!r}'

@each_notebook
def test_sizes(nb):
    assert nb.stat().st_size < 1_000_000
    for o in outputs(nb):
        for kind,data in o.get('data', {}).items():
            if kind.startswith('image/') and kind != 'image/svg+xml':
                assert len(base64.b64decode(''.join(data))) < 100_000, 'a figure over 100 kB'

PAGES = [*NOTEBOOKS, ROOT/'README.md', ROOT/'CONTRIBUTING.md']

@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding='utf-8') if page.suffix == '.md' else prose(page)
    text = re.sub(r'```.*?```|`[^`\n]*`', '', text, flags=re.DOTALL)
    links = [o.split('#')[0] for o in re.findall(r'\]\(([^)\s]+)\)', text) if not re.match(r'[a-z]+:|#', o)]
    assert [o for o in links if not (page.parent/o).exists()] == []

# ------------------------------------------------------------------ README, lock, settings

def test_readme_is_the_course_map():
    assert readme.readme(ROOT/'nbs'/'index.ipynb') == (ROOT/'README.md').read_text(encoding='utf-8')

def test_pictures_of_readme():
    "They are those of the index and the badges, each with a text, and no other lies beside them."
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    wanted = readme.pictures(ROOT/'nbs'/'index.ipynb')
    shown = [(alt, path) for alt,path in re.findall(r'!\[([^]]*)\]\(([^)]*)\)', text) if ':' not in path]
    assert {path for _,path in shown} == set(wanted)
    assert all(len(alt) > (6 if '.svg' in path else 20) for alt,path in shown)
    assert {p: (ROOT/p).read_bytes() for p in wanted} == wanted and sum(map(len, wanted.values())) < 200_000
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT/readme.PICTURES).iterdir()} == set(wanted)

def test_course_map_has_every_notebook():
    text = prose(NBS/'index.ipynb')
    others = [p.relative_to(NBS).as_posix() for p in NOTEBOOKS if p.name != 'index.ipynb']
    assert [o for o in others if f'({o})' not in text] == []

def test_readme_names_every_requirement():
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    assert [r.name for r in everything_required() if f'`{r.name}`' not in text] == []

def test_snippets_of_readme(everything):
    "They compile, and use no name that the import does not bring."
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    code = '\n'.join(re.findall(r'```py(?:thon)?\n(.*?)```', text, re.DOTALL))
    assert 'DataBlock' in code
    nodes = list(ast.walk(ast.parse(code)))
    names = [n for n in nodes if isinstance(n, ast.Name)]
    made = {n.id for n in names if isinstance(n.ctx, ast.Store)} | {n.arg for n in nodes if isinstance(n, ast.arg)}
    made |= {n.name for n in nodes if isinstance(n, (ast.ClassDef, ast.FunctionDef, ast.alias))}
    used = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    assert used - made - set(everything) - set(dir(builtins)) == set()

def locked():
    lines = (ROOT/'requirements.txt').read_text(encoding='utf-8').splitlines()
    return dict(o.split('==') for o in lines if o and not o.startswith('#'))

def test_lock_is_exact_and_in_range():
    lock = {plain(k): v for k,v in locked().items()}
    for r in everything_required():
        assert plain(r.name) in lock, f'{r.name} is not in requirements.txt: run make lock'
        assert r.specifier.contains(lock[plain(r.name)]), f'{r} is not met by {lock[plain(r.name)]}: run make lock'
    assert '+' not in lock['torch'] # the CPU build on one machine, the CUDA build on another

@pytest.mark.parametrize('script', settings()['console_scripts'].split())
def test_console_script_leads_to_a_function(script):
    module, function = script.split('=')[1].split(':')
    assert callable(getattr(import_module(module), function))

@pytest.mark.slow
def test_lock_is_what_is_installed():
    if not (ROOT/'.venv'/'.installed').exists(): pytest.skip('no environment made by make')
    pip = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--no-deps', '--no-index', '-r', 'requirements.txt']
    run = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and 'Would install' not in run.stdout, run.stdout + run.stderr

# ------------------------------------------------------------------ the checks of make test, and make lab

@pytest.fixture
def project(tmp_path):
    "A copy of the project, in a folder with a space in its name."
    copy = tmp_path/'the course'
    for o in 'nbs', 'course_lib', 'tools':
        shutil.copytree(ROOT/o, copy/o, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints', 'models'))
    files = 'settings.ini setup.py pyproject.toml README.md CITATION.cff requirements.txt Makefile'
    for o in files.split(): shutil.copy(ROOT/o, copy)
    return copy

def replace(file, old, new):
    text = file.read_text(encoding='utf-8')
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding='utf-8')

def check(project, *args):
    return subprocess.run([sys.executable, 'tools/check.py', *args], cwd=project, capture_output=True, text=True)

@pytest.mark.slow
def test_check_names_what_is_out_of_step(project):
    check(project, '--fix') # so that nothing but the following is out of step
    right = {o: (project/o).read_bytes() for o in ('README.md', 'course_lib/core.py', 'nbs/lib/core.ipynb')}
    with open(project/'course_lib'/'core.py', 'a') as f: f.write('# changed by hand\n')
    (project/'course_lib'/'stale.py').write_text('left = "from a notebook that is gone"\n')
    (project/'README.md').write_text('changed by hand')
    nb = json.loads((project/'nbs'/'lib'/'core.ipynb').read_text(encoding='utf-8'))
    next(c for c in nb['cells'] if c['cell_type'] == 'code')['execution_count'] = 5
    (project/'nbs'/'lib'/'core.ipynb').write_text(json.dumps(nb), encoding='utf-8')

    found = check(project)
    assert found.returncode == 1 and 'make export' in found.stderr
    for o in 'course_lib/core.py', 'course_lib/stale.py', 'README.md', 'nbs/lib/core.ipynb': assert o in found.stderr
    assert 'course_lib/datasets.py' not in found.stderr and 'nbs/lib/datasets.ipynb' not in found.stderr
    assert (project/'README.md').read_text() == 'changed by hand' # only looked at

    check(project, '--fix')
    assert check(project).returncode == 0
    for o in right: assert (project/o).read_bytes() == right[o]
    assert not (project/'course_lib'/'stale.py').exists()

@pytest.mark.slow
def test_failing_notebook_fails_the_run(project):
    cell = nbformat.v4.new_code_cell('assert 1 == 2, "as it must"')
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), project/'nbs'/'broken.ipynb')
    run = subprocess.run([sys.executable, 'tools/notebooks.py', 'broken'], cwd=project, capture_output=True, text=True)
    assert run.returncode == 1 and 'as it must' in run.stderr and 'broken.ipynb' in run.stderr

@pytest.mark.slow
def test_a_chapter_from_the_template(project):
    "The steps of CONTRIBUTING.md with the template as it is: it runs, and is a chapter in all that is asked of one."
    for o in 'tests', 'website': shutil.copytree(ROOT/o, project/o, ignore=shutil.ignore_patterns('__pycache__'))
    (project/'bench').mkdir()
    for o in 'pytest.ini', 'ruff.toml', 'bench/README.md': shutil.copy(ROOT/o, project/o)
    shutil.copy(project/'nbs'/'_template.ipynb', project/'nbs'/'99_robust.ipynb')
    replace(project/'tests'/'helpers.py', 'export bear_page', 'export robust bear_page')
    index, last = project/'nbs'/'index.ipynb', 'from course_lib.export import *'
    replace(index, last, last + r'\nfrom course_lib.robust import *')
    replace(index, '| [15 bears]', r'| [99 robust](99_robust.ipynb) | errors | 06 | 20 | | |\n| [15 bears]')
    check(project, '--fix')
    assert (project/'course_lib'/'robust.py').exists()

    for command in ('-m ruff check nbs/99_robust.ipynb course_lib', 'tools/notebooks.py 99',
                    '-m pytest tests -q --nb=99',
                    '-m pytest tests/notebooks/test_project.py -q -k course_map_has_every',
                    '-m pytest tests/notebooks/test_project.py -q -k all_holds_every'):
        run = subprocess.run([sys.executable, *command.split()], cwd=project, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr

def test_template_is_as_when_it_was_run():
    "It is no chapter, so no other test looks at its outputs."
    nb = NBS/'_template.ipynb'
    assert [o for o in outputs(nb) if o['output_type'] == 'error' or o.get('name') == 'stderr'] == []
    assert any(c.draws for c in cells(nb)) and nb.stat().st_size < 100_000

@pytest.mark.skipif(not shutil.which('make'), reason='there is no make here')
def test_old_python_is_told(project):
    old = project/'old python' # says of itself that it is Python 3.8
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 8); '
                   "sys.path.insert(0, 'tools'); import env; env.main()\"\n")
    old.chmod(0o755)
    run = run_make('env', f'PYTHON={old}', cwd=project)
    assert run.returncode != 0 and 'needs Python 3.11 or newer' in run.stderr and '3.8' in run.stderr
    assert not (project/'.venv').exists()

@pytest.mark.skipif(not shutil.which('make'), reason='there is no make here')
def test_second_make_installs_nothing():
    if not (ROOT/'.venv'/'.installed').exists(): pytest.skip('no environment made by make')
    run = run_make('env')
    assert (run.returncode, run.stdout) == (0, '')

@pytest.mark.parametrize('env,screen', [
    ({'DISPLAY': ':0'}, True), ({'WAYLAND_DISPLAY': 'w'}, True), ({}, False), ({'DISPLAY': ':0', 'CI': 'true'}, False)])
@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux may be without a screen')
def test_screen_is_noticed(monkeypatch, env, screen):
    for o in 'DISPLAY', 'WAYLAND_DISPLAY', 'CI', 'SSH_CONNECTION': monkeypatch.delenv(o, raising=False)
    for k,v in env.items(): monkeypatch.setenv(k, v)
    assert study.has_screen() is screen
    assert ('--no-browser' in study.lab_arguments(ROOT/'work', screen)) is not screen

@pytest.mark.slow
def test_lab_serves_the_course(tmp_path):
    "What `make lab` starts answers on its port, with the learner's copy of the course map open, and says its address."
    port = free_port()
    folders = {'JUPYTER_RUNTIME_DIR': str(tmp_path), 'JUPYTER_CONFIG_DIR': str(tmp_path)}
    env = {**os.environ, **folders, 'CI': 'true'}
    command = [sys.executable, '-m', 'course_lib.study', 'my copies', f'--ServerApp.port={port}']
    with open(tmp_path/'log', 'w') as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=tmp_path)
    address = re.compile(rf'http://localhost:{port}/lab/tree/index.ipynb\?token=(\w+)')
    try:
        for _ in range(300):
            found = address.search((tmp_path/'log').read_text())
            if found or server.poll() is not None: break
            time.sleep(.2)
        assert found, (tmp_path/'log').read_text()
        def get(path):
            url = f'http://localhost:{port}{path}?token={found[1]}'
            return urllib.request.urlopen(url, timeout=30).read().decode()
        assert 'JupyterLab' in get('/lab/tree/index.ipynb')
        assert json.loads(get('/api/contents/index.ipynb'))['type'] == 'notebook'
        spec = json.loads(get('/api/kernelspecs'))['kernelspecs']['python3']
        assert spec['spec']['argv'][1:3] == ['-m', 'ipykernel_launcher']
    finally:
        server.terminate()
        server.wait(30)

def test_bad_port_is_told():
    env = {**os.environ, 'PORT': 'eighty'}
    run = subprocess.run([sys.executable, str(ROOT/'tools'/'lab.py')], env=env, capture_output=True, text=True)
    assert run.returncode == 1 and "PORT is 'eighty'" in run.stderr
