"""Run notebooks as `nbdev_test` does; an error in one fails the run.

    python tools/notebooks.py            all of them
    python tools/notebooks.py --quick    those whose text promises seconds, not minutes
    python tools/notebooks.py 05         one, by its number (05), its name (losses, lib/core) or its path

The short ones run side by side, each on one core. Those that train for minutes come after them, one at a time on
all cores, so that they take as long as their text says.
"""
import json, os, re, sys
from pathlib import Path
from course_lib.cores import n_cores, wait_briefly # this loads no torch, and nor does the next: see `run`
from course_lib.copies import chapters, find_chapter

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'

def find(name):
    "The path of the notebook that `name` means."
    if name.endswith('.ipynb'): return Path(name).resolve()
    try: return find_chapter(name, NBS)
    except ValueError as e: sys.exit(str(e))

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
    training = [p for p in chapters(NBS) if 'minutes' in promised(p)]
    quick = [p for p in chapters(NBS) if 'minute' not in promised(p)]
    if wish: return run(quick, cores, 1)
    run([p for p in chapters(NBS) if p not in training], cores, 1)
    run(training, 1, cores)

if __name__ == '__main__': main(sys.argv[1] if sys.argv[1:] else '')
