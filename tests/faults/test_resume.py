"A training that was cut short: the same cell goes on, to the same weights; anything else is named and refused."
import errno, io, os, signal, subprocess, sys
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
import torch.nn.functional as F
from torch import nn
from course_lib import resume
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.learner import *
from course_lib.metrics import accuracy_multi
from course_lib.resume import Checkpoint
from course_lib.schedules import *
from course_lib.tracking import *
import course_lib.rates, course_lib.transfer

# ------------------------------------------------------------------ a training, and how it is cut short

def items(n=28, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(6, generator=g), torch.randint(2, (2,), generator=g).float()) for _ in range(n)]

def noise(b): return b[0] + .1*torch.randn_like(b[0]), b[1]

def loaders(data=None, bs=4, **kw):
    data = items() if data is None else data
    train = DataLoader(data[:20], bs=bs, shuffle=True, **{'after_batch': noise, **kw})
    return DataLoaders(train, DataLoader(data[20:], bs=bs), device='cpu')

def net(n=8, act=nn.ReLU):
    return nn.Sequential(nn.Linear(6, n), nn.BatchNorm1d(n), nn.Dropout(.3), act(), nn.Linear(n, 2))

def two_groups(m): return [params(m[0]), params(m[1:])]

def make(dls=None, model=None, loss=F.binary_cross_entropy_with_logits, seed=1, **kw):
    set_seed(seed)
    return Learner(dls or loaders(), model or net(), loss, splitter=two_groups, **{'metrics': accuracy_multi, **kw})

class Crash(Callback):
    "The power fails after a number of training batches."
    order, only_shows = 3000, True # it is no part of the training
    def __init__(self, at): self.at, self.n = at, 0
    def after_batch(self):
        self.n += self.training
        if self.training and self.n == self.at: raise ZeroDivisionError

FITS = dict(fit=dict(n_epoch=3, lr=.01), fit_one_cycle=dict(n_epoch=3, lr_max=.02), fine_tune=dict(epochs=2),
            fit_flat_cos=dict(n_epoch=3), fit_sgdr=dict(n_cycles=2, cycle_len=1))

def train(learn, method='fit', checkpoint=None, crash=0, **kw):
    if crash: learn.add_cb(Crash(crash))
    try: getattr(learn, method)(**{**FITS[method], **kw}, checkpoint=checkpoint)
    except ZeroDivisionError: pass
    if crash: learn.remove_cb(Crash)
    return learn

def same(a, b):
    "Are two learners the same to the last bit, with their histories and all random generators?"
    assert all(map(torch.equal, a.model.state_dict().values(), b.model.state_dict().values()))
    for k in 'losses', 'lrs', 'moms', 'iters', 'values': assert getattr(a.recorder, k) == getattr(b.recorder, k), k
    assert [g['lr'] for g in a.opt.param_groups] == [g['lr'] for g in b.opt.param_groups]
    return True

def every_batch(tmp_path): return Checkpoint(tmp_path/'run.ckpt', minutes=0)

# ------------------------------------------------------------------ to the same weights

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='each life is a process that is forked from one that has loaded all')
@pytest.mark.parametrize('args', [['20', '1'], ['4', '1', 'clock']], ids=' '.join)
def test_twenty_deaths(args):
    "Killed between any two steps, and while the file is written; with draws of all kinds, callbacks, two loaders."
    run = subprocess.run([sys.executable, Path(__file__).with_name('killed.py'), *args], capture_output=True, text=True)
    assert run.returncode == 0 and 'deaths' in run.stdout, run.stdout + run.stderr

@pytest.mark.parametrize('method', FITS)
@pytest.mark.parametrize('crash', [1, 4, 5, 7, 11])
def test_every_fit_goes_on(tmp_path, method, crash):
    whole = train(make(), method)
    after = torch.rand(2), np.random.rand()
    train(make(), method, every_batch(tmp_path), crash)
    again = train(make(seed=9), method, every_batch(tmp_path))
    assert same(whole, again) and (torch.rand(2).tolist(), np.random.rand()) == (after[0].tolist(), after[1])

@pytest.mark.parametrize('crash', [3, 5, 8, 12])
def test_by_epochs_only(tmp_path, crash):
    whole, kept = train(make()), Checkpoint(tmp_path/'run.ckpt', minutes=None)
    train(make(), checkpoint=kept, crash=crash)
    assert same(whole, train(make(seed=9), checkpoint=kept))

def test_a_path_is_enough(tmp_path):
    whole, path = train(make(), 'fine_tune'), str(tmp_path/'new folder'/'run')
    train(make(), 'fine_tune', path, 12)
    assert same(whole, train(make(seed=9), 'fine_tune', path)) and Path(path).is_file()

def test_the_same_learner_goes_on(tmp_path):
    whole, learn = train(make(), 'fit_one_cycle'), make()
    for crash in 7, 3, 2: train(learn, 'fit_one_cycle', every_batch(tmp_path), crash)
    assert same(whole, train(learn, 'fit_one_cycle', every_batch(tmp_path)))
