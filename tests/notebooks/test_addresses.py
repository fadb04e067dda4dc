"The addresses and the version: in settings.ini alone, and from there wherever a text has to name them."
import re, shutil, subprocess
from pathlib import Path
import pytest
import addresses, check # tools/
from tests.helpers import NBS, ROOT

SETTINGS = (ROOT/'settings.ini').read_text(encoding='utf-8')
def setting(name): return re.search(rf'^{name} = (.*)$', SETTINGS, re.MULTILINE)[1]

def tracked():
    "Texts of the project, as git knows them."
    if not (ROOT/'.git').exists(): pytest.skip('this is no checkout')
    done = subprocess.run(['git', 'grep', '-Il', ''], cwd=ROOT, capture_output=True, text=True)
    return [ROOT/o for o in done.stdout.splitlines() if (ROOT/o).exists()]

def names_it(p, *addresses): return any(o in p.read_text(encoding='utf-8') for o in addresses)

def test_all_texts_name_those_of_the_settings():
    assert addresses.written(ROOT) == addresses.wanted(ROOT), 'run make export'

def test_no_text_is_overlooked():
    "Who names an address is among those that are written, or is made from them."
    git, pages, *_ = addresses.wanted(ROOT)
    made = 'settings.ini', 'README.md', 'course_lib/_modidx.py'
    known = {*addresses.texts(ROOT), *(ROOT/o for o in made)}
    assert [p for p in tracked() if names_it(p, git, pages) and p not in known] == []

def test_none_leads_nowhere():
    nowhere = 'example.' + 'invalid'
    assert [p for p in tracked() if names_it(p, nowhere)] == []

def test_version_is_the_same_everywhere():
    version = setting('version')
    assert f'__version__ = "{version}"' in (ROOT/'course_lib'/'__init__.py').read_text(encoding='utf-8')
    named = re.findall(r'course_lib-([\d.]+)-py3', (NBS/'index.ipynb').read_text(encoding='utf-8'))
    assert named and {*named} == {version}

# ------------------------------------------------------------------ another owner, another host, a new version

@pytest.fixture
def moved(tmp_path):
    "A function that returns a copy of the texts, after a change of settings and `make export`."
    def move(**settings):
        root, copy = tmp_path/'root', tmp_path/'copy'
        for p in [ROOT/'settings.ini', ROOT/'CITATION.cff', NBS/'index.ipynb', *ROOT.glob('.github/**/*.yml')]:
            to = root/p.relative_to(ROOT)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(p, to)
        text = SETTINGS
        for k,v in settings.items(): text = re.sub(rf'^{k} = .*$', f'{k} = {v}', text, flags=re.MULTILINE)
        (root/'settings.ini').write_text(text, encoding='utf-8')
        addresses.write(root, copy)
        return root, copy
    return move

ELSEWHERE = [dict(git_url='https://github.com/somebody/course_lib'), dict(git_url='https://gitlab.org/a/b/lessons'),
             dict(doc_host='https://lessons.org', doc_baseurl='/'), dict(version='0.3.0'),
             dict(git_url='https://github.com/a/b', doc_host='https://a.github.io', doc_baseurl='/b', version='1.0.0')]

@pytest.mark.parametrize('settings', ELSEWHERE, ids=str)
def test_a_change_reaches_all(moved, settings):
    root, copy = moved(**settings)
    assert addresses.written(copy) == addresses.wanted(root) != addresses.written(root)
    gone = [o for o in addresses.written(root) if o not in addresses.wanted(root)]
    left = [p.name for p in copy.rglob('*') if p.is_file() and names_it(p, *gone)]
    assert left == []
    changed = check.differences(root, copy)
    assert Path('CITATION.cff') in changed and 'settings.ini gives' in check.complaint(changed)
    if 'git_url' in settings: assert names_it(copy/'nbs'/'index.ipynb', f'git+{settings["git_url"]}')

def test_without_a_change_nothing_is_written(moved):
    root, copy = moved()
    assert check.differences(root, copy) == []

def test_names_that_go_on_are_others(tmp_path, moved):
    "The repository `course_lib_2` of the same owner is not this one."
    root, copy = moved()
    text = f'{setting("git_url")}_2 and {setting("git_url")}, {setting("git_url")}.git'
    (root/'SECURITY.md').write_text(text, encoding='utf-8')
    (root/'settings.ini').write_text(SETTINGS.replace(setting('git_url'), 'https://a.org/b/c'), encoding='utf-8')
    addresses.write(root, copy)
    said = (copy/'SECURITY.md').read_text(encoding='utf-8')
    assert said == f'{setting("git_url")}_2 and https://a.org/b/c, https://a.org/b/c.git'
