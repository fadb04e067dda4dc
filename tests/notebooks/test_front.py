"What meets those who come to the repository: workflows, forms, the texts beside README; a release; the hooks of git."
import configparser, json, re, shutil, subprocess, sys
import pytest, yaml
from packaging.requirements import Requirement
from packaging.version import Version
import distribution, env, test # tools/
from settings import settings # tools/
from tests.helpers import ROOT

def read(path): return (ROOT/path).read_text(encoding='utf-8')
def data(path): return yaml.safe_load(read(path))

# ------------------------------------------------------------------ workflows

WORKFLOWS = sorted((ROOT/'.github'/'workflows').glob('*.yml'))
MAY_WRITE = {'site': {('publish', 'pages'), ('publish', 'id-token')},
             'release': {('publish', 'id-token'), ('announce', 'contents')}}
each_workflow = pytest.mark.parametrize('path', WORKFLOWS, ids=lambda p: p.stem)

@each_workflow
def test_actions_are_pinned(path):
    "To a commit, with its version beside it; one action has one commit in all workflows."
    text = path.read_text(encoding='utf-8')
    uses = re.findall(r'uses: (.*)', text)
    assert uses and all(re.fullmatch(r'[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+', o) for o in uses), uses
    assert text.count('persist-credentials: false') == text.count('actions/checkout@')
    everywhere = {o for p in WORKFLOWS for o in re.findall(r'uses: (.*)', p.read_text(encoding='utf-8'))}
    assert len({o.split('@')[0] for o in everywhere}) == len(everywhere)

@each_workflow
def test_a_workflow_may_do_no_more_than_it_must(path):
    said = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert said['permissions'] == {}
    given = {(job, k) for job,o in said['jobs'].items() for k,v in o['permissions'].items() if v != 'read'}
    assert given == MAY_WRITE.get(path.stem, set())
    assert 'secrets.' not in path.read_text(encoding='utf-8')

@each_workflow
def test_make_knows_what_a_workflow_asks_of_it(path):
    asked = re.findall(r'run: make ([\w-]+)', path.read_text(encoding='utf-8'))
    assert [o for o in asked if not re.search(rf'^{o}:', read('Makefile'), re.MULTILINE)] == []

def test_publishing_waits_for_the_trial():
    jobs = data('.github/workflows/release.yml')['jobs']
    assert jobs['publish']['needs'] == 'build' and jobs['announce']['needs'] == 'publish'
    assert 'make dist' in str(jobs['build']['steps']) and 'cache' not in str(jobs['build']['steps'])
    assert list(jobs['publish']['permissions']) == ['id-token'], 'no password'
    site = data('.github/workflows/site.yml')['jobs']
    assert site['publish']['needs'] == 'build' and 'pull_request' in site['publish']['if']

def test_updates_stay_within_the_ranges():
    "What settings.ini holds tighter than to a major version is not touched by the weekly pull request."
    updates = {o['package-ecosystem']: o for o in data('.github/dependabot.yml')['updates']}
    assert {*updates} == {'github-actions', 'pip'} and all(o['groups'] for o in updates.values())
    ignored = {o['dependency-name'] for o in updates['pip']['ignore']}
    locked = dict(re.findall(r'^([\w.-]+)==([\w.]+)$', read('requirements.txt'), re.MULTILINE))
    keys = [k for k in settings() if k.endswith('requirements') or k == 'locked']
    ranges = [Requirement(o) for k in keys for o in settings()[k].split()]
    newer = lambda r: f'{Version(locked[r.name]).major}.9999'
    assert ignored == {'*', *(r.name for r in ranges if not r.specifier.contains(newer(r)))}

# ------------------------------------------------------------------ forms and texts

FORMS = ['chapter', 'failure', 'idea']

@pytest.mark.parametrize('form', FORMS)
def test_a_form_asks_little_and_explains_itself(form):
    said = data(f'.github/ISSUE_TEMPLATE/{form}.yml')
    fields = [o for o in said['body'] if o['type'] != 'markdown']
    required = [o for o in fields if o.get('validations', {}).get('required')]
    assert said['description'] and 3 <= len(fields) <= 4 and 1 <= len(required) <= 3
    assert len({o['id'] for o in fields}) == len(fields) and all(o['attributes']['label'] for o in fields)

def test_a_failure_comes_with_what_the_check_says():
    fields = {o['id']: o for o in data('.github/ISSUE_TEMPLATE/failure.yml')['body']}
    assert 'course_lab --check' in fields['check']['attributes']['label'] and fields['check']['validations']['required']

def test_no_other_issue_than_by_form():
    assert data('.github/ISSUE_TEMPLATE/config.yml')['blank_issues_enabled'] is False
    assert {p.stem for p in (ROOT/'.github'/'ISSUE_TEMPLATE').glob('*.yml')} == {'config', *FORMS}

TEXTS = ['CHANGELOG.md', 'CODE_OF_CONDUCT.md', 'SECURITY.md', 'CONTRIBUTING.md', '.github/PULL_REQUEST_TEMPLATE.md']

@pytest.mark.parametrize('path', TEXTS)
def test_a_text_is_short_and_its_links_lead_somewhere(path):
    text = re.sub(r'```.*?```|`[^`\n]*`', '', read(path), flags=re.DOTALL)
    links = [o.split('#')[0] for o in re.findall(r'\]\(([^)\s]+)\)', text) if not re.match(r'[a-z]+:|#', o)]
    assert [o for o in links if not ((ROOT/path).parent/o).exists()] == [] and len(text) < 20_000

def test_names_in_the_texts_are_there():
    "What SECURITY and CHANGELOG speak of can be called, or is a program or a target."
    scope = {}
    exec('from course_lib.all import *', scope)
    programs = re.findall(r'(\w+)=', settings()['console_scripts'])
    targets = re.findall(r'^(\w+):', read('Makefile'), re.MULTILINE)
    known = {*scope, *dir(scope['Learner']), *dir(scope['DataBlock']), *programs, *targets}
    known |= {'main', 'torchrun', 'safetensors', 'course_lib'}
    for path in 'SECURITY.md', 'CHANGELOG.md':
        assert {*re.findall(r'`(?:learn\.|dblock\.|make )?(\w+)`', read(path))} - known == set(), path

# ------------------------------------------------------------------ a release

def test_the_version_has_its_place_in_the_changelog():
    text, version = read('CHANGELOG.md'), settings()['version']
    assert distribution.notes(text, version).startswith('### ')
    date = re.search(rf'^## \[{version}\] - (.*)$', text, re.MULTILINE)[1]
    assert str(data('CITATION.cff')['date-released']) == date
    heads = re.findall(r'^## \[(.*?)\]', text, re.MULTILINE)
    assert heads[:2] == ['Unreleased', version] and all(f'\n[{o}]: ' in text for o in heads)
    assert heads[1:] == sorted(heads[1:], key=Version, reverse=True)

def test_a_tag_that_is_another_version_is_refused():
    distribution.check_tag('v0.3.0', '0.3.0')
    for tag in 'v0.3', '0.3.0', 'v0.3.1', 'v0.3.0rc1':
        with pytest.raises(SystemExit, match='say v0.3.0'): distribution.check_tag(tag, '0.3.0')

@pytest.mark.parametrize('head', ['0.3.0 - 2026-12-01', '[0.3.0]', '[0.3.0] - soon', '[0.3.01] - 2026-12-01'])
def test_a_version_without_a_date_is_refused(head):
    with pytest.raises(SystemExit, match='CHANGELOG.md has no heading'):
        distribution.notes(f'## {head}\n\n- New.\n', '0.3.0')

def test_notes_are_of_one_version():
    text = '## [Unreleased]\n\n## [0.3.0] - 2026-12-01\n\n### Added\n\n- New.\n\n## [0.2.0] - 2026-11-26\n\n- y\n'
    assert distribution.notes(text, '0.3.0') == '### Added\n\n- New.\n'
    assert distribution.notes(text + '\n[0.2.0]: a\n', '0.2.0') == '- y\n'

def test_readmes_example_is_a_program():
    code, shown = distribution.program(read('README.md'))
    compile(code, 'README.md', 'exec')
    assert code.startswith('from course_lib.all import *') and 'fine_tune' in code and shown.strip()

# ------------------------------------------------------------------ the hooks of git

def hooks(): return data('.pre-commit-config.yaml')['repos'][0]['hooks']

def test_hooks_do_what_make_test_does_first():
    steps = [' '.join(o) for o in test.steps()]
    first = steps[:steps.index('-m course_lib.samples')]
    assert [o['entry'] for o in hooks()] == [f'.venv/bin/python {o}' for o in first]

def git(*words, cwd):
    me = '-c', 'user.name=a', '-c', 'user.email=a@b.org'
    return subprocess.run(['git', *me, *words], cwd=cwd, capture_output=True, text=True)

def driver(name):
    "What `make hooks` tells git of a way to join."
    found = re.search(rf"git config merge\.{name}\.driver '?(.*?)'?$", read('Makefile'), re.MULTILINE)
    return re.sub(r'\.venv/bin/(\w+)', lambda m: f'"{env.BIN.as_posix()}/{m[1]}"', found[1]) # a folder may have blanks

NOTEBOOK = {'cells': [{'cell_type': 'code', 'id': f'c{i}', 'metadata': {}, 'execution_count': None, 'outputs': [],
                       'source': [f'x = {i}']} for i in range(3)], 'metadata': {}, 'nbformat': 4, 'nbformat_minor': 5}

@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('git') or sys.platform == 'win32', reason='git is needed')
def test_two_changes_of_a_notebook_are_joined_by_cells(tmp_path):
    "Also where both change the same cell: the notebook can be opened, with both versions in it."
    def change(name, cell, text, **files):
        git('checkout', '-q', '-b', name, 'main', cwd=tmp_path)
        nb = json.loads((tmp_path/'a.ipynb').read_text())
        nb['cells'][cell]['source'] = [text]
        (tmp_path/'a.ipynb').write_text(json.dumps(nb, indent=1))
        (tmp_path/'README.md').write_text(name)
        git('commit', '-qam', name, cwd=tmp_path)
    git('init', '-q', '-b', 'main', cwd=tmp_path)
    shutil.copy(ROOT/'.gitattributes', tmp_path)
    for o in 'nbdev-merge', 'made-by-export': git('config', f'merge.{o}.driver', driver(o), cwd=tmp_path)
    (tmp_path/'a.ipynb').write_text(json.dumps(NOTEBOOK, indent=1))
    (tmp_path/'README.md').write_text('made')
    git('add', '-A', cwd=tmp_path)
    git('commit', '-qm', 'begin', cwd=tmp_path)
    change('first', 0, 'x = "first"')
    change('second', 2, 'x = "second"')
    change('third', 0, 'x = "third"')
    git('checkout', '-q', 'first', cwd=tmp_path)
    assert git('merge', '-q', 'second', cwd=tmp_path).returncode == 0, 'README.md is made by export, and no conflict'
    sources = lambda: [''.join(c['source']) for c in json.loads((tmp_path/'a.ipynb').read_text())['cells']]
    assert sources() == ['x = "first"', 'x = 1', 'x = "second"'] and (tmp_path/'README.md').read_text() == 'first'
    git('merge', '-q', 'third', cwd=tmp_path)
    joined = '\n'.join(sources())
    assert 'x = "first"' in joined and 'x = "third"' in joined and 'x = 1' in joined

# ------------------------------------------------------------------ what is counted

def test_coverage_looks_at_the_package_and_asks_for_its_share():
    cfg = configparser.ConfigParser()
    cfg.read(ROOT/'.coveragerc', encoding='utf-8')
    assert cfg['run']['source_pkgs'] == 'course_lib' and 'subprocess' in cfg['run']['patch'].split()
    assert float(cfg['report']['fail_under']) >= 95 and 'omit' not in cfg['run'] and 'omit' not in cfg['report']
