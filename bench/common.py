"""What all measurements share: two sides that take turns, each in a process of its own; the data; the report.

Only ratios within one run mean anything: both sides meet the same machine, the same photos and, taking turns,
the same other work on it.
"""
import argparse, importlib, json, multiprocessing, os, platform, statistics, sys, time, warnings
from contextlib import contextmanager
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent)) # course_lib is measured as it lies here, not as it may be installed
RESULTS = HERE/'results'

# ---- the data

def arguments(doc, **defaults):
    "The command line that the measurements have in common."
    p = argparse.ArgumentParser(description=doc.splitlines()[0])
    p.add_argument('--photos', type=Path, help=(
        'a folder with train.csv (fname,labels,is_valid) and train/*.jpg; drawn scenes if none is given'))
    for name,default in defaults.items(): p.add_argument(f'--{name}', type=type(default), default=default)
    a = p.parse_args()
    if a.photos is None: a.photos = default_photos()
    return a

def in_threads(a): return f', torch with {a.threads} thread(s)' if a.threads else ''

def default_photos():
    lying_beside = HERE.parent.parent/'shared'/'data'/'photos'
    if (lying_beside/'train.csv').exists(): return lying_beside
    from course_lib.all import URLs, untar_data
    return untar_data(URLs.PASCAL_SAMPLE)

def table_of(photos, n):
    "The label table of `photos`, repeated until it has `n` rows."
    import pandas as pd
    df = pd.read_csv(photos/'train.csv', keep_default_na=False)
    return pd.concat([df]*(-(-n//len(df))), ignore_index=True)[:n]

def labels_of(row):
    "A function with a name: fastai's worker processes may have to pickle it."
    return row['labels'].split()

def recipe(lib, photos, vocab=None, valid=(0,)):
    "The data block of `loader` and `epoch`: several labels, RandomResizedCrop to 128 pixels, Normalize."
    return lib.DataBlock(
        blocks=(lib.ImageBlock, lib.MultiCategoryBlock(vocab=vocab)),
        splitter=lib.IndexSplitter(valid), get_x=lib.ColReader('fname', pref=photos/'train'), get_y=labels_of,
        item_tfms=lib.RandomResizedCrop(128, min_scale=0.35),
        batch_tfms=lib.Normalize.from_stats(*lib.imagenet_stats))

# ---- the two sides

def guard_torchvision():
    """Declare the operators that torchvision's wheel for CUDA misses beside a torch without.

    Not counted for either side."""
    import torch
    if torch.version.cuda is not None or hasattr(torch.ops.torchvision, 'nms'): return
    guard_torchvision.lib = torch.library.Library('torchvision', 'FRAGMENT')
    arguments = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
    for op in 'nms', 'qnms': guard_torchvision.lib.define(op + arguments)

ALL = {'course_lib': 'course_lib.all', 'fastai': 'fastai.vision.all'}

def load(library):
    "The module whose names `import *` brings."
    warnings.filterwarnings('ignore')
    guard_torchvision()
    return importlib.import_module(ALL[library])

def cpu_seconds():
    "Of this process, its threads, and the workers that have ended."
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system

def _serve(make, library, settings, threads, conn):
    # a spawned process would spawn its workers too; fastai shall start them in this platform's usual, faster way
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)
    lib = load(library)
    if threads: lib.torch.set_num_threads(threads)
    measure = make(lib, **settings)
    while (task := conn.recv()) is not None:
        wall, cpu = time.perf_counter(), cpu_seconds()
        n = measure(**task)
        conn.send((time.perf_counter()-wall, cpu_seconds()-cpu, n))

class Side:
    "A process that has imported `library` and waits for its turns. `make(lib, **settings)` gives the function to time."
    def __init__(self, make, library, threads, **settings):
        ctx = multiprocessing.get_context('spawn')
        self.conn, there = ctx.Pipe()
        self.process = ctx.Process(target=_serve, args=(make, library, settings, threads, there))
        self.process.start()
        there.close()

    def turn(self, **task) -> tuple: # wall seconds, CPU seconds, what the function returned
        self.conn.send(task)
        return self.conn.recv()

    def end(self):
        try: self.conn.send(None)
        except BrokenPipeError: pass # it has failed, and printed why
        self.process.join()

@contextmanager
def sides(make, threads=0, **settings):
    "course_lib and fastai, ready to take turns."
    both = {library: Side(make, library, threads, **settings) for library in ('course_lib', 'fastai')}
    try: yield both
    finally:
        for s in both.values(): s.end()

# ---- the report

def cpu_info(key):
    "The value of `key` for the first core, where the system says such things; else an empty text."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return ''
    return next((line.split(':')[1].strip() for line in lines if line.startswith(key)), '')

def machine():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    model = cpu_info('model name') or platform.processor() or platform.machine()
    load = f', load before the start {os.getloadavg()[0]:.1f}' if hasattr(os, 'getloadavg') else ''
    return f'{date.today()}, {cores} cores of {model}, Python {platform.python_version()}{load}'

def ratios(a, b): return [x/y for x,y in zip(a, b)]
def spread(values): return f'{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})'

class Report:
    "Lines of a table: printed as they come, and kept for `table`."
    def __init__(self, name, head):
        self.name, self.rows, self.head = name, [], head
        self.machine = machine()
        print(f'{name}: {head}\n{self.machine}', flush=True)

    def add(self, what, course, fastai, unit, target=None, at_most=True):
        "One value for each round. The median of the ratios must be at most (or at least) `target`, if there is one."
        ratio = ratios(course, fastai)
        row = dict(what=what, course=f'{statistics.median(course):.3g} {unit}',
                   fastai=f'{statistics.median(fastai):.3g} {unit}', ratio=spread(ratio), target='', verdict='')
        if target is not None:
            r = statistics.median(ratio)
            row['target'] = f'{"at most" if at_most else "at least"} {target}'
            row['verdict'] = 'met' if (r <= target if at_most else r >= target) else 'MISSED'
        self.rows.append(row)
        print('  {what}: course_lib {course}, fastai {fastai}, ratio {ratio} {target} {verdict}'.format(**row).rstrip(),
              flush=True)

    def save(self):
        RESULTS.mkdir(exist_ok=True)
        kept = dict(machine=self.machine, head=self.head, rows=self.rows)
        (RESULTS/f'{self.name}.json').write_text(json.dumps(kept, indent=1))

def table():
    "All that was measured last, as one Markdown table."
    cols = 'what course fastai ratio target verdict'.split()
    print('| measurement | course_lib | fastai | ratio: median of the rounds (range) | target | |')
    print('|---|---|---|---|---|---|')
    for f in sorted(RESULTS.glob('*.json')):
        for row in json.loads(f.read_text())['rows']: print('| ' + ' | '.join(row[c] for c in cols) + ' |')
    print()
    for f in sorted(RESULTS.glob('*.json')):
        r = json.loads(f.read_text())
        print(f"{f.stem}: {r['head']} {r['machine']}.")

if __name__ == '__main__': table()
