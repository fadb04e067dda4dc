"""The table of small things: what it holds, how one of them is run, and what is kept of its result.

`small_things.toml` has code that runs unchanged after fastai's star import and after the course's; what fastai 2.8
gives is in `small_things.json`, which `bench/parity.py record` writes. Neither library is imported here.
"""
import ast, io, json, math, os, random, shutil, tempfile, tomllib, warnings
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path, PurePath

HERE = Path(__file__).resolve().parent
TABLE = tomllib.loads((HERE/'small_things.toml').read_text(encoding='utf-8'))
RECORDED = HERE/'small_things.json'

def things():
    "Pairs of a name, as `metrics.accuracy`, and the code: what comes before all of its group, then its own."
    for group,rows in TABLE['things'].items():
        before = rows.get('before', '')
        yield from ((f'{group}.{k}', f'{before}\n{code}') for k,code in rows.items() if k != 'before')

def differs():
    "Of each thing that differs on purpose, the heading in chapter 17 under which that is explained."
    return {name: heading for heading,names in TABLE['differs'].items() for name in names}

# ---- the data

PEOPLE = dict(ann='cat', bob='dog', cy='cat', dee='bird', eve='dog', fay='cat') # a photo of each, in train/ and valid/

def draw(folder):
    "Photos of 24 by 16 pixels in `train/LABEL` and `valid/LABEL`, and two tables of them."
    import numpy as np
    from PIL import Image
    rng, rows = np.random.default_rng(0), []
    for part in 'train', 'valid':
        for i,(who,label) in enumerate(PEOPLE.items()):
            f = folder/part/label/f'{label}_{who}.png'
            f.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (16, 24, 3), dtype='uint8')).save(f)
            labels = [label, 'tame'] if i % 2 else [label]
            rows.append([f.relative_to(folder).as_posix(), label, ' '.join(labels), part == 'valid'])
    lines = [','.join(map(str, r)) for r in [['fname', 'label', 'labels', 'is_valid'], *rows]]
    (folder/'labels.csv').write_text('\n'.join(lines) + '\n')

def drawn():
    "The folder of the data; it goes when the program ends."
    if not hasattr(drawn, 'folder'):
        drawn.folder = tempfile.TemporaryDirectory()
        draw(Path(drawn.folder.name))
    return drawn.folder.name

# ---- running

def result_of(code, names):
    "The value of the last line of `code`, which is an expression."
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, '<thing>', 'exec'), names)
    return eval(compile(last, '<thing>', 'eval'), names)

def seed_all():
    import numpy as np, torch
    for seed in random.seed, np.random.seed, torch.manual_seed: seed(1)

def run(code, lib):
    "What `code` gives with the names of the module `lib`, in a folder with a fresh copy of the data, as plain data."
    names = {k: v for k,v in vars(lib).items() if not k.startswith('__')}
    with tempfile.TemporaryDirectory() as tmp, warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        here = Path(tmp).resolve()/'data'
        shutil.copytree(drawn(), here)
        with chdir(here), redirect_stdout(io.StringIO()) as out:
            names.update(__name__='thing', path=Path('.'), printed=out.getvalue)
            seed_all()
            try: return plain(result_of(code, names))
            except Exception as e: return {'raises': type(e).__name__}
            finally: lib.plt.close('all')

# ---- what is kept

def plain(o):
    "A result as JSON can keep it; what has no plain form is an error, so that the code says what is meant."
    kind = type(o)
    if o is None or kind in (bool, int, str): return o
    if isinstance(o, float): return o if math.isfinite(o) else str(o)
    if isinstance(o, PurePath): return Path(os.path.relpath(o)).as_posix() if o.is_absolute() else o.as_posix()
    if hasattr(o, 'detach'): return array_of(o.detach().cpu().numpy())
    if hasattr(o, '__array_interface__') and hasattr(o, 'getpixel'): return {'mode': o.mode, 'size': list(o.size)}
    if hasattr(o, 'dtype') and hasattr(o, 'tolist'): return array_of(o)
    if isinstance(o, Mapping): return {str(k): plain(v) for k,v in o.items()}
    if isinstance(o, set): return sorted(map(plain, o), key=str)
    if isinstance(o, type): return o.__name__
    if isinstance(o, slice): return repr(o)
    if hasattr(o, '__iter__') and not isinstance(o, str): return [plain(v) for v in o]
    raise NotImplementedError(f'{kind.__name__} has no plain form: let the last line give a number, a text or a list')

def array_of(a):
    "The numbers of an array, with its type and shape; a single number by itself."
    if a.shape == (): return plain(a.item())
    if a.size > 300: raise NotImplementedError(f'{a.size} numbers are too many to keep')
    return {'dtype': str(a.dtype), 'shape': list(a.shape), 'values': [plain(v) for v in a.reshape(-1).tolist()]}

def same(theirs, ours):
    """Are two kept results equal? Numbers to a few digits.

    Where fastai stops with an error so do we, with the same one or with one of those that carry our sentences."""
    if raised(theirs) and raised(ours): return raised(ours) in (raised(theirs), *SENTENCES)
    if isinstance(theirs, bool) or isinstance(ours, bool): return theirs is ours
    if isinstance(theirs, (int, float)) and isinstance(ours, (int, float)):
        return math.isclose(theirs, ours, rel_tol=2e-4, abs_tol=1e-7)
    if type(theirs) is not type(ours): return False
    if isinstance(theirs, dict): return theirs.keys() == ours.keys() and all(same(v, ours[k]) for k,v in theirs.items())
    if isinstance(theirs, list): return len(theirs) == len(ours) and all(map(same, theirs, ours))
    return theirs == ours

SENTENCES = 'ValueError', 'KeyError', 'IndexError', 'FileNotFoundError'
def raised(o): return o.get('raises') if isinstance(o, dict) else None

def recorded(): return json.loads(RECORDED.read_text(encoding='utf-8'))

def record(lib):
    "Write what `lib` gives for all things. Returns their number. A name that `lib` does not have is an error."
    kept = {name: run(code, lib) for name,code in things()}
    unknown = [k for k,v in kept.items() if raised(v) in ('NameError', 'AttributeError')]
    if unknown: raise ValueError(f'{lib.__name__} does not know all names of {", ".join(unknown)}')
    lines = [f'{json.dumps(k)}: {json.dumps(v)}' for k,v in kept.items()]
    RECORDED.write_text('{\n' + ',\n'.join(lines) + '\n}\n', encoding='utf-8')
    return len(kept)
