"""Run notebooks as `nbdev_test` does; an error in one fails the run.

    python tools/notebooks.py            all of them
    python tools/notebooks.py --quick    those whose text promises seconds, not minutes
    python tools/notebooks.py 05         one, by its number (05), its name (losses, lib/core) or its path

The short ones run side by side, each on one core. Those that train for minutes come after them, one at a time on
all cores, so that they take as long as their text says.
"""
import json, os, re, sys
from pathlib import Path
from course_lib.cores import n_cores, wait_briefly # this loads no torch: see `run`

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'

def notebooks():
    "All notebooks that run, in the order of study. A name that starts with `_` is a template's."
    found = [p for p in NBS.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts and p.name[0] not in '_.']
    return sorted(found, key=lambda p: (len(p.parts), p))

def names(p):
    "What one may call the notebook `p`: 05, 5, 05_losses, losses; or core, lib/core."
    number_and_name = p.stem.split('_', 1)
    return {p.stem, *number_and_name, number_and_name[0].lstrip('0'), p.relative_to(NBS).with_suffix('').as_posix()}

def find(name):
    "The path of the notebook that `name` means."
    if name.endswith('.ipynb'): return Path(name).resolve()
    found = [p for p in notebooks() if name in names(p)]
    if len(found) == 1: return found[0]
    known = ', '.join(p.relative_to(NBS).with_suffix('').as_posix() for p in found or notebooks())
    sys.exit(f'{name!r} means {"more than one notebook" if found else "no notebook"}; choose one of: {known}')

def promised(p):
    "How long a chapter says that it runs, such as `in about 10 seconds`; empty if it says nothing."
    cells = json.loads(p.read_text(encoding='utf-8'))['cells'][:3]
    said = re.search(r'^\*Runs (in [^.;]*) on two cores', '\n'.join(''.join(c['source']) for c in cells), re.MULTILINE)
    return said[1] if said else ''

def run(paths, n_workers, threads):
    from nbdev.test import nbdev_test
    wait_briefly()
    os.environ['OMP_NUM_THREADS'] = str(threads) # read by torch when a worker imports it: not before
    these = '|'.join(re.escape(p.name) for p in paths)
    nbdev_test(file_re=f'^({these})$', n_workers=n_workers, timing=True, do_print=True)

def main(wish):
    os.environ.setdefault('MPLBACKEND', 'agg')
    cores = n_cores()
    if wish and wish != '--quick': return run([find(wish)], 0, cores)
    training = [p for p in notebooks() if 'minutes' in promised(p)]
    quick = [p for p in notebooks() if 'minute' not in promised(p)]
    if wish: return run(quick, cores, 1)
    run([p for p in notebooks() if p not in training], cores, 1)
    run(training, 1, cores)

if __name__ == '__main__': main(sys.argv[1] if sys.argv[1:] else '')
