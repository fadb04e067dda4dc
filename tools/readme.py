"""README.md from nbs/index.ipynb: some of its sections, their code, what the code printed, and pictures beside it.

A figure is taken if its cell has a label, as in `#| label: front`. That of FRONT stands at the top, under the badges.
(nbdev's own way needs Quarto.)"""
import base64, json, posixpath, re
from html import escape
from pathlib import Path
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
INDEX = 'nbs/index.ipynb'
PICTURES = '.github/pictures' # of README.md; this folder is for those who look at the repository, not for learners
FRONT = 'front'
SECTIONS = ('', 'Two commands', 'A first model', 'Ten lines that train', 'What it reaches, and how fast',
            'The course map', 'Three ways through', 'More ways to start', 'Your own copies',
            'In a container, on Binder, on Colab', 'What the package needs, and why', 'Changing something',
            'How to cite', 'Data, credits, licence')
ONLY_IN_INDEX = ('A picture of your own', 'Where is it?', 'How to read a cell', 'Glossary',
                 'The rooms behind the chapters', 'What the import brings')
HIDDEN = re.compile(r'^#\|\s*(hide|export|default_exp|code-fold|label)\b', re.MULTILINE)
LABEL = re.compile(r'^#\|\s*label:\s*(\S+)', re.MULTILINE)
KINDS = {'image/png': 'png', 'image/jpeg': 'jpg'}

def anchor(title):
    "Of a heading, as a repository's page makes it; JupyterLab keeps capitals."
    return re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')

def from_root(text):
    "Links that are relative to the index, made relative to the project's root."
    here = {anchor(o) for o in SECTIONS}
    def fixed(m):
        if m[2].startswith('#'): return f'{m[1]}({f"#{anchor(m[2])}" if anchor(m[2]) in here else INDEX})'
        if re.match(r'[a-z]+:|/', m[2]): return m[0]
        return f'{m[1]}({posixpath.normpath(posixpath.join(posixpath.dirname(INDEX), m[2]))})'
    return re.sub(r'(\])\(([^)\s]+)\)', fixed, text)

# ---- the index, cell by cell

def cells_of(index): return json.loads(Path(index).read_text(encoding='utf-8'))['cells']

def picture(output):
    "(ending, bytes) of the picture in an output, or None."
    for kind,data in output.get('data', {}).items():
        if kind in KINDS: return KINDS[kind], base64.b64decode(''.join(data))

def drawn(cell): return [o for o in map(picture, cell.get('outputs', [])) if o]

def file_name(cell):
    "Of the picture that README.md takes from a cell, or None."
    label = LABEL.search(''.join(cell['source']))
    return f'{label[1]}.{drawn(cell)[0][0]}' if label and drawn(cell) else None

def printed(output):
    "The text of one output, HTML left out."
    if output['output_type'] == 'stream': return ''.join(output['text'])
    return ''.join(output.get('data', {}).get('text/plain', []))

def code_and_output(cell, source):
    "Parts of README.md: the code of a cell and what it printed, if it is not hidden and draws nothing."
    if HIDDEN.search(source) or drawn(cell): return
    yield f'```python\n{source}\n```'
    text = ''.join(o if o.endswith('\n') else o + '\n' for o in map(printed, cell['outputs'])).rstrip()
    if text: yield f'```text\n{text}\n```'

def figure(cell, after):
    "A picture with what the text after it says of it."
    said = re.match(r'\*Figure: (.*)\*', after)[1]
    return [f'![{said}]({PICTURES}/{file_name(cell)})', f'*Figure: {said}*']

def sections(cells):
    "{heading: parts of README.md}, and those of the picture at the top under FRONT."
    found, title = {'': []}, ''
    for cell,following in zip(cells, [*cells[1:], None]):
        source = ''.join(cell['source']).strip()
        if cell['cell_type'] == 'code' and source:
            found[title] += code_and_output(cell, source)
            if file_name(cell):
                at_top = LABEL.search(source)[1] == FRONT
                found.setdefault(FRONT if at_top else title, []).extend(figure(cell, ''.join(following['source'])))
        elif cell['cell_type'] == 'markdown':
            source = re.sub(r'^\*Figure: .*\*\n*', '', source) # it comes with its picture, or not at all
            for part in re.split(r'^(?=##+ )', source, flags=re.MULTILINE): # a comment in a code block has one #
                heading = re.match(r'##+ (.*)', part)
                if heading: title = heading[1]
                if part.strip(): found.setdefault(title, []).append(from_root(re.sub(r'<a id=.*', '', part).strip()))
    return found

def pictures(index):
    "{path from the root: bytes} of the pictures that README.md shows."
    taken = {f'{PICTURES}/{file_name(c)}': drawn(c)[0][1] for c in cells_of(index) if file_name(c)}
    return taken | {f'{PICTURES}/{k}.svg': badge(k, v).encode() for k,v in facts(settings_of(index)).items()}

# ---- badges

def settings_of(index): return settings(Path(index).parent.parent)

def facts(cfg):
    "What the badges say, for each name; these stand in the settings, so they are true."
    return {'version': cfg['version'], 'python': f'{cfg["min_python"]} or newer',
            'licence': {'apache2': 'Apache-2.0'}[cfg['license']]}

BADGE = '''<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{name}: {said}">
<title>{name}: {said}</title>
<rect width="{width}" height="20" rx="3" fill="#1f6feb"/>
<path d="M3 0h{rest}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#444"/>
<g fill="#fff" font-family="Verdana, 'DejaVu Sans', sans-serif" font-size="11">
<text x="6" y="14" textLength="{name_width}">{name}</text>
<text x="{at}" y="14" textLength="{said_width}">{said}</text>
</g>
</svg>
'''

def badge(name, said):
    "A small SVG that needs nothing from elsewhere."
    a, b = round(6.6*len(name)), round(6.6*len(said)) # about what such letters take
    return BADGE.format(name=escape(name), said=escape(said), name_width=a, said_width=b, rest=a + 9, at=a + 18,
                        width=a + b + 24)

def badges(cfg):
    "The line under the title: whether the tests pass, as the repository's host knows; then the facts."
    test = f'{cfg["git_url"]}/actions/workflows/test.yml'
    local = [f'![{k}: {v}]({PICTURES}/{k}.svg)' for k,v in facts(cfg).items()]
    return ' '.join([f'[![tests]({test}/badge.svg?branch={cfg["branch"]})]({test})', *local])

# ---- README.md

def readme(index):
    found, cfg = sections(cells_of(index)), settings_of(index)
    top, *rest = found.pop('')
    title, promise, *intro = top.split('\n\n')
    head = [title, promise, badges(cfg), *found.get(FRONT, []), *intro, *rest]
    parts = ['<!-- Made from nbs/index.ipynb by `make export`: change that, not this. -->', *head]
    return '\n\n'.join(parts + [p for o in SECTIONS[1:] for p in found[o]]) + '\n'

def write(index, root):
    "Write README.md and its pictures into the folder `root`."
    (root/'README.md').write_text(readme(index), encoding='utf-8')
    for path,data in pictures(index).items():
        (root/path).parent.mkdir(parents=True, exist_ok=True)
        (root/path).write_bytes(data)

if __name__ == '__main__': write(ROOT/INDEX, ROOT)
