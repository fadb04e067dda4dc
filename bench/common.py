"""What all measurements share: sides that take turns, each in a process of its own; the data; the report.

Only ratios within one run mean anything: all sides meet the same machine, the same photos and, taking turns,
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
    p.add_argument('--heads', type=Path, help=(
        'a folder of folders with frame_*_rgb.jpg, frame_*_pose.txt, rgb.cal; drawn heads if none is given'))
    for name,default in defaults.items(): p.add_argument(f'--{name}', type=type(default), default=default)
    a = p.parse_args()
    a.photos = a.photos or default_folder('photos', 'PASCAL_SAMPLE')
    a.heads = a.heads or default_folder('heads', 'BIWI_SAMPLE')
    return a

def in_threads(a): return f', torch with {a.threads} thread(s)' if a.threads else ''

def default_folder(name, sample):
    "The pictures that lie beside the project; those that the course draws if there are none."
    lying_beside = HERE.parent.parent/'shared'/'data'/name
    if lying_beside.is_dir(): return lying_beside
    from course_lib.datasets import URLs, untar_data
    return untar_data(getattr(URLs, sample))

def table_of(photos, n):
    "The label table of `photos`, repeated until it has `n` rows."
    import pandas as pd
    df = pd.read_csv(photos/'train.csv', keep_default_na=False)
    return pd.concat([df]*(-(-n//len(df))), ignore_index=True)[:n]

def labels_of(row):
    "A function with a name: fastai's worker processes may have to pickle it."
    return row['labels'].split()

def vocab_of(df): return sorted({label for _,row in df.iterrows() for label in labels_of(row)})

def photo_loaders(lib, photos, n, valid=(0,), **settings):
    "`DataLoaders` of `n` rows, with several labels, by RandomResizedCrop to 128 pixels and Normalize."
    df = table_of(photos, n)
    if hasattr(lib, 'photo_loaders'): return lib.photo_loaders(df, photos/'train', vocab_of(df), valid, **settings)
    block = lib.DataBlock(
        blocks=(lib.ImageBlock, lib.MultiCategoryBlock(vocab=vocab_of(df))),
        splitter=lib.IndexSplitter(valid), get_x=lib.ColReader('fname', pref=photos/'train'), get_y=labels_of,
        item_tfms=lib.RandomResizedCrop(128, min_scale=0.35),
        batch_tfms=lib.Normalize.from_stats(*lib.imagenet_stats))
    return block.dataloaders(df, device='cpu', **settings)

def centres_of(heads, n):
    "The first `n` frames, all persons in turn, and where the middle of the head is in each: {file: [x, y]} in pixels."
    import numpy as np
    centres = {}
    for f in sorted(heads.glob('*/frame_*_rgb.jpg'), key=lambda f: (f.name, f.parent.name))[:n]:
        x, y, z = np.loadtxt(f.with_name(f.name.replace('rgb.jpg', 'pose.txt')), skiprows=3)
        camera = np.genfromtxt(f.parent/'rgb.cal', max_rows=3)
        centres[f] = [x*camera[0][0]/z + camera[0][2], y*camera[1][1]/z + camera[1][2]]
    return centres

def point_loaders(lib, heads, n, valid=(0,), **settings):
    "`DataLoaders` of `n` photos of 640x480, with a point, changed as in the book and brought to 240x320."
    centres = centres_of(heads, n)
    if hasattr(lib, 'point_loaders'): return lib.point_loaders(centres, valid, **settings)
    def centre(file): return lib.tensor(centres[file])
    block = lib.DataBlock(
        blocks=(lib.ImageBlock, lib.PointBlock), splitter=lib.IndexSplitter(valid), get_y=centre,
        batch_tfms=[*lib.aug_transforms(size=(240, 320)), lib.Normalize.from_stats(*lib.imagenet_stats)])
    return block.dataloaders(list(centres), device='cpu', **settings)

# ---- the sides

def guard_torchvision():
    """Declare the operators that torchvision's wheel for CUDA misses beside a torch without.

    Not counted for either side."""
    import torch
    if torch.version.cuda is not None or hasattr(torch.ops.torchvision, 'nms'): return
    guard_torchvision.lib = torch.library.Library('torchvision', 'FRAGMENT')
    arguments = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
    for op in 'nms', 'qnms': guard_torchvision.lib.define(op + arguments)

ALL = {'course_lib': 'course_lib.all', 'fastai': 'fastai.vision.all', 'plain torch': 'plain'}
BOTH = 'course_lib', 'fastai'

def load(library):
    "The module whose names `import *` brings."
    warnings.filterwarnings('ignore')
    if library != 'course_lib': guard_torchvision() # the course has one of its own, and settings that come before torch
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

    def begin(self, **task): self.conn.send(task)
    def result(self) -> tuple: # wall seconds, CPU seconds, what the function returned
        return self.conn.recv()

    def turn(self, **task):
        self.begin(**task)
        return self.result()

    def end(self):
        try: self.conn.send(None)
        except BrokenPipeError: pass # it has failed, and printed why
        self.process.join()

@contextmanager
def sides(make, threads=0, libraries=BOTH, **settings):
    "A process for each of `libraries`, ready to take turns: {library: Side}."
    made = {library: Side(make, library, threads, **settings) for library in libraries}
    try: yield made
    finally:
        for s in made.values(): s.end()

def in_turns(sides, r):
    "The sides in the order of round `r`: there, and back in the next."
    return list(sides.items())[::-1 if r % 2 else 1]

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

def in_units(values, unit):
    "The median, in three figures."
    return f'{float(f"{statistics.median(values):.3g}"):,.12g} {unit}'.rstrip()

COLUMNS = dict(what='measurement', course='course_lib', fastai='fastai', ratio='ratio: median of the rounds (range)',
               plain='plain torch; ratio to it', target='target', verdict='result')

class Report:
    "Lines of a table: printed as they come, and kept for `table`."
    def __init__(self, name, head):
        self.name, self.rows, self.head = name, [], head
        self.machine = machine()
        print(f'{name}: {head}\n{self.machine}', flush=True)

    def add(self, what, values, unit, target=None, at_most=True, judge='ratio'):
        """`values`: for each library one value for each round. Its median must be at most (or at least) `target`,
        if there is one: that of the ratio course_lib / fastai, or of course_lib's own values if `judge` says so."""
        course, fastai = values['course_lib'], values['fastai']
        row = dict(what=what, course=in_units(course, unit), fastai=in_units(fastai, unit),
                   ratio=spread(ratios(course, fastai)), plain='', target='', verdict='')
        if 'plain torch' in values:
            plain = values['plain torch']
            row['plain'] = f'{in_units(plain, unit)}; {statistics.median(ratios(course, plain)):.2f}'
        if target is not None:
            judged = statistics.median(ratios(course, fastai) if judge == 'ratio' else values[judge])
            row['target'] = f'{judge} ' * (judge != 'ratio') + f'{"at most" if at_most else "at least"} {target}'
            row['verdict'] = 'met' if (judged <= target if at_most else judged >= target) else 'MISSED'
        self._keep(row)

    def note(self, what, course, fastai='', ratio='', target='', verdict=''):
        "A line of texts as they are: course_lib beside itself, or beside fastai where there is no ratio."
        self._keep(dict(what=what, course=course, fastai=fastai, ratio=ratio, plain='', target=target, verdict=verdict))

    def _keep(self, row):
        self.rows.append(row)
        print('  ' + ' | '.join(row[c] for c in COLUMNS if row[c]), flush=True)

    def save(self):
        RESULTS.mkdir(exist_ok=True)
        kept = dict(machine=self.machine, head=self.head, rows=self.rows)
        (RESULTS/f'{self.name}.json').write_text(json.dumps(kept, indent=1))

def table():
    "All that was measured last, as one Markdown table."
    print('| ' + ' | '.join(COLUMNS.values()) + ' |')
    print('|---'*len(COLUMNS) + '|')
    for f in sorted(RESULTS.glob('*.json')):
        for row in json.loads(f.read_text())['rows']: print('| ' + ' | '.join(row[c] for c in COLUMNS) + ' |')
    print()
    for f in sorted(RESULTS.glob('*.json')):
        r = json.loads(f.read_text())
        print(f"{f.stem}: {r['head']} {r['machine']}.")

if __name__ == '__main__': table()
