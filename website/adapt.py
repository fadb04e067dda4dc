"""Notebooks as pages: what JupyterLab shows by itself, and a page must be told.

A page leaves out what `#| hide` hides, folds what is folded, describes each figure by its caption, and leads links
out of `nbs` to the repository. The notebooks themselves are not changed, and nothing is run."""
import base64, json, posixpath, re
from docutils.nodes import make_id

HIDDEN = re.compile(r'^#\|\s*(hide|default_exp)\b(?!\n#\| eval: false)', re.MULTILINE) # what is not run is to be copied
TO_COPY = re.compile(r'^#\| hide\n#\| eval: false\n')
FOLD = re.compile(r'^#\|\s*code-fold:.*\n', re.MULTILINE)
LINK = re.compile(r'(?<!\\)(\]\()([^)\s]+)(?=\))')
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>\n*')
FENCE = re.compile(r'(^```.*?^```[^\S\n]*$|`[^`\n]+`)', re.MULTILINE | re.DOTALL)
CAPTION = re.compile(r'\*Figure: (.*?)\*\s*$', re.MULTILINE)

def cells_of(nb): return json.loads(nb.read_text(encoding='utf-8'))['cells']
def text(cell): return ''.join(cell['source'])

def outside_code(f, source):
    "`source`, with `f` applied to what stands outside of code."
    parts = FENCE.split(source)
    return ''.join(part if i%2 else f(part) for i,part in enumerate(parts))

# ------------------------------------------------------------------ prose

def heading_ids(source):
    "The ids that Sphinx gives to the headings in a cell."
    return {make_id(re.sub(r'[`*]', '', title)) for title in re.findall(r'^#+ (.*)$', source, re.MULTILINE)}

def without_anchors(source):
    "Anchors that a heading has anyway are left out: an id stands once on a page."
    return ANCHOR.sub(lambda m: '' if m[1] in heading_ids(source) else m[0], source)

def link(target, folder, repository):
    "Where a link leads from a page in `folder` (of `nbs`): a file outside of the notebooks is one of the `repository`."
    if re.match(r'[a-z]+:|/', target): return target
    target = target.replace('"', '').replace('%22', '') # as ids have none
    if target[0] == '#': return target
    path = posixpath.normpath(posixpath.join('nbs', folder, target))
    return target if path.startswith('nbs/') else f'{repository}/{path}'

def attached(nb):
    "{file: bytes} of the pictures that are kept in cells of text, under names that no other page has."
    return {f'{nb.stem}-{name}': base64.b64decode(next(iter(data.values())))
            for cell in cells_of(nb) for name,data in cell.get('attachments', {}).items()}

def prose(source, folder, repository):
    lead = lambda part: LINK.sub(lambda m: m[1] + link(m[2], folder, repository), part)
    return outside_code(lead, without_anchors(source))

# ------------------------------------------------------------------ code and outputs

def html(source):
    "A table of pandas without what is no HTML any more."
    source = re.sub(r'<style scoped>.*?</style>\n?', '', source, flags=re.DOTALL)
    return source.replace('<table border="1" class="dataframe">', '<table class="dataframe">')

def output(o):
    data = {k: html(''.join(v)) if k == 'text/html' else v for k,v in o.get('data', {}).items()}
    return {**o, 'data': data} if data else o

def pictures(cell): return [o for o in cell['outputs'] if any(k.startswith('image/') for k in o.get('data', {}))]

def description(cell, after):
    "What a figure shows: its own text (of a drawing), else the caption in the cell `after`."
    own = [''.join(o['data'].get('text/plain', '')) for o in pictures(cell)]
    own = [o for o in own if not re.match(r'<(Figure|PIL|course)', o) and len(o) > 40]
    caption = CAPTION.match(after)
    return ' '.join((own or [caption[1] if caption else 'A figure, drawn by the code above.'])[0].split())

def prompt(source):
    if '@exercise' in source: return 'The check of the exercise'
    return 'The code that draws this' if 'sketch(' in source else 'The code of this cell'

def settings(cell, after):
    "What Sphinx is told of a code cell."
    said = {'tags': cell['metadata'].get('tags', []), 'mystnb': {}}
    if pictures(cell): said['mystnb']['image'] = {'alt': description(cell, after)}
    if FOLD.match(text(cell)):
        said['mystnb'] |= {f'code_prompt_{o}': prompt(text(cell)) for o in ('show', 'hide')}
    return said

def code(cell, after):
    return {**cell, 'metadata': {**settings(cell, after), 'id': cell['id']},
            'source': TO_COPY.sub('', FOLD.sub('', text(cell))), 'outputs': [output(o) for o in cell['outputs']]}

def cells(nb, folder, repository):
    "The cells of a page."
    every = cells_of(nb)
    for cell,following in zip(every, [*every[1:], None]):
        if cell['cell_type'] == 'markdown':
            source = text(cell).replace('](attachment:', f'](./{nb.stem}-')
            yield dict(cell_type='markdown', id=cell['id'], metadata={}, source=prose(source, folder, repository))
        elif not HIDDEN.search(text(cell)) and text(cell).strip():
            yield code(cell, text(following) if following else '')

def with_ways_to_run(first, bar):
    "The first cell of a page, with `bar` below its title and promise."
    title, *paragraphs = first['source'].split('\n\n')
    n = next((i for i,o in enumerate(paragraphs) if not o.startswith('>')), len(paragraphs))
    return {**first, 'source': '\n\n'.join([title, *paragraphs[:n], bar, *paragraphs[n:]])}

def notebook(nb, folder, repository, bar='', extra=()):
    "The text of the notebook `nb` of a page: `bar` stands below its title, cells of Markdown `extra` at its end."
    whole = json.loads(nb.read_text(encoding='utf-8'))
    first, *others = cells(nb, folder, repository)
    more = [dict(cell_type='markdown', id=f'extra-{i}', metadata={}, source=o) for i,o in enumerate(extra)]
    every = [with_ways_to_run(first, bar) if bar else first, *others, *more]
    return json.dumps({**whole, 'cells': every}, ensure_ascii=False)

def title(nb): return re.match(r'# (.*)', text(cells_of(nb)[0]))[1]

def promise(nb):
    "The block quote below a title, without marks."
    found = re.search(r'^> (.*)', text(cells_of(nb)[0]), re.MULTILINE)
    return re.sub(r'[`*]|\]\([^)]*\)|\[', '', found[1]) if found else ''
