"The course on other machines: any Python and torch of the range, systems without make or fork, continuous integration."
import os, re, shutil, subprocess, sys
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
import env, lock # tools/
from tests.helpers import ROOT

SETTINGS = lock.settings()
WORKFLOW = (ROOT/'.github'/'workflows'/'test.yml').read_text(encoding='utf-8')

def required(o): return next(r for r in map(Requirement, SETTINGS['requirements'].split()) if r.name == o)

# ------------------------------------------------------------------ ranges

@pytest.mark.parametrize('package', ['torch', 'torchvision'])
def test_range_holds_the_locked_version_and_the_oldest_is_tested(package):
    locked = next(o for o in SETTINGS['locked'].split() if o.startswith(f'{package}=='))
    assert f'{locked}\n' in (ROOT/'requirements.txt').read_text(encoding='utf-8')
    assert required(package).specifier.contains(locked.split('==')[1])
    bounds = {s.operator: s.version for s in required(package).specifier}
    oldest = re.search(rf'\b{package}==([\d.]+)', WORKFLOW)[1]
    assert Version(oldest) == Version(bounds['>=']), 'the workflow tests the oldest of the range'

def test_workflow_tests_both_ends_of_the_range_of_pythons():
    named = re.findall(r'python(3\.\d+)', (ROOT/'Makefile').read_text(encoding='utf-8'))
    oldest, newest = sorted(set(named), key=Version)[::len(set(named))-1]
    assert oldest == SETTINGS['min_python'] and f"python: ['{oldest}', '{newest}']" in WORKFLOW

def test_workflow_is_pinned_and_may_only_read():
    uses = re.findall(r'uses: (.*)', WORKFLOW)
    assert uses and all(re.fullmatch(r'[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+', o) for o in uses), uses
    assert len(re.findall(r'permissions:(?: \{\}|\n +contents: read)\n', WORKFLOW)) == WORKFLOW.count('permissions:')
    assert WORKFLOW.count('persist-credentials: false') == WORKFLOW.count('actions/checkout@')
    assert 'bash .ci/run' in WORKFLOW and 'python tools/test.py' in WORKFLOW

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
    clean = {k: v for k,v in os.environ.items() if k != 'PYTHON'}
    run = subprocess.run(['make', '-n', 'env', *wish], cwd=ROOT, capture_output=True, encoding='utf-8', env=clean)
    assert run.stdout.strip().endswith(f'tools/env.py{said}')

def test_what_make_test_does_is_in_one_place():
    "`python tools/test.py` does it, with make and without."
    text = (ROOT/'Makefile').read_text(encoding='utf-8')
    assert re.search(r'^test: env\n\t@\$\(PY\) tools/test.py \$\(NB\)\n\n', text, re.MULTILINE)
    assert re.search(r'^quick: env\n\t@\$\(PY\) tools/test.py --quick\n\n', text, re.MULTILINE)
