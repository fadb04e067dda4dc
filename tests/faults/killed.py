"""Run by test_resume.py: a training that is killed and started again, twenty times and more.

Each life is a process of its own, forked from one that has loaded all: it runs the same `cell`, until it is killed at a
moment that the seed chooses: between any two steps of the loop, while the checkpoint is being written, before and after
it gets its name. What is printed is one line for each life, and at the end the weights and the history as a digest."""
import os, random, signal, sys, tempfile, time, traceback
from pathlib import Path
import torch
import torch.nn.functional as F
from torch import nn
from course_lib import core
from course_lib.learner import Adam, Callback, Learner, params
from course_lib.dataloaders import DataLoader, DataLoaders
from course_lib.resume import Checkpoint, described
from course_lib.tracking import EarlyStoppingCallback, GradientAccumulation, SaveModelCallback
from course_lib.transfer import *

class Jitter:
    "Draws of all three kinds while an item is loaded."
    def __call__(self, sample):
        x, y = sample
        return x + random.random()*torch.rand(()) + core.np.random.rand()*1e-3, y

def noise(b): return b[0] + .1*torch.randn_like(b[0]), b[1] # draws from the shared generator

def loaders(workers=2):
    g = torch.Generator().manual_seed(0)
    items = [(torch.randn(6, generator=g), torch.randint(2, (2,), generator=g).float()) for _ in range(40)]
    train = DataLoader(items[:30], bs=4, shuffle=True, num_workers=workers, after_item=Jitter(), after_batch=noise)
    return DataLoaders(train, DataLoader(items[30:], bs=4), device='cpu')

class Draws(Callback):
    "One of a learner's own, with a memory."
    def __init__(self): self.sum = 0.
    def after_epoch(self): self.sum += random.random()
    def state_dict(self): return {'sum': self.sum}
    def load_state_dict(self, state): self.sum = state['sum']

def cell(folder, workers=2, minutes=0, checkpoint=True):
    "What a learner runs again and again. The seed is set once, for the first life only: the file must hold the rest."
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(.3), nn.ReLU(), nn.Linear(8, 2))
    learn = Learner(loaders(workers), model, F.binary_cross_entropy_with_logits, path=folder,
        splitter=lambda m: [params(m[0]), params(m[1:])], cbs=[Draws(), GradientAccumulation(10)])
    cbs = [SaveModelCallback(), EarlyStoppingCallback(patience=9)]
    learn.fine_tune(3, cbs=cbs, checkpoint=Checkpoint(Path(folder)/'run.ckpt', minutes) if checkpoint else None)
    return learn

def result(learn):
    rec = learn.recorder
    table = [list(row) for row in rec.values]
    return described([_bits(learn), rec.losses, rec.lrs, rec.moms, table, rec.iters, learn.draws.sum, random.random(),
                      torch.rand(3).tolist(), core.np.random.rand()])

def _bits(learn): return {k: v.clone() for k,v in learn.model.state_dict().items()}

# ------------------------------------------------------------------ deaths

class Death:
    "Counts moments, and kills this process at number `at`."
    def __init__(self, at): self.at, self.n = at, 0
    def __call__(self, *_):
        self.n += 1
        if self.n == self.at: os.kill(os.getpid(), signal.SIGKILL)

def with_moments(death):
    "Let the learner's events and the writing of files pass by `death`."
    tell, rename, sync = Learner.__call__, os.replace, os.fsync
    def told(*args):
        death()
        tell(*args)
    def renamed(*args):
        death()
        rename(*args)
        death()
    def synced(f):
        size = os.fstat(f).st_size
        if death.n + 1 == death.at: os.ftruncate(f, size//2) # dead now, it leaves half a file
        death()
        sync(f)
    Learner.__call__, os.replace, os.fsync = told, renamed, synced

def in_child(f):
    "Run `f` in a process forked from this one. Its number."
    pid = os.fork()
    if pid: return pid
    try:
        f()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)

def live(folder, seed, moment=0, seconds=0, workers=0):
    "One life: run the cell, die at a moment, or after seconds, or end. The result, if it came to that; else `None`."
    out = Path(folder)/f'out{seed}'
    def work():
        core.set_seed(seed)
        if moment: with_moments(Death(moment))
        out.write_text(result(cell(folder, workers)))
    pid = in_child(work)
    if seconds:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status): return None
    assert status == 0, status
    return out.read_text()

def lives(folder, draw, by_clock):
    "Lives until one comes to its end. How many were killed, and the result."
    for k in range(1000):
        seed = 100 + k if (Path(folder)/'run.ckpt').exists() else 1 # then the file must know all
        end = dict(seconds=draw.uniform(0, .5)) if by_clock else dict(moment=draw.randrange(1, 400))
        found = live(folder, seed, workers=draw.choice([0, 2]), **end)
        if found: return k, found

def main(n_deaths, seed, by_clock):
    torch.set_num_threads(1)
    Adam([torch.zeros(1, requires_grad=True)]) # loads what torch loads late, once for all lives
    draw, deaths = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder: truth = live(folder, 1)
    while deaths < n_deaths:
        with tempfile.TemporaryDirectory() as folder:
            n, found = lives(folder, draw, by_clock)
            deaths += n
            assert found == truth, (n, found, truth)
            assert live(folder, 99) == truth # once more: it is finished
            assert [o.name for o in Path(folder).iterdir() if o.name[0] == '.'] == []
    print(deaths, 'deaths')

if __name__ == '__main__': main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ['clock'])
