"""Are the modules what the notebooks say, are the notebooks clean, does README.md agree with the course map?
And do all texts name the addresses and the version that settings.ini gives?

Works on a copy, so nothing here is changed. With --fix the copy's version is taken over: that is
`nbdev_export`, `nbdev_clean`, a new README.md with its pictures, and the addresses in one.
"""
import shutil, subprocess, sys, tempfile
from pathlib import Path
import addresses, readme

ROOT = Path(__file__).resolve().parent.parent
NBDEV = """
import nbformat
from pathlib import Path
from nbdev.clean import nbdev_clean
from nbdev.doclinks import nbdev_export
FOLDED = {'jupyter': {'source_hidden': True}, 'tags': ['hide-input']} # in JupyterLab, and on a page
nbdev_clean()
for p in Path('nbs').rglob('*.ipynb'):
    nb = nbformat.read(p, as_version=4)
    for c in nb.cells: c.metadata = FOLDED if c.source.startswith('#| code-fold: true') else {}
    nbformat.write(nb, p) # line by line, as Jupyter saves
nbdev_export()
"""

def as_they_should_be(root, copy):
    "Put into the folder `copy` what notebooks and settings of the project `root` give: modules, notebooks, texts."
    skip = shutil.ignore_patterns('.ipynb_checkpoints', '__pycache__', 'models')
    shutil.copytree(root/'nbs', copy/'nbs', ignore=skip)
    addresses.write(root, copy)
    shutil.copy(root/'settings.ini', copy)
    (copy/'course_lib').mkdir()
    subprocess.run([sys.executable, '-c', NBDEV], cwd=copy, check=True)
    readme.write(copy/'nbs'/'index.ipynb', copy)

def differences(root, copy):
    "Paths, relative to both, of the files that differ or are missing on one side."
    patterns = 'course_lib/**/*.py', 'README.md', f'{readme.PICTURES}/*', *addresses.FILES
    names = {p.relative_to(o) for o in (root, copy) for pat in patterns for p in o.glob(pat)
             if '.ipynb_checkpoints' not in p.parts}
    read = lambda p: p.read_bytes().replace(b'\r\n', b'\n') if p.exists() else None # as git may have it on Windows
    return sorted(n for n in names if read(root/n) != read(copy/n))

def fix(root, copy, names):
    for n in names:
        (root/n).parent.mkdir(parents=True, exist_ok=True)
        if (copy/n).exists(): shutil.copy(copy/n, root/n)
        else: (root/n).unlink()
        print(('wrote ' if (copy/n).exists() else 'removed ') + n.as_posix())

REMEDY = 'To put it right:  make export   (change notebooks only; course_lib/ and README.md are made from them)'

def reason(n):
    "What is wrong with the file `n`, a path from the root."
    if n.suffix == '.py': return 'differ from what their notebooks export'
    if n.suffix == '.ipynb': return ('are not clean (they hold execution counts, metadata, lines in another form, '
                                     'or addresses that are not those of settings.ini)')
    if n.as_posix() == 'README.md' or n.is_relative_to(readme.PICTURES): return 'does not agree with nbs/index.ipynb'
    return 'do not name the addresses or the version that settings.ini gives'

def complaint(names):
    found = {}
    for n in names: found.setdefault(reason(n), []).append(n.as_posix())
    return '\n'.join([*(f'{", ".join(o)} {why}' for why,o in found.items()), REMEDY])

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d).resolve()
        as_they_should_be(ROOT, copy)
        names = differences(ROOT, copy)
        if sys.argv[1:] == ['--fix']: fix(ROOT, copy, names)
        elif names: sys.exit(complaint(names))
        else: print('The modules and README.md are what the notebooks say; the notebooks are clean.')
