"""Two processes with a thread each, beside one process with two threads: seconds an epoch, same model, same steps.

Both train the same timm model, whole, on the same photos, with validation. One process has batches of `--bs`, each of
two has half as many, so a step has as many items. Each turn is a fresh start: an epoch that is not counted, then
`--epochs` that are. Batch-norm is over the items of each process, unless `--sync 1` asks for those of both.
"""
import json, os, statistics, subprocess, sys, time
from pathlib import Path
from common import Report, arguments, cpu_seconds, in_units, load, photo_loaders, ratios, spread

SIDES = {'one process, two threads': (1, 2), 'two processes, a thread each': (2, 1)} # how many, threads in each

def worker(photos, n, bs, arch, epochs, sync):
    "One of the processes: trains, and prints wall and CPU seconds of each epoch, and its rank."
    lib = load('course_lib')
    import timm
    dls = photo_loaders(lib, Path(photos), n, valid=range(0, n, 5), bs=bs//max(1, lib.num_distrib()))
    lib.set_seed(42)
    model = timm.create_model(arch, num_classes=dls.c)
    learn = lib.Learner(dls, model, loss_func=lib.BCEWithLogitsLossFlat(), metrics=lib.accuracy_multi)
    for k in range(epochs + 1):
        wall, cpu = time.perf_counter(), cpu_seconds()
        with learn.no_bar(), learn.no_logging(), learn.distrib_ctx(sync_bn=bool(sync)): learn.fit(1, 1e-3)
        took = dict(rank=lib.rank_distrib(), epoch=k, wall=time.perf_counter() - wall, cpu=cpu_seconds() - cpu)
        if k: print(json.dumps(took), flush=True) # the first one warms up

def turn(processes, threads, settings):
    "Wall seconds of each epoch, and CPU seconds of all processes together."
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}', __file__]
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'SCALE_WORKER': json.dumps(settings)}
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    if run.returncode: sys.exit(run.stderr[-3000:])
    took = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{')]
    cpu = [sum(t['cpu'] for t in took if t['epoch'] == k+1) for k in range(settings['epochs'])]
    return [t['wall'] for t in took if t['rank'] == 0], cpu

def main():
    a = arguments(__doc__, n=320, bs=32, rounds=2, epochs=3, sync=0, arch='tf_efficientnet_lite0')
    report = Report('scale', f'{a.photos.name}, {a.arch}, {a.n} photos at 128 px, {a.bs} in a step; '
                             f'{a.rounds} rounds of {a.epochs} epochs.')
    settings = dict(photos=str(a.photos), n=a.n, bs=a.bs, arch=a.arch, epochs=a.epochs, sync=a.sync)
    wall, cpu = {k: [] for k in SIDES}, {k: [] for k in SIDES}
    for r in range(a.rounds):
        for k in list(SIDES)[::-1 if r % 2 else 1]:
            w, c = turn(*SIDES[k], settings)
            wall[k] += w
            cpu[k] += c
    for what,found in ('epoch', wall), ('epoch, CPU time', cpu):
        one, two = found.values()
        said = ' beside '.join(in_units(v, 's') for v in (two, one))
        verdict = 'met' if statistics.median(ratios(two, one)) <= 1 else 'MISSED'
        judged = ('at most 1', verdict) if what == 'epoch' else ()
        report.note(f'{what}, {" beside ".join([*SIDES][::-1])}', said, spread(ratios(two, one)), *judged)
    report.save()

if __name__ == '__main__':
    if 'SCALE_WORKER' in os.environ: worker(**json.loads(os.environ['SCALE_WORKER']))
    else: main()
