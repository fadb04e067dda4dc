"""The reference: a page for each module, with every public name, from its source alone (nothing is imported).

`write(folder)` makes MyST pages. What is said of a name comes from where it is defined: the docstring, the
comments beside its parameters (docments), the cell that makes it and the heading above that cell."""
import ast, html, io, json, re, tokenize
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from docutils.nodes import make_id

ROOT = Path(__file__).resolve().parent.parent
NBS, LIB = ROOT/'nbs', ROOT/'course_lib'
MARKER = re.compile(r'^# %% (\S+\.ipynb) #(\w+)', re.MULTILINE)

# ------------------------------------------------------------------ what the source says

@dataclass
class Param:
    name: str
    type: str = ''
    default: str = ''
    comment: str = ''

@dataclass
class Thing:
    "A public name, or a public method of a class."
    name: str
    kind: str # function, class, data, method, property
    module: str
    cell: tuple = () # (notebook, id of the cell)
    args: str = ''
    doc: str = ''
    value: str = ''
    params: list = field(default_factory=list)
    returns: Param | None = None
    bases: list = field(default_factory=list)
    members: dict = field(default_factory=dict)
    flags: list = field(default_factory=list)
    added_by: str = '' # the module, where a method comes from another one than its class

    @property
    def full(self): return f'course_lib.{self.module}.{self.name}'

def comments_of(text):
    "{line: comment} of a module."
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {t.start[0]: t.string.lstrip('# ').rstrip() for t in tokens if t.type == tokenize.COMMENT}

def params_of(node, comments):
    "The parameters of a function, each with the comment at its end; of several on a line the last one has it."
    a = node.args
    plain = [*a.posonlyargs, *a.args]
    defaults = [None]*(len(plain) - len(a.defaults)) + a.defaults
    found = [(p, d, '') for p,d in zip(plain, defaults)]
    if a.vararg: found.append((a.vararg, None, '*'))
    found += [(p, d, '') for p,d in zip(a.kwonlyargs, a.kw_defaults)]
    if a.kwarg: found.append((a.kwarg, None, '**'))
    ends = [(d or p).end_lineno for p,d,_ in found]
    said = lambda i: comments.get(ends[i], '') if i + 1 == len(ends) or ends[i+1] > ends[i] else ''
    text = lambda o: ast.unparse(o) if o else ''
    return [Param(stars + p.arg, text(p.annotation), text(d), said(i)) for i,(p,d,stars) in enumerate(found)]

def fields_of(node, comments):
    "The fields of a dataclass or named tuple, as parameters."
    return [Param(o.target.id, ast.unparse(o.annotation), ast.unparse(o.value) if o.value else '',
                  comments.get(o.end_lineno, '')) for o in node.body if isinstance(o, ast.AnnAssign)]

def returns_of(node, comments):
    "What comes back, if it is annotated: its type and comment."
    if node.returns is None: return None
    first = node.body[0].lineno
    lines = range(node.returns.end_lineno, max(first, node.returns.end_lineno + 1))
    said = next((comments[i] for i in lines if i in comments), '')
    return Param('', ast.unparse(node.returns), comment=said)

def decorators(node): return [ast.unparse(o) for o in node.decorator_list]

def patched(node):
    "Names of the classes that `@patch` gives this function to."
    if not any(o.split('(')[0] == 'patch' for o in decorators(node)): return []
    first = (*node.args.posonlyargs, *node.args.args)[0].annotation
    return [o.id for o in ast.walk(first) if isinstance(o, ast.Name)] if first else []

class Module:
    "A module of the package: its text, its public names, and which cell of which notebook each line comes from."
    def __init__(self, path):
        self.path, self.text = path, path.read_text(encoding='utf-8')
        self.name = '.'.join(path.relative_to(LIB).with_suffix('').parts)
        self.tree, self.comments = ast.parse(self.text), comments_of(self.text)
        self.doc = ast.get_docstring(self.tree) or ''
        names = re.search(r'^__all__ = (\[.*?\])', self.text, re.DOTALL | re.MULTILINE)
        self.public = ast.literal_eval(names[1]) if names else []
        self.cells = [(self.text[:m.start()].count('\n') + 1, (Path(m[1]).as_posix().split('nbs/')[-1], m[2]))
                      for m in MARKER.finditer(self.text)]
        source = re.search(r'File to edit: \S*?nbs/(\S+\.ipynb)', self.text)
        self.notebook = source[1] if source else ''

    def cell_of(self, line):
        "(notebook, cell) where this line stands."
        return next((cell for start,cell in reversed(self.cells) if start <= line), ())

    def imported(self):
        "{name: the module that it is imported from}, for what comes from elsewhere."
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                found.update({a.asname or a.name: node.module for a in node.names})
            if isinstance(node, ast.Import): found.update({a.asname or a.name: a.name for a in node.names})
        return found

    def function(self, node, kind='function'):
        "A function or method as a `Thing`; what a method is called on is left out."
        params, how = params_of(node, self.comments), decorators(node)
        flags = [o for o in ('classmethod', 'staticmethod', 'property') if o in how or f'{o}=' in ' '.join(how)]
        if 'patch(cls_method=True)' in how: flags.append('classmethod')
        if 'patch(as_prop=True)' in how: flags.append('property')
        args = node.args
        if kind == 'method' and 'staticmethod' not in flags:
            params = params[1:]
            args = ast.arguments(args.posonlyargs, args.args[1:], args.vararg, args.kwonlyargs, args.kw_defaults,
                                 args.kwarg, args.defaults)
        back = returns_of(node, self.comments)
        text = f'({ast.unparse(args)})' + (f' -> {back.type}' if back else '')
        return Thing(node.name, kind, self.name, self.cell_of(node.lineno), text, ast.get_docstring(node) or '',
                     params=params, returns=back, flags=flags)

    def a_class(self, node):
        thing = Thing(node.name, 'class', self.name, self.cell_of(node.lineno), doc=ast.get_docstring(node) or '',
                      bases=[ast.unparse(o) for o in node.bases])
        for o in node.body:
            if isinstance(o, ast.FunctionDef): thing.members[o.name] = self.function(o, 'method')
        if '__init__' not in thing.members and (fields := fields_of(node, self.comments)):
            said = [p.name + (f': {p.type}') + (f' = {p.default}' if p.default else '') for p in fields]
            thing.args, thing.params = f'({", ".join(said)})', fields
        return thing

    def data(self, node, name):
        value = ast.unparse(node.value) if node.value else ''
        said = self.comments.get(node.end_lineno, '') or self.comments.get(node.lineno, '')
        return Thing(name, 'data', self.name, self.cell_of(node.lineno), doc=said, value=value)

    def things(self):
        "{name: `Thing`} of all that is defined at the top of the module, public or not."
        found = {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and not patched(node): found[node.name] = self.function(node)
            if isinstance(node, ast.ClassDef): found[node.name] = self.a_class(node)
            if isinstance(node, ast.Assign | ast.AnnAssign):
                for target in getattr(node, 'targets', None) or [node.target]:
                    names = [o.id for o in ast.walk(target) if isinstance(o, ast.Name)]
                    found.update({name: self.data(node, name) for name in names if name not in found})
        return found

    def patches(self):
        "Pairs of a class's name and the method that `@patch` gives it."
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                for cls in patched(node): yield cls, self.function(node, 'method')

# ------------------------------------------------------------------ all modules together

class Reference:
    "All modules; each public name once, with its methods, wherever they are written."
    def __init__(self):
        paths = sorted(p for p in LIB.rglob('*.py') if not p.name.startswith('_'))
        self.modules = {m.name: m for m in map(Module, paths) if m.name != 'all'}
        self.defined = {n: m.things() for n,m in self.modules.items()}
        self.things = {name: found[name] for n,found in self.defined.items()
                       for name in self.modules[n].public if name in found}
        self.classes = {t.name: t for found in self.defined.values() for t in found.values() if t.kind == 'class'}
        self.added = defaultdict(list) # to classes from elsewhere: {module: [(class, method)]}
        for name,m in self.modules.items():
            for cls,method in m.patches(): self.add(cls, method, name)
        for t in self.classes.values(): self.give_signature(t)

    def add(self, cls, method, module):
        "A method to its class; one of Python's own methods to a class from elsewhere is nothing to look up."
        known = self.classes.get(cls)
        if known is None: return None if method.name[0] == '_' else self.added[module].append((cls, method))
        method.added_by = '' if known.module == module else module
        known.members[method.name] = method

    def give_signature(self, t):
        "A class is called as its `__init__`, or as that of the class it is made from."
        seen, at = set(), t
        while at and at.name not in seen:
            if '__init__' in at.members:
                init = at.members['__init__']
                t.args, t.params = init.args.removesuffix(' -> None'), init.params
                return
            if at.params: t.args, t.params = at.args, at.params
            seen.add(at.name)
            at = next((self.classes[b] for b in at.bases if b in self.classes), None)

    def public(self, module):
        "The public names of a module that it defines, as they stand in it."
        return [t for name,t in self.defined[module].items() if name in self.modules[module].public]

    def elsewhere(self, module):
        "{public name: where it comes from} of what the module only hands on."
        m = self.modules[module]
        imported = m.imported()
        return {o: imported.get(o, '') for o in m.public if o not in self.defined[module]}

@cache
def reference(): return Reference()

@cache
def in_all():
    "Names that `from course_lib.all import *` brings."
    names, modules = set(), reference().modules
    for node in ast.parse((LIB/'all.py').read_text(encoding='utf-8')).body:
        if isinstance(node, ast.ImportFrom):
            stars = modules[node.module].public if node.level and node.names[0].name == '*' else []
            names.update(stars or [a.asname or a.name for a in node.names])
    return names

# ------------------------------------------------------------------ notebooks

@cache
def cells(notebook): return json.loads((NBS/notebook).read_text(encoding='utf-8'))['cells']

def plain(heading):
    "A heading as text: neither links nor emphasis; code stays."
    return re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).replace('**', '').strip()

@cache
def titles(notebook):
    "{id of a cell: the heading above it}; the chapter's title for what stands before the first section."
    found, now = {}, ''
    for c in cells(notebook):
        if c['cell_type'] == 'markdown':
            text = re.sub(r'```.*?```', '', ''.join(c['source']), flags=re.DOTALL)
            for m in re.finditer(r'^#{1,3} (.+)$', text, re.MULTILINE):
                if not m[1].startswith('Exercise'): now = plain(m[1])
        found[c['id']] = now
    return found

def title(notebook):
    "The first heading of a notebook."
    text = '\n'.join(''.join(c['source']) for c in cells(notebook)[:3])
    found = re.search(r'^# (.+)$', text, re.MULTILINE)
    return plain(found[1]).replace('`', '') if found else notebook

@cache
def chapters(): return sorted(p.name for p in NBS.glob('[0-9][0-9]_*.ipynb'))

def is_hidden(c): return c['cell_type'] == 'code' and re.search(r'^#\|\s*hide\b', ''.join(c['source']), re.MULTILINE)

def tree_of(c):
    "A code cell that Python can read; an empty one for a cell with a magic."
    try: return ast.parse(''.join(c['source']))
    except SyntaxError: return ast.parse('')

def brought(nb):
    "The names of the package that the chapter `nb` imports."
    names, modules = set(), reference().modules
    for node in chain.from_iterable(ast.walk(tree_of(c)) for c in cells(nb) if c['cell_type'] == 'code'):
        if not isinstance(node, ast.ImportFrom) or not (node.module or '').startswith('course_lib.'): continue
        module = node.module.removeprefix('course_lib.')
        star = node.names[0].name == '*'
        names.update(in_all() if star and module == 'all' else modules[module].public if star else
                     [a.name for a in node.names])
    return names

def bound(nb):
    "The names that a chapter gives itself: variables, functions, classes, arguments."
    for node in chain.from_iterable(ast.walk(tree_of(c)) for c in cells(nb) if c['cell_type'] == 'code'):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store): yield node.id
        if isinstance(node, ast.FunctionDef | ast.ClassDef): yield node.name
        if isinstance(node, ast.arg): yield node.arg

def used_in(c):
    "The names in a cell: those that its code uses, those that stand as code in its text, `name` or `name(...)`."
    if c['cell_type'] == 'code': return {o.id for o in ast.walk(tree_of(c)) if isinstance(o, ast.Name)}
    return set(re.findall(r'`(\w+)(?:\([^`]*\))?`', ''.join(c['source'])))

@cache
def first_met():
    "{name: (chapter, cell)} where a name of the package is first used, or spoken of, in the chapters."
    found, names = {}, reference().things
    for nb in chapters():
        known = names.keys() & brought(nb) - set(bound(nb))
        for c in cells(nb):
            if is_hidden(c): continue
            for name in used_in(c) & known: found.setdefault(name, (nb, c['id']))
    return found

# ------------------------------------------------------------------ pages

def escaped(text):
    "Plain text with `code` in it as Markdown, in which nothing else has a meaning."
    parts = re.split(r'(`+[^`]+`+)', text)
    return ''.join(o if i % 2 else re.sub(r'([\\*_<>\[\]$|#~{}&])', r'\\\1', o) for i,o in enumerate(parts))

def linked(text):
    "The same, with a link wherever a public name stands as code."
    def link(m):
        t = reference().things.get(m[1])
        return f'{{py:obj}}`{t.name} <{t.full}>`' if t else m[0]
    return re.sub(r'(?<![`\w])`(\w+)`(?!`)', link, escaped(text))

def in_table(text): return text.replace('\n', ' ').replace('\\|', '|').replace('|', '\\|')

def code(text): return f'`{text}`' if text and '`' not in text else text

def page_of(notebook): return notebook.removesuffix('.ipynb') + '.html'

def anchor(cell):
    "The address of a cell of code; of the heading above a text."
    notebook, i = cell
    is_code = next(c['cell_type'] == 'code' for c in cells(notebook) if c['id'] == i)
    return f'../{page_of(notebook)}#' + (f'cell-{i}' if is_code else make_id(titles(notebook)[i].replace('`', '')))

def where(cell):
    "A chapter's number, or the name of a room, and the heading above a cell."
    stem = Path(cell[0]).stem
    name = stem[:2] if stem[:2].isdigit() else stem
    return f'{name} · {titles(cell[0])[cell[1]].replace("`", "")}'

def link_to(cell, text=None): return f'<a href="{anchor(cell)}">{html.escape(text or where(cell))}</a>'

def footer(t):
    "Where a name is made, taught, first met, and how it is imported."
    if not t.cell: return ''
    chapter = t.cell[0] in chapters()
    parts = [('Taught in ' if chapter else 'Source: ') + link_to(t.cell)]
    met = first_met().get(t.name) if t.kind not in ('method', 'property') else None
    if met and not chapter: parts.append('first met in ' + link_to(met))
    if t.added_by: parts.append(f'added by <a href="{t.added_by}.html">{t.added_by}</a>')
    return f'<p class="api-source">{"; ".join(parts)}</p>'

def table(params, returns):
    "The parameters with type, default and comment, if there is a comment at all."
    columns = {'parameter': [code(p.name) for p in params], 'type': [code(p.type) for p in params],
               'default': [code(p.default) for p in params], 'meaning': [linked(p.comment) for p in params]}
    columns = {head: column for head,column in columns.items() if any(column)}
    row = lambda entries: f'| {" | ".join(map(in_table, entries))} |'
    lines = [row(columns), row(['---']*len(columns)), *map(row, zip(*columns.values()))]
    parts = ['\n'.join(lines)] if 'meaning' in columns else []
    if returns and returns.comment: parts.append(f'*Gives* {code(returns.type)}: {linked(returns.comment)}')
    return parts

def fenced(kind, signature, parts, options=(), depth=3):
    fence = '`'*depth
    body = '\n\n'.join(o for o in parts if o)
    return '\n'.join([f'{fence}{{py:{kind}}} {signature}', *options, '', body, fence])

def one_line(signature): return re.sub(r'\s+', ' ', signature)

def called(m): return m.name if 'property' in m.flags else m.name + one_line(m.args)

def method_entry(m, depth=3, prefix=''):
    kind = 'property' if 'property' in m.flags else 'method'
    options = [f':{o}:' for o in m.flags if o in ('classmethod', 'staticmethod')]
    return fenced(kind, prefix + called(m), [linked(m.doc), *table(m.params, m.returns), footer(m)], options, depth)

def class_entry(t):
    members = [m for n,m in t.members.items() if not n.startswith('_')]
    members.sort(key=lambda m: m.added_by) # its own first
    said = [m for m in members if m.doc or any(p.comment for p in m.params)]
    others = [code(called(m)) for m in members if m not in said]
    bases = 'Made from ' + ', '.join(linked(f'`{b}`') for b in t.bases) + '.' if t.bases else ''
    parts = [linked(t.doc), bases, *table(t.params, None), footer(t)]
    parts += [method_entry(m, 4) for m in said]
    if others: parts.append('Without a description: ' + ', '.join(others) + '.')
    return fenced('class', t.name + one_line(t.args), parts, depth=5)

def data_entry(t):
    value = one_line(t.value)
    if len(value) > 100: value = value[:96] + ' ...'
    return fenced('data', t.name, [linked(t.doc), footer(t)], [f':value: {json.dumps(value)}'] if value else [])

def entry(t):
    if t.kind == 'class': return class_entry(t)
    if t.kind == 'data': return data_entry(t)
    return fenced('function', t.name + one_line(t.args), [linked(t.doc), *table(t.params, t.returns), footer(t)])

def from_elsewhere(names):
    "A table of names that a module hands on."
    rows = [f'| <span id="{name}"></span>`{name}` | {code(source)} |' for name,source in names.items()]
    return '\n'.join(['## From elsewhere', '', 'It also brings these names of other packages.', '', '| name | from |',
                      '|---|---|', *rows])

def added_elsewhere(pairs):
    parts = ['## Added to classes from elsewhere']
    parts += [method_entry(m, prefix=f'{cls}.') for cls,m in pairs]
    return '\n\n'.join(parts)

def added_to_ours(module):
    "A sentence about methods that this module gives to classes of others."
    found = [f'{{py:obj}}`{t.name}.{m.name} <{t.full}.{m.name}>`' if m.doc else code(f'{t.name}.{m.name}')
             for t in reference().classes.values() for m in t.members.values()
             if m.added_by == module and not m.name.startswith('_') and t.name in reference().things]
    return 'It gives other modules\' classes these methods: ' + ', '.join(found) + '.' if found else ''

def how_to_import(module):
    "One line, and what it brings."
    names = reference().modules[module].public
    if not names: return ''
    if in_all().issuperset(names): return 'All of it comes with `from course_lib.all import *`.'
    some = [o for o in names if o in in_all()]
    also = f' With `from course_lib.all import *` come {", ".join(map(code, some))}.' if 0 < len(some) < 9 else (
           f' With `from course_lib.all import *` come {len(some)} of its {len(names)} names.' if some else '')
    return f'`from course_lib.{module} import *`.' + also

def module_page(module):
    ref = reference()
    m = ref.modules[module]
    made = f'Made from <a href="../{page_of(m.notebook)}">{html.escape(title(m.notebook))}</a>.'
    parts = [f'# {module}', f'```{{py:module}} course_lib.{module}\n```', linked(m.doc),
             f'{made} {how_to_import(module)}', added_to_ours(module)]
    things = ref.public(module)
    if things: parts += ['## Names', *map(entry, things)]
    if names := ref.elsewhere(module): parts.append(from_elsewhere(names))
    if pairs := ref.added.get(module): parts.append(added_elsewhere(pairs))
    return '\n\n'.join(o for o in parts if o) + '\n'

def of_chapters():
    "Modules that a chapter makes, in the order of the chapters; then the others."
    modules = reference().modules
    taught = sorted((m for m in modules if modules[m].notebook in chapters()), key=lambda m: modules[m].notebook)
    return taught, sorted(set(modules) - set(taught))

def toctree(names): return '\n'.join(['```{toctree}', ':hidden:', '', *names, '```'])

def module_table(names):
    modules = reference().modules
    row = lambda n: f'| [{n}]({n}.md) | {in_table(linked(modules[n].doc))} | {len(modules[n].public)} |'
    return '\n'.join(['| module | what is there | names |', '|---|---|---|', *map(row, names)])

def index_page():
    taught, rooms = of_chapters()
    n = sum(len(m.public) for m in reference().modules.values())
    text = f"""# Reference

Every public name of the package, {n:,} in all: how it is called, what its parameters mean, the cell that makes it, and
where it is taught. [All names from A to Z](names.md).

The course is to be read, not looked up: a name leads to the section that builds it, step by step.

## What chapters make

{module_table(taught)}

## What rooms make

These are the modules behind the scenes, which make what chapters teach safe and fast.

{module_table(rooms)}
"""
    return '\n'.join([text, toctree(['names', *taught, *rooms]), ''])

def names_page():
    "All names, by their first letter."
    letters = defaultdict(list)
    for t in sorted(reference().things.values(), key=lambda t: (t.name.lower(), t.name)):
        first = t.doc.strip().split('\n')[0]
        row = f'| {{py:obj}}`{t.name} <{t.full}>` | {in_table(linked(first))} | {t.module} |'
        letters[t.name[0].upper()].append(row)
    head = '| name | what it is | module |\n|---|---|---|\n'
    parts = [f'## {letter}\n\n{head}' + '\n'.join(rows) for letter,rows in sorted(letters.items())]
    return '# All names\n\n' + '\n\n'.join(parts) + '\n'

def write(folder):
    "Write the reference as MyST pages into the folder `api` of `folder`."
    folder = Path(folder)/'api'
    folder.mkdir(parents=True)
    pages = {'index': index_page(), 'names': names_page(), **{m: module_page(m) for m in reference().modules}}
    for name,text in pages.items(): (folder/f'{name}.md').write_text(text, encoding='utf-8')
    return sorted(folder/f'{name}.md' for name in pages)
