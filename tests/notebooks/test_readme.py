"What a visitor meets first: README.md, its badges, its table of figures, and how it looks on the page of the package."
import re, runpy, xml.etree.ElementTree as ET
import pytest, setuptools
import readme # tools/
from settings import settings # tools/
from tests.helpers import NBS, ROOT, outputs, prose

README = (ROOT/'README.md').read_text(encoding='utf-8')
BENCH = (ROOT/'bench'/'README.md').read_text(encoding='utf-8')

def place(text):
    assert README.count(text) >= 1, text
    return README.index(text)

def test_order():
    "The promise, badges, one picture, two commands, lines that train, figures, the way through, how to cite."
    parts = ('> ', '[![tests]', f'{readme.PICTURES}/front.', '## Two commands', 'vision_learner(',
             '## What it reaches', '## The course map', '### Three ways', '## How to cite')
    places = [place(o) for o in parts]
    assert places == sorted(places)
    assert place('## Two commands') < 6000 and len(README) < 24_000

def test_every_section_of_the_index_has_its_place():
    text = re.sub(r'```.*?```', '', prose(NBS/'index.ipynb'), flags=re.DOTALL)
    titles = re.findall(r'^##+ (.*)$', text, re.MULTILINE)
    assert sorted(titles) == sorted([*readme.SECTIONS[1:], *readme.ONLY_IN_INDEX])

def test_ten_lines_with_their_output():
    code, said = re.search(r'```python\n(set_seed.*?)```\n\n```text\n(.*?)```', README, re.DOTALL).groups()
    assert len(code.strip().splitlines()) == 10 and 'average_precision_score' in said

# ------------------------------------------------------------------ badges

def test_badges_say_what_is_set():
    cfg = settings()
    line = next(o for o in README.splitlines() if o.startswith('[![tests]'))
    facts = f'version: {cfg["version"]}', f'python: {cfg["min_python"]} or newer', 'licence: Apache-2.0'
    assert [o for o in facts if f'![{o}]' not in line] == []
    assert line.startswith(f'[![tests]({cfg["git_url"]}/actions/workflows/test.yml/badge.svg')
    assert (ROOT/'.github'/'workflows'/'test.yml').exists()
    assert 'Apache License' in (ROOT/'LICENSE').read_text(encoding='utf-8')

def test_badges_are_whole_and_need_nothing_else():
    for name,said in readme.facts(settings()).items():
        svg = ET.fromstring(readme.badge(name, said))
        assert {name, said} <= {o.text for o in svg.iter()} and svg.get('aria-label') == f'{name}: {said}'
        assert not any(o.tag.endswith(('image', 'style', 'script')) for o in svg.iter())

def test_a_badge_takes_any_text():
    assert ET.fromstring(readme.badge('a<b', '"1" & 2')).get('aria-label') == 'a<b: "1" & 2'

# ------------------------------------------------------------------ the table of figures

def rows():
    table = README.split('## What it reaches')[1].split('\n## ')[0]
    return [o.strip('| ').split(' | ') for o in table.splitlines() if o.startswith('|')][2:]

def measured(row): return re.sub(r' \(.*', '', row[1]), row[2].removeprefix('fastai: ')
BESIDE = [o for o in rows() if o[2].startswith('fastai: ')]

@pytest.mark.parametrize('row', BESIDE, ids=lambda o: o[0])
def test_speeds_are_those_of_the_bench(row):
    assert any(line.split(' | ')[1:3] == [*measured(row)] for line in BENCH.splitlines()), row

def test_not_only_what_flatters():
    "Where the course is the slower one, the table says so, too."
    slower = [o for o in BENCH.splitlines() if 'MISSED' in o and 'loaders of 100,000 rows' in o]
    assert all(any(o.split(' | ')[1] == row[1] for row in BESIDE) for o in slower)

def text_of(chapter):
    "What the cells of a chapter printed."
    nb = next(NBS.glob(f'{chapter}_*.ipynb'))
    return '\n'.join(''.join(o.get('text') or o.get('data', {}).get('text/plain', '')) for o in outputs(nb))

REACHED = {'scenes': (r'F1 [\d.]+   mAP ([\d.]+)', r'its mAP: ([\d.]+)'),
           'photographs': (r'stored features +5 +([\d.]+)', r'nothing is there +1 +([\d.]+)'),
           'head': (r'this model ([\d.]+) pixels', r'best single place (\d+)')}

@pytest.mark.slow
@pytest.mark.parametrize('what', REACHED)
def test_scores_are_those_of_the_chapters(what):
    row = next(o for o in rows() if what in o[0] and '.ipynb)' in o[0])
    text = text_of(re.search(r'(\d\d)_\w+\.ipynb', row[0])[1])
    for said,pattern in zip(row[1:], REACHED[what]):
        said, there = re.search(r'[\d.]+', said)[0], re.search(pattern, text)[1]
        digits = len(said.partition('.')[2])
        assert f'{float(there):.{digits}f}' == said, f'{said} is said, {there} is in the chapter'

def test_what_fastai_reaches_is_said_by_the_bench():
    there = re.search(r'twenty labels ([\d.]+), the middle of a head\s+([\d.]+) pixels', BENCH).groups()
    said = [o[2].split('fastai: ')[1] for o in rows() if '; fastai: ' in o[2]]
    assert said == [f'{float(there[0]):.2f}', f'{float(there[1]):.0f}']

def test_parity_is_that_of_the_bench():
    row = next(o for o in rows() if o[0].startswith('lines of comparison'))
    assert f'{row[1].split()[0]} lines PASS, none FAIL' in re.sub(r'\s+', ' ', BENCH) and row[2] == 'none differs'

# ------------------------------------------------------------------ on the page of the package

@pytest.fixture(scope='module')
def handed_over():
    "What setup.py hands to setuptools."
    taken, real = {}, setuptools.setup
    setuptools.setup = taken.update
    try: runpy.run_path(str(ROOT/'setup.py'))
    finally: setuptools.setup = real
    return taken

def test_description_stands_alone(handed_over):
    "A page elsewhere has no files beside it: links and pictures are addresses."
    text, git = handed_over['long_description'], settings()['git_url']
    links = re.findall(r'\]\(([^)\s]+)\)', re.sub(r'```.*?```|`[^`\n]*`', '', text, flags=re.DOTALL))
    assert [o for o in links if not o.startswith(('https://', '#'))] == []
    assert f'({git}/raw/main/{readme.PICTURES}/front.jpg)' in text
    assert f'({git}/blob/main/nbs/03_datablock.ipynb)' in text
    assert text.count('](') == README.count('](')

def test_code_in_the_description_is_left_alone(handed_over):
    def blocks(text): return re.findall(r'```.*?```', text, re.DOTALL)
    assert blocks(handed_over['long_description']) == blocks(README)
