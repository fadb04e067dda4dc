"""Look for misspelt words, with codespell: in the cells of notebooks (not in what they print) and in all other texts.

A notebook's cells are looked at one by one, so `nbs/05_losses.ipynb/17:2` is line 2 of its cell 17, counted from 0.
What is right though codespell doubts it stands in `.codespellrc`."""
import json, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ('*.md', 'Makefile', 'Dockerfile', 'settings.ini', 'tools/*.py', 'tests/**/*.py', 'tests/**/*.toml',
         'bench/*.md', 'bench/*.py', '.github/**/*.yml')

def cells_apart(nb, folder):
    "Write each cell of the notebook `nb` into a file of its own, whose name is its number."
    folder.mkdir(parents=True)
    for i,c in enumerate(json.loads(nb.read_text(encoding='utf-8'))['cells']):
        (folder/str(i)).write_text(''.join(c['source']), encoding='utf-8')

def collect(root, copy):
    "Put into the folder `copy` all that is to be read of the project `root`."
    for nb in (root/'nbs').rglob('*.ipynb'):
        if '.ipynb_checkpoints' not in nb.parts: cells_apart(nb, copy/nb.relative_to(root))
    for p in (p for pattern in TEXTS for p in root.glob(pattern)):
        (copy/p.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(p, copy/p.relative_to(root))

def misspelt(root):
    "A line for each word that codespell would write otherwise."
    with tempfile.TemporaryDirectory() as d:
        copy = Path(d).resolve()
        collect(root, copy)
        command = [sys.executable, '-m', 'codespell_lib', '--config', ROOT/'.codespellrc', '--check-hidden', '.']
        run = subprocess.run(command, cwd=copy, capture_output=True, text=True, encoding='utf-8')
        if run.stderr: sys.exit(run.stderr)
        return sorted(line.removeprefix('./') for line in run.stdout.splitlines())

def main():
    if found := misspelt(ROOT): sys.exit('\n'.join(['Misspelt, or a word for .codespellrc:', *found]))
    print('No word is misspelt.')

if __name__ == '__main__': main()
