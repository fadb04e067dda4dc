"What several tests use: notebooks as lists of cells, modules as trees, a free port, make."
import ast, builtins, json, os, socket, subprocess
from pathlib import Path
import pytest

ROOT = Path(__file__).resolve().parents[1]
NBS, LIB = ROOT/'nbs', ROOT/'course_lib'
NOTEBOOKS = sorted(p for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts and p.name[0] != '_')
CHAPTERS = [p for p in NOTEBOOKS if p.parent == NBS and p.name[:2].isdigit()]
MODULES = sorted(p for p in LIB.rglob('*.py') if not p.name.startswith('_'))

# Modules import only those that stand before them.
ORDER = """cores memory core ranks checks tables first_batch ahead draws decode fused functions progress checkpoint
    downloads datasets
    findings sketch drawings.pen drawings.things drawings.scenes drawings.bears drawings.people samples
    dataloaders keywords new_items splitters shown
    datablock vision more_pictures new_pictures doctor shortcuts photo losses more_losses scores
    metrics more_metrics results fits resume groups learner precision layers tta interpretation
    schedules rates tracking distrib transfer augment regression export bear_page bears
    sandbox cards worker quiz lasting terminal questions exercises questionnaire copies study
    headless assign group_progress all""".split()

def name(p):
    "A file of the project, as its id in a test."
    return p.relative_to(ROOT).as_posix()

# ------------------------------------------------------------------ notebooks

class Cell:
    "A cell of a notebook: its `kind`, its `text`, the `outputs` that are kept with it."
    def __init__(self, d):
        self.kind, self.text, self.outputs = d['cell_type'], ''.join(d['source']), d.get('outputs', [])

    @property
    def is_code(self): return self.kind == 'code'
    @property
    def is_exported(self): return self.is_code and '#| export' in self.text
    @property
    def is_plumbing(self): return '#| default_exp' in self.text or '#| hide' in self.text
    @property
    def is_folded(self): return self.text.startswith('#| code-fold: true')
    @property
    def lines(self):
        "What one reads of the code: neither directives nor empty lines."
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith('#|')]
    @property
    def draws(self): return any(k.startswith('image/') for o in self.outputs for k in o.get('data', {}))

def cells(nb): return [Cell(d) for d in json.loads(nb.read_text(encoding='utf-8'))['cells']]
def code(nb): return [c for c in cells(nb) if c.is_code]
def prose(nb): return '\n\n'.join(c.text for c in cells(nb) if not c.is_code)
def outputs(nb): return [o for c in code(nb) for o in c.outputs]

def printed(nb):
    "All text in the outputs of a notebook."
    for o in outputs(nb):
        yield ''.join(o.get('text', []))
        yield from (''.join(v) for k,v in o.get('data', {}).items() if k.startswith('text/'))

def trees(nb):
    "The code cells that Python can read, as trees; one with a magic it cannot."
    for c in code(nb):
        try: yield ast.parse(c.text)
        except SyntaxError: continue

# ------------------------------------------------------------------ modules

def module(py):
    "The name of a module in the package, such as `core` or `drawings.pen`."
    return '.'.join(py.relative_to(LIB).with_suffix('').parts)

def tree(py): return ast.parse(py.read_text(encoding='utf-8'))

def imports(py, top=False):
    "Pairs (full name of a module, imported name or None) for each import in `py`; `top`: those outside of functions."
    package = ['course_lib', *module(py).split('.')[:-1]]
    for node in tree(py).body if top else ast.walk(tree(py)):
        if isinstance(node, ast.Import): yield from ((a.name, None) for a in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            if node.module: yield from (('.'.join([*base, node.module]), a.name) for a in node.names)
            else: yield from (('.'.join([*base, a.name]), None) for a in node.names)

def ours(o):
    "A full name without the package's: `course_lib.core` is `core`; None for what is not in the package."
    return o.removeprefix('course_lib.') if o.startswith('course_lib.') else None

# ------------------------------------------------------------------ data

def block_maker(folder, size):
    "A function that makes a block for a table of pictures in `folder`, cut to `size`; keywords replace what is usual."
    from course_lib.all import ColReader, ColSplitter, DataBlock, ImageBlock, MultiCategoryBlock, Resize
    def make(y=MultiCategoryBlock, **kwargs):
        settings = dict(blocks=(ImageBlock, y), get_x=ColReader('fname', pref=folder),
                        get_y=ColReader('labels', label_delim=' '), splitter=ColSplitter(), item_tfms=Resize(size))
        return DataBlock(**{**settings, **kwargs})
    return make

# ------------------------------------------------------------------ the questionnaire

def numbered():
    "The questions that have a number; the others are projects."
    from course_lib.questions import questions
    return [q for q in questions if q.numbered]

def quiz(seed=7, learner='course', questions=None):
    "All questions, or those that are given, for a learner whose progress is not kept."
    from course_lib import questions as registry
    from course_lib.quiz import Progress, Quiz
    return Quiz(registry.questions if questions is None else questions, Progress(on=False), learner, seed)

def for_each(questions):
    "Run a test for each of these questions; its id is the number."
    return pytest.mark.parametrize('q', questions, ids=lambda q: str(q.n))

def typing(monkeypatch):
    "A function that lets `input` read the lines that it is given; after the last one the input ends."
    def types(*lines):
        lines = iter(lines)
        def read(prompt=''):
            try: return next(lines)
            except StopIteration: raise EOFError from None
        monkeypatch.setattr(builtins, 'input', read)
    return types

# ------------------------------------------------------------------ servers

def free_port():
    "A port of this machine that nobody uses."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

# ------------------------------------------------------------------ make

def run_make(*words, cwd=ROOT):
    "`make`, as from a terminal: the tests may be run by a make themselves, whose settings must not reach this one."
    outer = 'PYTHON', 'MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES'
    clean = {k: v for k,v in os.environ.items() if k not in outer}
    return subprocess.run(['make', *words], cwd=cwd, capture_output=True, encoding='utf-8', env=clean)
