"""Does anything grow? 200 short fits, then 10 000 batches, in one process: memory, threads, open files, live objects.

Each fit has a learner of its own and does what a notebook does: a fit with metrics, validation, predictions, a file of
weights. Every tenth has new loaders. Then one learner trains 10 000 batches. Counted after each part, once all is
collected; the growth is that of the median of the last third over the median of the third before it. What is flat stays
below the limits in LIMITS. Ends with status 1 if anything does not.

`--leak` plants a leak of each kind, one after the other, and asks that each is found: a check of the check.
"""
import gc, os, statistics, sys, tempfile, threading, time
from common import Report, arguments, load

LIMITS = dict(memory=(8, 'MB'), threads=(0, ''), files=(0, ''), objects=(300, ''))

def counted():
    "What this process holds now, when all is collected that can be."
    import psutil
    from course_lib.memory import give_back
    gc.collect()
    give_back()
    process = psutil.Process()
    files = process.num_fds() if hasattr(process, 'num_fds') else process.num_handles() # Windows has handles
    return dict(memory=process.memory_info().rss/2**20, threads=process.num_threads(), files=files,
                objects=len(gc.get_objects()))

# ---- what is done again and again

def loaders(lib, n, bs):
    "Small pictures with several labels, drawn, from arrays."
    rng = lib.np.random.default_rng(1)
    pictures = rng.integers(0, 255, (n, 40, 40, 3), dtype='uint8')
    labels = [['odd'] if i % 2 else ['even', 'third'] if i % 3 == 0 else ['even'] for i in range(n)]
    block = lib.DataBlock(
        (lib.ImageBlock, lib.MultiCategoryBlock), get_x=lambda i: pictures[i], get_y=lambda i: labels[i],
        splitter=lib.IndexSplitter(range(0, n, 5)), item_tfms=lib.RandomResizedCrop(32),
        batch_tfms=lib.Normalize.from_stats(*lib.imagenet_stats))
    return block.dataloaders(range(n), bs=bs, num_workers=2, device='cpu')

def learner(lib, dls, path):
    nn = lib.nn
    body = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    metrics = [lib.accuracy_multi, lib.F1ScoreMulti()]
    return lib.Learner(dls, nn.Sequential(*body, nn.Linear(8, dls.c)), metrics=metrics, path=path)

def short_fit(lib, dls, path):
    learn = learner(lib, dls, path)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
        learn.validate()
        learn.get_preds()
    learn.save('soak')
    learn.load('soak')
    return learn

def short_fits(lib, n, every, leak):
    "What is held after each `every` fits."
    with tempfile.TemporaryDirectory() as path:
        for i in range(n):
            if i % 10 == 0: dls = loaders(lib, 40, 8)
            leak(short_fit(lib, dls, path))
            if i % every == every-1: yield counted()

def many_batches(lib, n, every, leak):
    "What is held after each `every` batches of training."
    dls = loaders(lib, 5*every//4*4, 4) # a fifth of it validates
    with tempfile.TemporaryDirectory() as path:
        learn = learner(lib, dls, path)
        for _ in range(n//len(dls.train)):
            with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
            leak(learn)
            yield counted()

# ---- leaks, planted

kept = []

def keep_pictures(learn): kept.append(learn.get_preds(with_input=True)[0].repeat(20, 1, 1, 1))
def leave_a_thread(learn): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
def leave_a_file(learn): kept.append(open(os.devnull))
def keep_a_learner(learn): kept.append(learn)
def keep_nothing(learn): pass

LEAKS = dict(memory=keep_pictures, threads=leave_a_thread, files=leave_a_file, objects=keep_a_learner)

# ---- the verdict

def growth(values):
    "Of the median of the last third over that of the third before it."
    third = len(values)//3
    return statistics.median(values[-third:]) - statistics.median(values[-2*third:-third])

def growing(samples):
    "What has grown beyond its limit, as {name: growth}."
    grown = {k: growth([s[k] for s in samples]) for k in LIMITS}
    return {k: v for k,v in grown.items() if v > LIMITS[k][0]}

def row(report, what, samples):
    grown = growing(samples)
    for k,(limit, unit) in LIMITS.items():
        values = [s[k] for s in samples]
        said = f'{values[0]:,.0f} to {values[-1]:,.0f} {unit}'.rstrip()
        verdict = 'MISSED' if k in grown else 'met'
        report.note(f'{what}: {k}', said, f'{growth(values):+,.1f}', f'at most +{limit}', verdict)
    return grown

def check_finds(lib):
    "Status 0 if each planted leak is found, and nothing where none is planted."
    for name,leak in dict(nothing=keep_nothing, **LEAKS).items():
        kept.clear()
        found = growing([*short_fits(lib, 60, 2, leak)])
        right = name in found if name in LEAKS else not found
        print(f'planted: {name}; found: {", ".join(found) or "nothing"}: {"right" if right else "WRONG"}', flush=True)
        if not right: return 1
    return 0

def main():
    sys.argv, leak = [o for o in sys.argv if o != '--leak'], '--leak' in sys.argv
    a = arguments(__doc__, fits=200, batches=10_000)
    lib = load('course_lib')
    if leak: sys.exit(check_finds(lib))
    report = Report('soak', f'{a.fits} short fits and {a.batches} batches in one process; growth over the last third.')
    grown = row(report, f'{a.fits} fits', [*short_fits(lib, a.fits, 4, keep_nothing)])
    grown |= row(report, f'{a.batches} batches', [*many_batches(lib, a.batches, 250, keep_nothing)])
    report.save()
    sys.exit(bool(grown))

if __name__ == '__main__': main()
