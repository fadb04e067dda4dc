"""README.md from nbs/index.ipynb: its text, its code, what the code printed, and its pictures as files beside it.

(nbdev's own way needs Quarto.)"""
import base64, json, posixpath, re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = '.github/pictures' # of README.md; this folder is for those who look at the repository, not for learners
HIDDEN = re.compile(r'^#\|\s*(hide|export|default_exp|code-fold)\b', re.MULTILINE)
KINDS = {'image/png': 'png', 'image/jpeg': 'jpg'}

def anchor(title):
    "Of a heading, as a repository's page makes it; JupyterLab keeps capitals."
    return re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-')

def from_root(text, folder):
    "Links that are relative to `folder`, made relative to the project's root."
    def fixed(m):
        if m[2].startswith('#'): return f'{m[1]}(#{anchor(m[2])})'
        if re.match(r'[a-z]+:|/', m[2]): return m[0]
        return f'{m[1]}({posixpath.normpath(posixpath.join(folder, m[2]))})'
    return re.sub(r'(\])\(([^)\s]+)\)', fixed, text)

def caption(cells, i):
    "What the cell after cell `i` says of its figure."
    after = ''.join(cells[i+1]['source']) if i + 1 < len(cells) else ''
    found = re.match(r'\*Figure: (.*)\*$', after.splitlines()[0] if after else '')
    return found[1] if found else 'a figure'

def picture(output):
    "(ending, bytes) of the picture in an output, or None."
    for kind,data in output.get('data', {}).items():
        if kind in KINDS: return KINDS[kind], base64.b64decode(''.join(data))

def printed(output):
    "The text of one output, HTML left out."
    if output['output_type'] == 'stream': return ''.join(output['text'])
    return ''.join(output.get('data', {}).get('text/plain', []))

def shown(cells):
    "For each cell with pictures its number, and of each picture (name of a file, bytes)."
    found = {}
    all_of_them = [(i, picture(o)) for i,c in enumerate(cells) for o in c.get('outputs', []) if picture(o)]
    for n,(i,(ending,data)) in enumerate(all_of_them, 1): found.setdefault(i, []).append((f'{n}.{ending}', data))
    return found

def cells_of(index): return json.loads(Path(index).read_text(encoding='utf-8'))['cells']

def pictures(index):
    "{path from the root: bytes} of the pictures that README.md shows."
    return {f'{PICTURES}/{name}': data for found in shown(cells_of(index)).values() for name,data in found}

def code_and_output(cells, i, source):
    "Parts of README.md: the code of cell `i` unless it is hidden or folded, its pictures, what it printed."
    if not HIDDEN.search(source): yield f'```python\n{source}\n```'
    for name,_ in shown(cells).get(i, []): yield f'![{caption(cells, i)}]({PICTURES}/{name})'
    texts = [printed(o) for o in cells[i]['outputs'] if not picture(o)]
    text = ''.join(o if o.endswith('\n') else o + '\n' for o in texts).rstrip()
    if text and not HIDDEN.search(source): yield f'```text\n{text}\n```'

def readme(index):
    parts, cells = ['<!-- Made from nbs/index.ipynb by `make export`: change that, not this. -->'], cells_of(index)
    for i,c in enumerate(cells):
        source = ''.join(c['source']).strip()
        if c['cell_type'] == 'markdown': parts.append(from_root(source, 'nbs'))
        elif c['cell_type'] == 'code' and source: parts += code_and_output(cells, i, source)
    return '\n\n'.join(parts) + '\n'

def write(index, root):
    "Write README.md and its pictures into the folder `root`."
    (root/'README.md').write_text(readme(index), encoding='utf-8')
    for path,data in pictures(index).items():
        (root/path).parent.mkdir(parents=True, exist_ok=True)
        (root/path).write_bytes(data)

if __name__ == '__main__': write(ROOT/'nbs'/'index.ipynb', ROOT)
