"""The package as one file: built, installed into an empty environment, used there without the checkout.

No network is needed: what the package requires is taken from the environment that runs the tests."""
import os, re, shutil, subprocess, sys, sysconfig, time, urllib.request, zipfile
from pathlib import Path
import pytest
import distribution # tools/
from tests.helpers import NBS, ROOT, code, free_port, prose

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == 'nt', reason='a link to a folder is made here')]

def run(*command, **kwargs):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

SDIST = 'import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])'
OFFLINE = '--no-index', '--no-deps', '--disable-pip-version-check'

def wheel_of(source, folder):
    run(sys.executable, '-m', 'pip', 'wheel', *OFFLINE, '--no-build-isolation', '-w', folder, source, cwd=folder)
    return next(folder.glob('*.whl'))

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "The wheel that a checkout gives, and the one that its source archive gives."
    project, *folders = (tmp_path_factory.mktemp(o) for o in ('project', 'wheel', 'archive', 'second'))
    skip = shutil.ignore_patterns('.*', '__pycache__', 'work', 'build', 'dist', '*.egg-info', 'models')
    shutil.copytree(ROOT, project, ignore=skip, dirs_exist_ok=True)
    stale = project/'build'/'lib'/'course_lib'/'chapters'/'00_gone.ipynb' # of an earlier build
    stale.parent.mkdir(parents=True)
    stale.write_text('{}')
    run(sys.executable, '-c', SDIST, folders[1], cwd=project)
    return wheel_of(project, folders[0]), wheel_of(next(folders[1].glob('*.tar.gz')), folders[2])

def setting(name): return re.search(rf'^{name} = (.*)$', (ROOT/'settings.ini').read_text('utf-8'), re.MULTILINE)[1]
def names(wheel): return set(zipfile.ZipFile(wheel).namelist())

def test_the_wheel_holds_package_and_chapters(built):
    held = names(built[0])
    inside = lambda paths, top, folder: {f'{folder}/{p.relative_to(top).as_posix()}' for p in paths}
    modules = inside((ROOT/'course_lib').rglob('*.py'), ROOT, '.')
    notebooks = [p for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts and p.name[0] != '_']
    assert {o.removeprefix('./') for o in modules} <= held
    assert {o for o in held if '/chapters/' in o} == inside(notebooks, NBS, 'course_lib/chapters')

def test_the_source_archive_gives_the_same_wheel(built): assert names(built[0]) == names(built[1])

def test_the_wheel_says_where_the_course_lives(built):
    with zipfile.ZipFile(built[0]) as z:
        text = next(z.read(o).decode() for o in z.namelist() if o.endswith('/METADATA'))
    version, git, pages = (setting(o) for o in ('version', 'git_url', 'doc_host'))
    for o in f'Version: {version}', f'Project-URL: Source, {git}', f'Home-page: {pages}/': assert f'\n{o}' in text

@pytest.fixture(scope='module')
def place(built, tmp_path_factory):
    "An environment with the wheel in it and nothing else, but for what it requires; and the folder of its programs."
    folder = tmp_path_factory.mktemp('place')
    run(sys.executable, '-m', 'venv', '--without-pip', folder/'env')
    python = folder/'env'/'bin'/'python'
    site = Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])').strip())
    (site/'what_it_requires.pth').write_text('\n'.join({sysconfig.get_paths()[o] for o in ('purelib', 'platlib')}))
    shutil.rmtree(folder/'env'/'share', ignore_errors=True)
    (folder/'env'/'share').symlink_to(Path(sys.prefix)/'share') # the page of JupyterLab
    run(sys.executable, '-m', 'pip', '--python', python, 'install', *OFFLINE, built[0])
    (folder/'somewhere').mkdir()
    return folder/'somewhere', folder/'env'/'bin'

def environ(**kwargs):
    kept = {k: v for k,v in os.environ.items() if k not in ('PYTHONPATH', 'VIRTUAL_ENV', 'CI', 'SSH_CONNECTION')}
    return kept | {k: str(v) for k,v in kwargs.items()}

def test_the_example_of_the_readme(place):
    here, programs = place
    before, shown, _ = distribution.example((ROOT/'README.md').read_text(encoding='utf-8'))
    *lines, last = before.splitlines()
    where = 'import course_lib; print(course_lib.__file__)'
    said = run(programs/'python', '-c', '\n'.join([*lines, f'print({last})', where]), cwd=here, env=environ())
    assert shown.split() == said.split()[:-1] and said.split()[-1].startswith(str(programs.parent))

def test_check(place):
    here, programs = place
    said = run(programs/'course_lab', '--check', cwd=here, env=environ())
    for o in 'Python 3', 'are there.', 'The package loads', 'course_lib/chapters', f'{here}/work': assert o in said
    assert str(ROOT/'nbs') not in said and not (here/'work').exists()

def test_course_lab_opens_a_browser_on_copies(place, tmp_path):
    here, programs = place
    port, asked = free_port(), tmp_path/'asked'
    (tmp_path/'browser').write_text(f'#!/bin/sh\necho "$1" > "{asked}"\n')
    (tmp_path/'browser').chmod(0o755)
    folders = dict.fromkeys(('JUPYTER_RUNTIME_DIR', 'JUPYTER_CONFIG_DIR'), tmp_path)
    env = environ(BROWSER=tmp_path/'browser', DISPLAY=':0', **folders)
    with open(tmp_path/'log', 'w') as log:
        command = [programs/'course_lab', f'--ServerApp.port={port}', '--ServerApp.use_redirect_file=False']
        server = subprocess.Popen(list(map(str, command)), cwd=here, env=env, stdout=log, stderr=log)
    try:
        for _ in range(300):
            if asked.exists() and asked.read_text() or server.poll() is not None: break
            time.sleep(.2)
        log = (tmp_path/'log').read_text()
        assert asked.exists(), log
        assert 'Copied to work: ' in log and f':{port}/lab/tree/index.ipynb?token=' in asked.read_text()
        assert 'JupyterLab' in urllib.request.urlopen(asked.read_text().strip(), timeout=30).read().decode()
    finally:
        server.terminate()
        server.wait(30)

def test_copies_from_an_installation(place):
    here, programs = place
    run(programs/'course_lab', '--prepare', cwd=here, env=environ())
    pages = list((here/'work').rglob('*.ipynb'))
    assert len(pages) == len([p for p in NBS.rglob('*.ipynb') if p.name[0] not in '_.'])
    for p in pages:
        links = [o.split('#')[0] for o in re.findall(r'\]\(([^)\s]+\.(?:ipynb|md)[^)\s]*|\.\.[^)\s]+)\)', prose(p))]
        assert [o for o in links if '://' not in o and not (p.parent/o).exists()] == [], p.name
        assert not any(c.text.endswith('nbdev.nbdev_export()') for c in code(p)[-1:])
    (here/'work'/'04_vision.ipynb').write_text('mine')
    assert 'Yours is now 04_vision_mine.ipynb' in run(programs/'course_reset', '04', cwd=here, env=environ())

def test_run_all_in_work_changes_no_package(place):
    here, programs = place
    run(programs/'course_lab', '--prepare', cwd=here, env=environ())
    packages = ROOT/'course_lib', *programs.parent.glob('lib/*/*-packages/course_lib')
    modules = {p: p.stat().st_mtime_ns for o in packages for p in o.rglob('*.py')}
    convert = '-m', 'nbconvert', '--to', 'notebook', '--execute', '--inplace'
    run(programs/'python', *convert, 'lib/cards.ipynb', cwd=here/'work', env=environ(JUPYTER_PREFER_ENV_PATH=1))
    assert len(modules) > 80 and all(p.stat().st_mtime_ns == t for p,t in modules.items())
