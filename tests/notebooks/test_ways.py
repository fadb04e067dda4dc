"The course map of the index: it agrees with the chapters, and none of the three ways needs a chapter outside of it."
import json, re
import pytest
import readme # tools/
from tests.helpers import CHAPTERS, NBS, NOTEBOOKS, ROOT, code, name, prose

INDEX = NBS/'index.ipynb'
HOUR = 'in an hour'
WAYS = 'everything', HOUR, 'the book' # columns of minutes in the map

def chapter_numbers(text):
    "The chapters that a text names: `03`, `02 to 04`."
    text = re.sub(r'\b(\d\d) to (\d\d)\b', lambda m: ' '.join(f'{n:02}' for n in range(int(m[1]), int(m[2]) + 1)), text)
    return set(re.findall(r'\b\d\d\b', text))

def section(title):
    found = re.search(rf'^## {title}\n(.*?)(?=^## |\Z)', prose(INDEX), re.DOTALL | re.MULTILINE)
    assert found, f'the index has no section {title!r}'
    return found[1]

def map_and_hour():
    "The section of the map: up to the table that says what is read in an hour, and that table."
    before, hour = re.split(r'^(?=\| in an hour \| from)', section('The course map'), flags=re.MULTILINE)
    return before, hour

def course_map():
    "{number of a chapter: (the chapters it needs, {way: minutes})}; `this page` and `together` are rows as well."
    rows = {}
    for line in re.findall(r'^\| (?!chapter)(.*) \|$', map_and_hour()[0], re.MULTILINE):
        title, _, needs, *minutes = [o.strip() for o in line.split('|')]
        number = re.match(r'\[?(\d\d|this page|together)', title)
        rows[number[1]] = chapter_numbers(needs), {w: int(o) for w,o in zip(WAYS, minutes) if o}
    return rows

def of(way): return [n for n,(_,minutes) in course_map().items() if n.isdigit() and way in minutes]
def whole(way):
    "The chapters that are read whole; where a way goes through a part only, its text links to a section."
    text = re.search(rf"^- \*\*{way}.*$", section('The course map'), re.MULTILINE | re.IGNORECASE)[0]
    if way == HOUR: text = map_and_hour()[1]
    return [n for n in of(way) if not re.search(rf'{n}_\w+\.ipynb#', text)]

def head(nb): return prose(nb).split('\n## ')[1]

def needs(nb):
    "What the head of a chapter says it needs; what it borrows and says again where it is used is not counted."
    said = re.search(r'You need\b(.*)$', head(nb), re.MULTILINE)
    parts = re.split(r'[;.] ', said[1]) if said else []
    return chapter_numbers(' '.join(o for o in parts if 'where it is used' not in o))

each_way = pytest.mark.parametrize('way', WAYS)

@each_way
def test_a_way_needs_nothing_outside_of_it(way):
    had = set()
    for n in of(way):
        lacks = course_map()[n][0] - had if n in whole(way) else {}
        assert not lacks, f'{n} needs {lacks}, which come later or never'
        had.add(n)

@pytest.mark.slow
@each_way
def test_nor_do_the_heads_of_its_chapters(way):
    had = set()
    for n in of(way):
        lacks = needs(next(NBS.glob(f'{n}_*.ipynb'))) - had if n in whole(way) else {}
        assert not lacks, f'by its head {n} needs {lacks}, which come later or never'
        had.add(n)

def test_what_is_read_in_part_begins_without_the_others():
    "In an hour: chapters read in part. Their heads ask for nothing but what this way has brought, in part as well."
    parts, had = [n for n in of(HOUR) if n not in whole(HOUR)], set()
    assert parts == ['03', '06', '10']
    for n in parts:
        nb = next(NBS.glob(f'{n}_*.ipynb'))
        assert 'nothing but [the index](index.ipynb)' in head(nb) or needs(nb) <= had, n
        had.add(n)

# ------------------------------------------------------------------ is the hour one?

PLUMBING = '#| hide', '#| code-fold', '#| default_exp'
RUNNING = {'index': 1.3, '03': .3, '06': .2, '10': 1.2} # minutes, on two cores

def minutes_of(cell):
    "Of a reader: 200 words of text a minute, 6 seconds for a line of code, 8 for what a cell shows. Not of imports."
    if cell['cell_type'] == 'code':
        lines = [o for o in cell['source'] if o.strip() and not o.startswith(('from ', 'import ', '#|'))]
        return (6*len(lines) + 8)/60 if lines and not cell['source'][0].startswith(PLUMBING) else 0
    return len(re.findall(r'\w+', ''.join(cell['source'])))/200

def by_heading(nb):
    "[(heading, minutes)] of a notebook, in its order; exercises and their solutions are for later."
    found = [['', 0]]
    for cell in (c for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['source']):
        text = ''.join(cell['source'])
        if cell['cell_type'] == 'code' or text.startswith('<details>'):
            found[-1][1] += 0 if '<details>' in text else minutes_of(cell)
            continue
        for part in re.split(r'^(?=##+ )', text, flags=re.MULTILINE):
            title = re.match(r'##+ (.*)', part)
            if title: found.append([title[1], 0])
            found[-1][1] += minutes_of(dict(cell_type='markdown', source=[part]))
    return [(title, minutes) for title,minutes in found if not title.startswith('Exercise')]

def hour():
    "[(number of a chapter or this page, first heading or '', last heading, headings left out, minutes said)]"
    rows = re.findall(r'^\| (this page|\d\d) \|(.*)\|(.*)\|(.*)\| (\d+) \|$', map_and_hour()[1], re.MULTILINE)
    def title(link): return re.sub(r'\[(.*)\]\(.*\)', r'\1', link.strip()).replace('its beginning', '')
    return [(n, title(a), title(b), re.findall(r'\*(.+?)\*', out), int(m)) for n,a,b,out,m in rows]

@pytest.mark.parametrize('row', hour(), ids=lambda o: o[0])
def test_minutes_are_what_reading_takes(row):
    n, begin, end, out, said = row
    nb = INDEX if n == 'this page' else next(NBS.glob(f'{n}_*.ipynb'))
    sections = by_heading(nb)
    titles = [title for title,_ in sections]
    assert {begin, end, *out} <= {*titles}, f'{ {begin, end, *out} - {*titles} } is no heading of {nb.name}'
    read = sections[titles.index(begin):titles.index(end) + 1]
    takes = sum(m for title,m in read if title not in out) + RUNNING[nb.stem[:2] if n.isdigit() else 'index']
    assert abs(takes - said) <= 3, f'{nb.name} takes {takes:.1f} minutes; change the two tables of the index'

def test_the_hour_is_one_in_both_tables():
    said = {n: m for n,*_,m in hour()}
    assert said | {'together': 60} == {n: m[HOUR] for n,(_,m) in course_map().items() if HOUR in m}
    assert sum(said.values()) == 60

def test_everything_is_everything(): assert of('everything') == [nb.stem[:2] for nb in CHAPTERS]

@each_way
def test_minutes_add_up(way):
    rows = course_map()
    total = sum(minutes.get(way, 0) for n,(_,minutes) in rows.items() if n != 'together')
    assert rows['together'][1][way] == total
    said = re.search(rf'^- \*\*{way}[^\d\n]*(\d+ hours)?', section('The course map'), re.MULTILINE | re.IGNORECASE)
    assert round(total/60) == int((said[1] or '1').split()[0])

def test_drawing_says_the_same():
    text = '\n'.join(c.text for c in code(INDEX))
    drawn = {n: int(minutes) for n,minutes in re.findall(r"'(\d\d) [^']*': \(\d, \d, (\d+),", text)}
    appendix = '17'
    assert drawn == {n: course_map()[n][1]['everything'] for n in of('everything') if n != appendix}

# ------------------------------------------------------------------ what the heads say

WORDS = {'a quarter of an hour': 15, 'twenty minutes': 20, 'half an hour': 30, 'forty minutes': 40,
         'three quarters of an hour': 45, 'an hour': 60, 'an hour and a quarter': 75, 'an hour and a half': 90,
         'an hour and three quarters': 105,
         'two hours': 120, 'two and a half hours': 150, 'two to three hours': 150, 'three hours': 180,
         'three and a half hours': 210, 'four hours': 240}

def minutes_said(nb):
    "How long the head of a chapter says it takes to work through; its parts added."
    sentences = re.findall(r'[^.]*\btakes? [^.]*to work through[^.]*', head(nb))
    text = re.split(r'\btakes? ', ' '.join(sentences), maxsplit=1)[-1] # what comes before says how long the cells run
    total = 0
    for words,n in sorted(WORDS.items(), key=lambda o: -len(o[0])): # an hour and a half before an hour
        total += n*len(re.findall(rf'\b{words}\b', text))
        text = re.sub(rf'\b{words}\b', '', text)
    return total + sum(map(int, re.findall(r'\b(\d+) minutes', text)))

@pytest.mark.slow
@pytest.mark.parametrize('nb', CHAPTERS, ids=name)
def test_map_agrees_with_the_head(nb):
    needed, minutes = course_map()[nb.stem[:2]]
    said = minutes_said(nb)
    assert said in (0, minutes.get('everything')), 'change the row of the map, its sums and the drawing'
    if 'You need' in head(nb): assert needed == needs(nb), 'change the row of the map'

# ------------------------------------------------------------------ glossary, and links into pages

def anchors(nb):
    "Of a notebook's headings, as JupyterLab makes them: the text as it is read, dashes for blanks; and its own."
    titles = re.findall(r'^#+ (.*)$', re.sub(r'```.*?```', '', prose(nb), flags=re.DOTALL), re.MULTILINE)
    own = re.findall(r'<a id="([\w-]+)"></a>', prose(nb))
    return {re.sub(r'\]\([^)]*\)|[`*\[]', '', o).strip().replace(' ', '-') for o in titles} | {*own}

@pytest.mark.parametrize('nb', NOTEBOOKS, ids=name)
def test_links_lead_to_headings(nb):
    text = re.sub(r'```.*?```|`[^`\n]*`', '', prose(nb), flags=re.DOTALL)
    for file,heading in re.findall(r'\]\(((?!\w+:)[^)\s#]*\.ipynb)?#([^)\s]+)\)', text):
        page = nb.parent/file if file else nb
        assert heading in anchors(page), (f'{file}#{heading} leads to the top only: JupyterLab makes the anchor of the '
                                          'text of a heading, with its capitals and with dashes for blanks')

def test_links_of_readme_lead_to_headings():
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    there = {readme.anchor(o) for o in re.findall(r'^#+ (.*)$', text, re.MULTILINE)}
    assert set(re.findall(r'\]\(#([^)\s]+)\)', text)) <= there

def glossary():
    table = section('Glossary')
    rows = re.findall(r'^\| (?!term)([^|]+) \| ([^|]+) \| \[(\d\d)\]\((\d\d_\w+\.ipynb)\) \|$', table, re.MULTILINE)
    assert len(rows) == len(re.findall(r'^\|', table, re.MULTILINE)) - 2, 'a row of another form'
    return rows

def test_glossary_is_in_order():
    terms = [term.lower() for term,*_ in glossary()]
    assert terms == sorted(terms) and len(set(terms)) == len(terms)

@pytest.mark.slow
def test_glossary_leads_to_chapters_that_have_the_term():
    for term,_,n,file in glossary():
        assert file.startswith(n) and (NBS/file).exists()
        words = [o for o in re.split(r' and | \(|\)', term.lower()) if o]
        assert any(re.sub('s$', '', o) in prose(NBS/file).lower() for o in words), f'{file} does not speak of {term}'
