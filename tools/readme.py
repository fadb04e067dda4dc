"README.md from nbs/index.ipynb: its text, its code, and what the code printed. (nbdev's own way needs Quarto.)"
import json, posixpath, re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r'^#\|\s*(hide|export|default_exp)\b', re.MULTILINE)

def from_root(text, folder):
    "Links that are relative to `folder`, made relative to the project's root."
    def fixed(m):
        if re.match(r'[a-z]+:|#|/', m[2]): return m[0]
        return f'{m[1]}({posixpath.normpath(posixpath.join(folder, m[2]))})'
    return re.sub(r'(\])\(([^)\s]+)\)', fixed, text)

def printed(output):
    "The text of one output, HTML and pictures left out."
    if output['output_type'] == 'stream': return ''.join(output['text'])
    return ''.join(output.get('data', {}).get('text/plain', []))

def readme(index):
    parts = ['<!-- Made from nbs/index.ipynb by `make export`: change that, not this. -->']
    for c in json.loads(Path(index).read_text(encoding='utf-8'))['cells']:
        source = ''.join(c['source']).strip()
        if c['cell_type'] == 'markdown': parts.append(from_root(source, 'nbs'))
        elif c['cell_type'] == 'code' and source and not HIDDEN.search(source):
            parts.append(f'```python\n{source}\n```')
            text = ''.join(printed(o) for o in c['outputs']).rstrip()
            if text: parts.append(f'```text\n{text}\n```')
    return '\n\n'.join(parts) + '\n'

if __name__ == '__main__': (ROOT/'README.md').write_text(readme(ROOT/'nbs'/'index.ipynb'), encoding='utf-8')
